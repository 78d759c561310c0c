"""Buttons: actions that Grafana sends to the action API through the plugin's proxy.

Grafana encodes only the parameters of the query; it puts text into path and body as it is. So every
id and every word that somebody typed goes there, and path and body never change.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import (
    Action,
    ActionType,
    ActionVariable,
    DashboardActionStyle,
    FetchOptions,
    HttpRequestMethod,
)

from celerytrail.dashboards.state_colours import BAD, CALM, NEUTRAL, WARNING
from celerytrail.dashboards.uids import PLUGIN

DEPLOYMENT = ("namespace", "service", "environment")
"""Columns that every table with buttons has, next to the one that says what is acted on."""

REASON = "reason"


def _value(column: str) -> str:
    return "${__data.fields." + column + "}"


def _button(
    title: str, path: str, *, of: str, asks: str, colour: str, route: str = "operator"
) -> Action:
    parameters = [[name, _value(name)] for name in (*DEPLOYMENT, of)]
    return Action(
        type_val=ActionType.FETCH,
        title=title,
        confirmation=asks,
        fetch=FetchOptions(
            method=HttpRequestMethod.POST,
            url=f"/api/plugin-proxy/{PLUGIN}/{route}/{path}",
            query_params=[*parameters, [REASON, f"${REASON}"]],
            headers=[["Content-Type", "application/json"]],
            body="{}",
        ),
        variables=[ActionVariable(REASON, "Reason (kept in the audit log)")],
        style=DashboardActionStyle(background_color=colour),
    )


_TASK = (
    f"{_value('task_name')} {_value('task_id')} (queue {_value('queue')}, now {_value('state')})"
)


def retry() -> Action:
    """Return the button that sends the task of a row again, as a task of its own."""
    return _button(
        "Retry",
        "retry",
        of="task_id",
        asks=f"Send {_TASK} again, with the same arguments and a new id?",
        colour=CALM,
    )


def cancel() -> Action:
    """Return the button that revokes the task of a row; one that runs already goes on."""
    return _button(
        "Cancel",
        "cancel",
        of="task_id",
        asks=f"Cancel {_TASK}? A worker that has not begun it will not run it.",
        colour=WARNING,
    )


def terminate() -> Action:
    """Return the button that revokes the task of a row and ends the process that runs it."""
    return _button(
        "Terminate",
        "terminate",
        of="task_id",
        asks=f"Terminate {_TASK}? The process that runs it is ended by SIGTERM; what it has done stays done.",
        colour=BAD,
    )


def retry_chord() -> Action:
    """Return the button that sends the whole chord or group of a row again, header and body.

    Its row has a column ``group_id``, and ``members``: how many tasks the person has seen. The API
    refuses when there are more by then.
    """
    button = _button(
        "Retry whole chord",
        "retry-chord",
        of="group_id",
        asks=(
            f"Send the chord {_value('group_id')} again: all {_value('members')} members and its body, "
            "under new ids?"
        ),
        colour=NEUTRAL,
    )
    assert button.fetch is not None
    assert button.fetch.query_params is not None
    button.fetch.query_params.append(["seen_members", _value("members")])
    return button


def purge() -> Action:
    """Return the button that removes what waits in the queue of a row.

    Its row has a column ``seen_depth``: how many messages the person has seen, as text, because Grafana
    would send 1,234 for a number. The API refuses when there are more by then.
    """
    button = _button(
        "Purge",
        "purge",
        of="queue",
        asks=(
            f"Remove the {_value('seen_depth')} messages that wait in the queue {_value('queue')} of "
            f"{_value('service')}? Each is recorded; their tasks will not run."
        ),
        colour=BAD,
        route="admin",
    )
    assert button.fetch is not None
    assert button.fetch.query_params is not None
    button.fetch.query_params.append(["seen_depth", _value("seen_depth")])
    return button


TASK_BUTTONS = (retry, cancel, terminate)
"""What can be done to one task, from the mildest on."""
