"""Publishing a message: the send is stamped before it and recorded after it."""

from __future__ import annotations

import threading
from time import time_ns
from typing import Any

from celerytrail.exporter.agent.exceptions import class_name, message
from celerytrail.exporter.agent.minting import TrailMint
from celerytrail.exporter.agent.pending import Pending
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.role import CHILD
from celerytrail.exporter.agent.values import body_bytes, header_values
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.record import TRAIL_HEADER

_SENT = STEP_BY_NAME["sent"].code
_SEND_FAILED = STEP_BY_NAME["send_failed"].code


class PublishHandlers:
    """Handlers of before_task_publish and after_task_publish, in every kind of process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._write = recorder.write
        self._pending = recorder.pending
        self._caught = recorder.guard.caught
        self._max_body = recorder.config.max_body_bytes
        self._mint = TrailMint(recorder.ids, recorder.groups, recorder.write).mint

    def before_task_publish(
        self,
        body: Any = None,
        exchange: Any = None,
        routing_key: Any = None,
        declare: Any = None,
        headers: Any = None,
        properties: Any = None,
        **_: Any,
    ) -> None:
        """Mint the trail and put it on the message; remember the publish until it ends."""
        try:
            now = time_ns()
            pending = self._pending
            if pending.has_errors:
                self._flush_failed()
            embedded = body[2] if type(body) is tuple and len(body) == 3 else None
            # Task protocol 1 has all in the body, and no room for a trail that would arrive.
            facts = headers if "id" in headers or type(body) is not dict else body
            queue = declare[0].name if declare else routing_key
            minted = self._mint(now, facts, embedded, queue)
            headers[TRAIL_HEADER] = [*minted[0]]
            pending.begin(Pending(now, body, facts, properties, exchange, routing_key, minted))
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("before_task_publish", exc)

    def after_task_publish(self, body: Any = None, **_: Any) -> None:
        """Record the send that has just been handed to the broker."""
        try:
            entry = self._pending.end(body)
            if entry is None:
                return
            now = time_ns()
            self._write(_SENT, now, self._fields(entry))
            shipper = self._recorder.shipper
            if now >= shipper.next_check and self._recorder.role.kind != CHILD:
                shipper.ensure(now)
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("after_task_publish", exc)

    def failed(self, entry: Pending) -> None:
        """Record a publish that raised. It does not raise itself."""
        try:
            trail, headers, *rest, size = self._fields(entry)
            error = entry.error
            what = (class_name(error), message(error)) if error is not None else (None, None)
            self._write(_SEND_FAILED, time_ns(), (trail, headers, *rest, *what, size))
        except Exception as exc:  # noqa: BLE001 (never into a publisher)
            self._caught("send_failed", exc)

    def close(self) -> None:
        """Record what failed and was not recorded yet, on whatever thread: the process ends."""
        for entry in self._pending.failed():
            self.failed(entry)

    def _flush_failed(self) -> None:
        for entry in self._pending.failed(threading.get_ident()):
            self.failed(entry)

    def _fields(self, entry: Pending) -> tuple[Any, ...]:
        properties = entry.properties
        encoded, size = body_bytes(entry.encoded, self._max_body)
        return (
            entry.trail,
            header_values(entry.facts),
            entry.started,
            entry.exchange,
            entry.routing_key,
            properties.get("priority"),
            properties.get("reply_to"),
            entry.content_type,
            entry.content_encoding,
            encoded,
            entry.chord_body_id,
            entry.linked_run_id,
            size,
        )
