"""Publishing a message: the send is stamped before it and recorded after it."""

from __future__ import annotations

import threading
from sys import modules
from time import time_ns
from typing import Any

from celerytrail.exporter.agent.caller_trace import in_context
from celerytrail.exporter.agent.chord_runs import CHORD_UNLOCK
from celerytrail.exporter.agent.exceptions import class_name, message
from celerytrail.exporter.agent.minting import Message, Minted, TrailMint
from celerytrail.exporter.agent.pending import (
    BODY,
    BODY_SIZE,
    CONTENT_TYPE,
    ERROR,
    FACTS,
    FIELDS,
    HEADERS,
    MAX_PENDING,
    TASK_RULES,
    Pending,
)
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.role import CHILD
from celerytrail.exporter.agent.running import ALL_STACKS, current_request
from celerytrail.exporter.agent.values import (
    get_without_reprs,
    header_values,
    header_values_without_reprs,
)
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.traceparent import TRACEPARENT
from celerytrail.exporter.spool.trail import TRAIL_HEADER, TRAIL_PREFIX, escaped

_SENT = STEP_BY_NAME["sent"].code
_SEND_FAILED = STEP_BY_NAME["send_failed"].code
_JSON = "application/json"
_OTEL_CONTEXT = "opentelemetry.context"
_NO_BODY = (None, None, None)


class PublishHandlers:
    """Handlers of before_task_publish and after_task_publish, in every kind of process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._write = recorder.write
        self._pending = recorder.pending
        self._entries = recorder.pending.entries
        self._shipper = recorder.shipper
        self._rules = recorder.task_rules.of_message
        self._rules_of = recorder.task_rules.known
        self._caught = recorder.guard.caught
        self._pop_pair = recorder.ids.pop_pair
        self._pair = recorder.ids.pair
        self._chords = recorder.chords
        self._mint = TrailMint(recorder.ids, recorder.groups, recorder.chords, recorder.write).mint

    def before_task_publish(
        self,
        body: Any = None,
        exchange: Any = None,
        routing_key: Any = None,
        declare: Any = None,
        headers: Any = None,
        properties: Any = None,
        # Named although unused: without them Python makes a dict of the rest for each message.
        signal: Any = None,
        sender: Any = None,
        retry_policy: Any = None,
        **_: Any,
    ) -> None:
        """Mint the trail and put it on the message; remember the publish until it ends."""
        try:
            now = time_ns()
            if self._pending.look_closer:
                self._look_closer(headers)
            queue = declare[0].name if declare else routing_key
            facts, linked_run_id, chord_body_id = headers, None, None
            chord_headers = chain_length = rules = None
            try:
                embedded = body[2]
                alone = (
                    headers["group"] is embedded["chain"] is embedded["chord"] is None
                    and TRAIL_HEADER not in headers
                    and TRACEPARENT not in headers
                    and not ALL_STACKS
                    and (_OTEL_CONTEXT not in modules or not in_context())
                )
            except (LookupError, TypeError):
                alone = False
            if alone and type(queue) is str:
                # Most publishes by far: outside of tasks, groups and the caller's traces.
                try:
                    pair = self._pop_pair()
                except IndexError:
                    pair = self._pair()
                if ";" in queue or "%" in queue:
                    queue = escaped(queue)
                trail = f"{TRAIL_PREFIX}{pair};{now};;;;;;{queue}"
                if embedded["callbacks"] is embedded["errbacks"] is None:
                    # No other task is named in it: what is known of this one is all there is.
                    rules = self._rules_of.get(headers["task"])
            else:
                facts, minted = self._minted(now, body, headers, queue)
                trail, linked_run_id, chord_body_id, chord_headers, chain_length = minted
            headers[TRAIL_HEADER] = trail
            self._entries[id(body)] = (
                # The fields of ``sent``, in their order, and what pending.py adds to them.
                [
                    trail, None, now, exchange, routing_key, properties.get("priority"),
                    properties.get("reply_to"), None, None, None, chord_body_id, linked_run_id, None,
                    rules and rules[1], chord_headers, chain_length, body, facts, None, 0,
                ]
            )  # fmt: skip
            if len(self._entries) > MAX_PENDING:
                self._pending.forget_oldest()
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("before_task_publish", exc)

    def after_task_publish(
        self,
        body: Any = None,
        signal: Any = None,
        sender: Any = None,
        headers: Any = None,
        exchange: Any = None,
        routing_key: Any = None,
        **_: Any,
    ) -> None:
        """Record the send that has just been handed to the broker."""
        try:
            entry = self._entries.pop(id(body), None)
            if entry is None or entry[BODY] is not body:
                return
            now, facts = time_ns(), entry[FACTS]
            if entry[CONTENT_TYPE] == _JSON:
                # The shipper shows the arguments out of the body.
                try:
                    entry[HEADERS] = get_without_reprs(facts)
                except KeyError:
                    entry[HEADERS] = header_values_without_reprs(facts)
            else:
                entry[HEADERS] = header_values(facts)
            if entry[TASK_RULES] is None:
                entry[TASK_RULES] = self._rules(facts.get("task"), body)
            self._write(_SENT, now, entry[:FIELDS])
            if now >= self._shipper.next_check and self._recorder.role.kind != CHILD:
                self._shipper.ensure(now)
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("after_task_publish", exc)

    def failed(self, entry: Pending) -> None:
        """Record a publish that raised. It does not raise itself."""
        try:
            facts, error = entry[FACTS], entry[ERROR]
            entry[HEADERS] = header_values(facts)
            entry[TASK_RULES] = self._rules(facts.get("task"), entry[BODY])
            what = (class_name(error), message(error)) if error is not None else (None, None)
            fields = (*entry[:BODY_SIZE], *what, *entry[BODY_SIZE:FIELDS])
            self._write(_SEND_FAILED, time_ns(), fields)
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("send_failed", exc)

    def close(self) -> None:
        """Record what failed and was not recorded yet, on whatever thread: the process ends."""
        for entry in self._pending.failed():
            self.failed(entry)

    def _look_closer(self, headers: dict[str, Any]) -> None:
        pending = self._pending
        if pending.has_errors:
            for entry in pending.failed(threading.get_ident()):
                self.failed(entry)
        chords = self._chords
        if chords.under_way() and headers.get("task") == CHORD_UNLOCK:
            # It is not alone, although it looks so: it polls for the chord that is published.
            headers.setdefault(TRAIL_HEADER, "")
        pending.look_closer = pending.has_errors or chords.any_under_way()

    def _minted(
        self, now: int, body: Any, headers: dict[str, Any], queue: Any
    ) -> tuple[dict[str, Any], Minted]:
        # Task protocol 1 has all in the body, and no room for a trail that would arrive.
        facts = headers if "id" in headers or type(body) is not dict else body
        args, kwargs, embedded = body if type(body) is tuple and len(body) == 3 else _NO_BODY
        known = queue if type(queue) is str else ""
        message = Message(facts, args, kwargs, embedded, known)
        return facts, self._mint(now, message, current_request())
