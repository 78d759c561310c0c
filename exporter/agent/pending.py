"""Publishes that have begun and not ended: from before_task_publish to after_task_publish."""

from __future__ import annotations

import threading
from typing import Any

from celerytrail.exporter.spool.record import LAYOUTS

MAX_PENDING = 10_000

Pending = list[Any]
"""One publish under way: the fields of its ``sent`` record as far as they are known, and then more.

A list, because a publisher makes one for each message and an object takes several times as long.
"""

_SENT = LAYOUTS["sent"]
FIELDS = len(_SENT)
HEADERS, CONTENT_TYPE, CONTENT_ENCODING, ENCODED, BODY_SIZE, TASK_RULES = map(
    _SENT.index,
    ("headers", "content_type", "content_encoding", "body", "body_size", "task_rules"),
)
BODY = FIELDS
"""The object that is published, known by its identity."""

FACTS = FIELDS + 1
"""Where the task's id and the like are: the headers, or the body in task protocol 1."""

ERROR, THREAD = FIELDS + 2, FIELDS + 3


class PendingPublishes:
    """The publishes of this process that are under way, by the identity of their body.

    An entry keeps its body alive, so the identity is not reused while it is in here. ``entries`` has
    them by that identity.
    """

    def __init__(self) -> None:
        self.entries: dict[int, Pending] = {}
        self.has_errors = False
        self.look_closer = False
        """Whether the next publish has to look at what is unusual: errors, chords under way."""

    def forget_oldest(self) -> None:
        """Make room: far too many began and never ended."""
        self.entries.pop(next(iter(self.entries)), None)

    def fail(self, entry: Pending, error: BaseException) -> None:
        """Note the error of a publish; it stays until it ends after all, or is taken out."""
        entry[ERROR] = error
        entry[THREAD] = threading.get_ident()
        self.has_errors = self.look_closer = True

    def of(self, body: Any) -> Pending | None:
        """Return the publish of this very body, or None."""
        entry = self.entries.get(id(body))
        return entry if entry is not None and entry[BODY] is body else None

    def end(self, body: Any) -> Pending | None:
        """Take out the publish of this very body, or return None."""
        entry = self.entries.pop(id(body), None)
        return entry if entry is not None and entry[BODY] is body else None

    def failed(self, thread: int | None = None) -> list[Pending]:
        """Take out what ended in an error: on that thread, or on any."""
        erroneous = [entry for entry in list(self.entries.values()) if entry[ERROR] is not None]
        found = [entry for entry in erroneous if thread in (None, entry[THREAD])]
        self.has_errors = len(found) < len(erroneous)
        for entry in found:
            self.entries.pop(id(entry[BODY]), None)
        return found

    def clear(self) -> None:
        """Forget all of them: after a fork they are the parent's."""
        self.entries.clear()
