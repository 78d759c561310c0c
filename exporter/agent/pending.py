"""Publishes that have begun and not ended: from before_task_publish to after_task_publish."""

from __future__ import annotations

import threading
from typing import Any

MAX_PENDING = 10_000


class Pending:
    """One publish under way. ``body`` is the object that is published, known by its identity.

    ``facts`` is where the task's id and the like are: the headers, or the body in task protocol 1.
    """

    __slots__ = (
        "body",
        "chord_body_id",
        "content_encoding",
        "content_type",
        "encoded",
        "error",
        "exchange",
        "facts",
        "linked_run_id",
        "properties",
        "routing_key",
        "started",
        "thread",
        "trail",
    )

    def __init__(
        self,
        started: int,
        body: Any,
        facts: dict[str, Any],
        properties: dict[str, Any],
        exchange: Any,
        routing_key: Any,
        minted: tuple[tuple[Any, ...], str | None, str | None],
    ) -> None:
        self.started = started
        self.body = body
        self.facts = facts
        self.properties = properties
        self.exchange = exchange
        self.routing_key = routing_key
        self.trail, self.linked_run_id, self.chord_body_id = minted
        self.encoded: Any = None
        self.content_type: str | None = None
        self.content_encoding: str | None = None
        self.error: BaseException | None = None
        self.thread = 0


class PendingPublishes:
    """The publishes of this process that are under way, by the identity of their body.

    An entry keeps its body alive, so the identity is not reused while it is in here.
    """

    def __init__(self) -> None:
        self._entries: dict[int, Pending] = {}
        self.get = self._entries.get
        self.has_errors = False

    def begin(self, entry: Pending) -> None:
        """Remember a publish that begins; the oldest is forgotten when far too many never ended."""
        self._entries[id(entry.body)] = entry
        if len(self._entries) > MAX_PENDING:
            self._entries.pop(next(iter(self._entries)), None)

    def fail(self, entry: Pending, error: BaseException) -> None:
        """Note the error of a publish; it stays until it ends after all, or is taken out."""
        entry.error = error
        entry.thread = threading.get_ident()
        self.has_errors = True

    def end(self, body: Any) -> Pending | None:
        """Take out the publish of this very body, or return None."""
        entry = self._entries.pop(id(body), None)
        return entry if entry is not None and entry.body is body else None

    def failed(self, thread: int | None = None) -> list[Pending]:
        """Take out what ended in an error: on that thread, or on any."""
        erroneous = [entry for entry in list(self._entries.values()) if entry.error is not None]
        found = [entry for entry in erroneous if thread in (None, entry.thread)]
        self.has_errors = len(found) < len(erroneous)
        for entry in found:
            self._entries.pop(id(entry.body), None)
        return found

    def clear(self) -> None:
        """Forget all of them: after a fork they are the parent's."""
        self._entries.clear()
