"""Retry chord: a whole group or chord again, its headers with their arguments, and its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan, TaskResult
from celerytrail.action_api.actor import Role
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.broker.canvas import CanvasBrokeOff, send_canvas
from celerytrail.action_api.errors import BadRequest, NotFound, Refused
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import ExpiredIntent, TaskRow
from celerytrail.action_api.verbs.chord_messages import (
    Member,
    Workflow,
    following,
    following_ids,
    renewed,
    without_following,
    workflow,
)
from celerytrail.action_api.verbs.retry import new_task_id
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.stored_message import open_message, require_allowed_content
from celerytrail.action_api.verbs.target import require_ended, required, target_key
from celerytrail.exporter.deployment import Deployment

_SAMPLE = 10
_STAMPS = "stamped_headers"


@dataclass(frozen=True, slots=True)
class _Again:
    group_id: str
    workflow: Workflow
    rows: tuple[TaskRow, ...]
    body_id: str | None
    went_on: bool


class RetryChord:
    """Builds the canvas again from the messages of its members, and lets Celery send it."""

    name = "retry-chord"
    minimum_role = Role.OPERATOR

    def __init__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> None:
        self._ledger = ledger
        self._brokers = brokers
        self._settings = settings

    def plan(self, request: ActionRequest) -> Plan:
        """Find all members, open their messages and put the canvas together; no broker is asked.

        Raises NotFound, and Refused: besides the codes of a retry, ``too_many_members``,
        ``members_changed``, ``mixed_chord`` and ``no_result_backend``.
        """
        broker = self._brokers.of(request.deployment)
        settings = broker.settings
        group_id = required(request, "group_id")
        most = self._settings.chord_most
        rows = self._ledger.group_members(settings.deployment, group_id, most + 1)
        if not rows:
            raise NotFound(f"group {group_id} is not known in {settings.deployment.label}")
        if len(rows) > most:
            raise Refused(
                f"group {group_id} has more than {most} tasks, which is more than is sent again",
                code="too_many_members",
            )
        for row in rows:
            require_ended(row)
        self._require_bodies_ended(settings.deployment, rows)
        messages = []
        for row in rows:
            message = open_message(self._ledger, settings, row.task_id)
            if require_allowed_content(message, settings) != "json":
                raise Refused(
                    "only a chord of JSON messages can be put together again: nothing else is loaded",
                    code="canvas_not_removable",
                )
            messages.append((row.task_id, message))
        again = workflow(group_id, messages)
        self._require_seen(request, group_id, again, rows)
        if again.chord is not None and settings.result_backend is None:
            raise Refused(
                f"a chord counts its members in the result backend: give result_backend to "
                f"{settings.deployment.label} in the file of CELERYTRAIL_ACTIONS_CONFIG",
                code="no_result_backend",
            )
        follows = following_ids(again.chord) if again.chord is not None else []
        # What came after the body is done once: it comes again only where it never came at all.
        went_on = bool(follows and self._ledger.known_tasks(settings.deployment, follows))
        if again.chord is not None and went_on:
            again = replace(again, chord=without_following(again.chord))
        # The last link of a chain is in the group too: what counts is what is sent.
        body_id = again.body_task_id
        if body_id == group_id:
            body_id = None  # Celery up to 5.5, where the body is a chain: that is no task's id
        return Plan(
            deployment=settings.deployment,
            target={
                "group_id": group_id,
                "members": len(again.members),
                "tasks": [member.task_id for member in again.members]
                + ([body_id] if body_id else []),
            },
            target_key=target_key("group", group_id),
            details=_Again(group_id, again, tuple(rows), body_id, went_on),
        )

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say how many headers there are, how they ended, and what the body is."""
        again: _Again = plan.details
        states = {row.task_id: row.state for row in again.rows}
        ended = [states.get(member.task_id) for member in again.workflow.members]
        chord = again.workflow.chord
        return {
            "group_id": again.group_id,
            "kind": "group" if chord is None else "chord",
            "members": len(again.workflow.members),
            "succeeded": ended.count("succeeded"),
            "failed": ended.count("failed"),
            "body": None
            if chord is None
            else {"task_id": again.body_id, "task_name": chord.get("task")},
            "follows": [] if chord is None else [link.get("task") for link in following(chord)],
            "sample": [
                {
                    "task_id": member.task_id,
                    "task_name": member.message.headers.get("task"),
                    "state": states.get(member.task_id),
                }
                for member in again.workflow.members[:_SAMPLE]
            ],
        }

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Write down the new ids, then send."""
        again: _Again = plan.details
        broker = self._brokers.of(plan.deployment)
        new_id = _new_ids(intent.intent_id)
        chord = again.workflow.chord
        body = None if chord is None else renewed(chord, new_id, outermost=True)
        body_id = None
        if body is not None:
            # Where Celery gave the body no id of its own, it gets one that is not the group's.
            body_id = new_id(again.body_id or f"body of {again.group_id}")
            body["options"]["task_id"] = body_id
        group_id = new_id(again.group_id)
        ids = {old: new_id(old) for old in again.workflow.task_ids if old != again.group_id}
        # A dead broker, or a queue that is not there, is known before anything is sent.
        messages = [member.message for member in again.workflow.members]
        queues = broker.queues_of(
            {(m.exchange, m.routing_key or "") for m in messages if m.exchange}
        )
        headers = [_links(member, new_id, queues) for member in again.workflow.members]
        intent.progress({"sending": ids, "group_id": group_id})
        app = broker.new_app()
        try:
            sent = send_canvas(
                app,
                headers,
                body,
                group_id,
                body_id,
                may=intent.still_ours,
                check_seconds=broker.bounds.total_seconds,
                total_seconds=self._settings.chord_seconds,
            )
        except CanvasBrokeOff as exc:
            return _broken_off(ids, exc)
        finally:
            app.close()
        what = "group" if body is None else "chord"
        return Outcome(
            "succeeded",
            f"the {what} was sent again as group {group_id}: {len(sent)} tasks"
            + (f", and {body_id} as its body" if body_id else "")
            + (
                "; what came after it had been sent, and is not sent again" if again.went_on else ""
            ),
            tuple(TaskResult(old, "sent", new) for old, new in ids.items()),
            {"group_id": group_id, "kind": what, "headers": len(headers), "body_task_id": body_id},
        )

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """Look which of the new tasks the ledger has heard of."""
        ids: dict[str, str] = {}
        for row in expired.progress:
            if isinstance(row.get("sending"), dict):
                ids.update(row["sending"])
        if not ids:
            return Outcome("failed", "the process that did this died before anything was sent")
        known = self._ledger.known_tasks(expired.deployment, ids.values())
        # Links and bodies come after the headers; that all headers are there is enough.
        named = expired.target.get("tasks") or list(ids)
        headers = named[: expired.target.get("members") or len(named)]
        if all(ids.get(old) in known for old in headers):
            return Outcome(
                "succeeded",
                f"found: {len(known)} tasks of it are known",
                tuple(TaskResult(old, "sent", new) for old, new in ids.items()),
            )
        if not last_look:
            return None
        return Outcome(
            "partial" if known else "unknown",
            f"the process that did this died: of {len(ids)} tasks {len(known)} are known",
            tuple(
                TaskResult(old, "sent" if new in known else "unknown", new)
                for old, new in ids.items()
            ),
        )

    def _require_bodies_ended(self, deployment: Deployment, rows: list[TaskRow]) -> None:
        # Of a body that is a chain this is the first link. One that was never sent is not there.
        for task_id in {row.chord_body_id for row in rows if row.chord_body_id}:
            body = self._ledger.task(deployment, task_id)
            if body is not None:
                require_ended(body)

    def _require_seen(
        self, request: ActionRequest, group_id: str, again: Workflow, rows: list[TaskRow]
    ) -> None:
        text = request.parameters.get("seen_members")
        if not text:
            return
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise BadRequest("seen_members has to be a whole number: how many tasks you saw")
        # A dashboard counts the tasks of the group, and with Celery 5.7 the body is one of them.
        if int(text) not in (len(again.members), len(rows)):
            raise Refused(
                f"group {group_id} has {len(again.members)} members, and you saw {text}: look again",
                code="members_changed",
                extra={"members": len(again.members), "seen_members": int(text)},
            )


def _new_ids(intent_id: UUID) -> Callable[[str], str]:
    return lambda old: new_task_id(intent_id, old)


def _links(
    member: Member, new_id: Callable[[str], str], queues: Mapping[tuple[str, str], str]
) -> list[dict[str, Any]]:
    """Return a member, and the links that follow it, as signatures under new ids.

    ``queues`` is what ``Broker.queues_of`` says about its exchange.
    """
    message = member.message
    headers = message.headers
    options: dict[str, Any] = {"task_id": new_id(member.task_id), "declare": []}
    queue = queues.get((message.exchange or "", message.routing_key or ""))
    if queue is not None:
        options["queue"] = queue
    elif message.exchange:
        options |= {"exchange": message.exchange, "routing_key": message.routing_key}
    else:
        options["queue"] = message.routing_key
    if message.priority is not None:
        options["priority"] = message.priority
    if headers.get("shadow"):
        options["shadow"] = headers["shadow"]
    if headers.get("ignore_result") is not None:
        options["ignore_result"] = headers["ignore_result"]
    limits = headers.get("timelimit") or (None, None)
    for name, limit in zip(("time_limit", "soft_time_limit"), limits, strict=False):
        if limit is not None:
            options[name] = limit
    stamps = headers.get("stamps") or {}
    names = [name for name in headers.get(_STAMPS) or () if name in stamps and name not in options]
    if names:
        options |= {_STAMPS: names, **{name: stamps[name] for name in names}}
    embedded = member.body.embedded
    for option, name in (("link", "callbacks"), ("link_error", "errbacks")):
        if embedded.get(name):
            options[option] = [
                renewed(link, new_id, outermost=False) if isinstance(link, dict) else link
                for link in embedded[name]
            ]
    first = {
        "task": headers.get("task"),
        "args": member.body.args,
        "kwargs": member.body.kwargs,
        "options": options,
        "subtask_type": None,
        "immutable": True,
    }
    return [first, *(renewed(link, new_id, outermost=True) for link in member.links)]


def _broken_off(ids: Mapping[str, str], exc: CanvasBrokeOff) -> Outcome:
    sent = set(exc.sent)
    tasks = tuple(
        TaskResult(old, "sent", new)
        if new in sent
        else TaskResult(old, "unknown", new)
        if new == exc.in_flight
        else TaskResult(old, "skipped", None, "not sent, or sent by its workflow later")
        for old, new in ids.items()
    )
    state = "partial" if sent else "unknown" if exc.in_flight else "failed"
    return Outcome(state, f"{len(sent)} tasks were sent, then: {exc}", tasks)
