"""The dashboard Audit: who did what, and whether the record is whole and unchanged."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders import timeseries as series_panel
from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from celerytrail.dashboards.columns import TIME, Column, key_column
from celerytrail.dashboards.dashboard import dashboard
from celerytrail.dashboards.erasure import erasure_state, erasures
from celerytrail.dashboards.links import to_task
from celerytrail.dashboards.panels import plain, stat, steps, table, time_series
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.read_model import read_model_checked, read_model_checks
from celerytrail.dashboards.state_colours import BAD, GOOD, NEUTRAL, WARNING
from celerytrail.dashboards.uids import AUDIT

_SPAN = 5
"""Four numbers in the first row, and the actions."""

_STATUS_COLOURS = {
    "ok": GOOD,
    "consistent in itself": WARNING,
    "not compared": BAD,
    "never verified": BAD,
    "guards altered": BAD,
    "broken": BAD,
    "gone": BAD,
}
_PHASE_COLOURS = {
    "intent": NEUTRAL,
    "outcome": GOOD,
    "done": GOOD,
    "refused": BAD,
}
_RESULT_COLOURS = {
    "succeeded": GOOD,
    "partial": WARNING,
    "unknown": WARNING,
    "failed": BAD,
    "begun": NEUTRAL,
    **dict.fromkeys(
        (
            "not_authenticated",
            "not_allowed",
            "not_found",
            "bad_request",
            "refused",
            "unavailable",
            "too_many_requests",
        ),
        BAD,
    ),
}
_STREAM_COLOURS = {"live": GOOD, "ended": NEUTRAL, "unterminated": WARNING}


def audit() -> Dashboard:
    """Return the dashboard."""
    made = dashboard(
        AUDIT,
        "Audit",
        description="Who did what, and whether the record is whole and unchanged.",
        since="now-24h",
    )
    for panel in (
        chain_verified(),
        unverified(),
        checkpoint_signed(),
        read_model_checked(_SPAN),
        action_counts(),
        stream_counts(),
        erasure_state(10),
        action_list(),
        chains(),
        verifications(),
        streams(),
        agents(),
        read_model_checks(),
        erasures(),
        actions_over_time(),
    ):
        made.with_panel(panel)
    return made


def chain_verified() -> stat_panel.Panel:
    """Return how long ago the chain was found in order."""
    return stat(
        "Chain verified",
        QueryFile("overview", "chain_verified"),
        description=(
            "Time since every chain was last verified; BROKEN when a row was found changed or a guard altered, until a "
            "full verification finds all in order. Bad from 15 min, worse from 1 h. This is what the database says of "
            "itself: an auditor runs celerytrail verify against checkpoints kept outside."
        ),
        unit="s",
        decimals=0,
        no_value="Never verified",
        thresholds=steps(BAD, (0, GOOD), (900, WARNING), (3600, BAD)),
        span=_SPAN,
        mappings=[ValueMap({"-1": ValueMappingResult(text="BROKEN", color=BAD, index=0)})],
    )


def unverified() -> stat_panel.Panel:
    """Return how much came after the newest good verification."""
    return stat(
        "Blocks not verified yet",
        QueryFile("audit", "unverified"),
        description="Blocks that were chained after the newest verification that found its chain in order. Bad when it only grows.",
        unit="locale",
        no_value="No chain",
        thresholds=steps(GOOD, (10_000, WARNING), (100_000, BAD)),
        span=_SPAN,
    )


def checkpoint_signed() -> stat_panel.Panel:
    """Return how long ago somebody outside was told where the chains stand."""
    return stat(
        "Checkpoint signed",
        QueryFile("audit", "checkpoint_signed"),
        description=(
            "Time since `celerytrail checkpoint` last signed where the chains stand; REFUSED when the ledger does not "
            "continue what was signed. Bad from 2 min, worse from 10 min. What is signed is kept outside of this database."
        ),
        unit="s",
        decimals=0,
        no_value="Never signed",
        thresholds=steps(BAD, (0, GOOD), (120, WARNING), (600, BAD)),
        span=_SPAN,
        mappings=[ValueMap({"-1": ValueMappingResult(text="REFUSED", color=BAD, index=0)})],
    )


def stream_counts() -> stat_panel.Panel:
    """Return how the capturing processes stand, and what is missing of them."""
    return stat(
        "Processes and their events",
        QueryFile("audit", "stream_counts"),
        description=(
            "Processes with an event in the time range. Unterminated: gone without a goodbye, as after a kill. Missing: "
            "numbered events that never arrived. Dropped: events that a process said it could not keep."
        ),
        unit="locale",
        no_value="0",
        thresholds=plain(),
        span=14,
        columns=[
            Column("live", "live", 0, unit="locale", steps=steps(GOOD)),
            Column("ended", "ended", 0, unit="locale", steps=steps(NEUTRAL)),
            Column(
                "unterminated", "unterminated", 0, unit="locale", steps=steps(GOOD, (1, WARNING))
            ),
            Column("missing", "missing", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
            Column("dropped", "dropped", 0, unit="locale", steps=steps(GOOD, (1, BAD))),
        ],
    )


def action_counts() -> stat_panel.Panel:
    """Return how many actions there were."""
    return stat(
        "Actions",
        QueryFile("audit", "action_counts"),
        description="Actions begun, and requests refused, in the time range. Bad when refusals come in bursts.",
        unit="locale",
        no_value="0",
        thresholds=plain(),
        span=4,
        columns=[
            Column("begun", "begun", 0, unit="locale", steps=plain()),
            Column("refused", "refused", 0, unit="locale", steps=steps(GOOD, (1, WARNING))),
        ],
    )


def action_list() -> table_panel.Panel:
    """Return who did what."""
    return table(
        "Actions and refusals",
        QueryFile("audit", "actions"),
        [
            Column("action_time", "Time", 152, unit=TIME),
            Column("actor", "Who", 130),
            Column("role", "Role", 85),
            Column("verb", "What", 100),
            Column("phase", "Phase", 80, colours=_PHASE_COLOURS),
            Column("result", "Result", 120, colours=_RESULT_COLOURS),
            Column("target", "Target", 175, links=[to_task()]),
            Column("message", "Message", 220),
            Column("reason", "Reason", 160),
            Column("deployment", "Deployment", 140),
            Column("actor_kind", "By", 80),
            Column("request_id", "Request", 100),
            key_column("task_id"),
        ],
        description=(
            "The newest 300 rows of the audit log: the intent before anything happens, the outcome after, refusals, "
            "erasures, retention. They are in the same chain as the events. Bad: refusals that nobody can explain."
        ),
        no_value="Nobody has acted in this time range",
        height=10,
    )


def chains() -> table_panel.Panel:
    """Return each chain and what verifications say of it."""
    return table(
        "Chains",
        QueryFile("audit", "chain"),
        [
            Column("chain", "Chain", 65, unit="none"),
            Column("status", "Status", 150, colours=_STATUS_COLOURS),
            Column("against", "Against", 170),
            Column("age", "Ago", 85, unit="s", steps=steps(GOOD, (900, WARNING), (3600, BAD))),
            Column("verified_to", "Up to block", 95, unit="locale"),
            Column("unverified", "Not yet", 75, unit="locale"),
            Column("linked_at", "Last block", 150, unit=TIME),
        ],
        description=(
            "Ok: the newest verification agreed with what was kept outside, up to the block in Against. Consistent in "
            "itself: there was nothing to compare with. Not compared: the checkpoints could not be; Against says why. Broken: a row, "
            "block or link is not what was written. Guards altered: a trigger, function or right differs from the "
            "migrations. Both stay until a full verification finds all in order."
        ),
        no_value="No chain: is the database migrated?",
        span=10,
        height=8,
    )


def verifications() -> table_panel.Panel:
    """Return what verifications found."""
    return table(
        "Verifications",
        QueryFile("audit", "verifications"),
        [
            Column("verified_at", "Time", 150, unit=TIME),
            Column("status", "Found", 130, colours=_STATUS_COLOURS),
            Column("first_bad", "First fault", 170),
            Column("against", "Against", 170),
            Column("chain", "Chain", 55, unit="none"),
            Column("mode", "Mode", 75),
            Column("blocks", "Blocks", 85),
            Column("rows", "Rows", 65, unit="locale"),
            Column("seconds", "Took", 70, unit="s"),
            Column("verified_by", "By", 90),
        ],
        description=(
            "Verifications in the time range, faults first; rows are those of the chain, and the time is that of the whole run. "
            "Those that found nothing are kept for a day, the others 90 days."
        ),
        no_value="None in this time range: is celerytrail verify --every running?",
        span=14,
        height=8,
    )


def streams() -> table_panel.Panel:
    """Return the processes whose events are not all here."""
    return table(
        "Processes with events missing, or gone without a goodbye",
        QueryFile("audit", "streams"),
        [
            Column("process_kind", "Process", 100),
            Column("worker", "Worker", 140),
            Column("host", "Host", 110),
            Column("pid", "Pid", 85),
            Column("state", "State", 110, colours=_STREAM_COLOURS),
            Column("missing", "Missing", 80, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("lost", "Dropped", 80, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("last_seq", "Of", 80, unit="locale"),
            Column("gaps", "Missing numbers", 180),
            Column("first_seen_at", "First event", 160, unit=TIME),
            Column("updated_at", "Last event", 160, unit=TIME),
            Column("deployment", "Deployment", 140),
            Column("stream_id", "Stream", 120),
        ],
        description=(
            "Each capturing process numbers its events without gaps: a missing number is an event that was captured and "
            "is not here, or still on its way. Bad when it stays after the shipper is up again."
        ),
        no_value="Every process's events are here, and each said goodbye",
        height=8,
    )


def agents() -> table_panel.Panel:
    """Return what workers and shippers say of themselves."""
    return table(
        "Agents and shippers",
        QueryFile("audit", "agents"),
        [
            Column("process_kind", "Process", 85),
            Column("worker", "Name", 170),
            Column("host", "Host", 120),
            Column("state", "State", 105, colours=_STREAM_COLOURS),
            Column(
                "silent", "Heard ago", 95, unit="s", steps=steps(GOOD, (150, WARNING), (900, BAD))
            ),
            Column("spool_bytes", "Spool", 90, unit="bytes"),
            Column("lag", "Lag", 80, unit="s", steps=steps(NEUTRAL, (60, WARNING), (600, BAD))),
            Column("lost", "Dropped", 85, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("rejected", "Refused", 85, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("delivery_error", "Trouble", 160),
            Column("version", "Version", 80),
            Column("deployment", "Deployment", 160),
        ],
        description=(
            "The last heartbeat of each worker (every minute) and shipper (every 30 s while it delivers) that has not said "
            "goodbye. Lag: age of the oldest event not delivered then. Bad: silence. A shipper that cannot "
            "deliver is silent, and so is everybody whose events it carries."
        ),
        no_value="No heartbeat in this time range: does any worker run, and does it deliver?",
        height=8,
    )


def actions_over_time() -> series_panel.Panel:
    """Return actions and refusals over time."""
    return time_series(
        "Actions over time",
        QueryFile("audit", "actions_over_time", format="time_series"),
        description=(
            "Actions by verb, refusals by code. A burst of refusals is a mistake in the configuration, or "
            "somebody trying."
        ),
        unit="short",
        no_value="Nobody has acted in this time range",
        span=24,
        height=7,
        bars=True,
    ).decimals(0)
