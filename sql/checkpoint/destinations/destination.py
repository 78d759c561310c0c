"""What a place that notes are published to has to do."""

from __future__ import annotations

from typing import Protocol

from celerytrail.sql.checkpoint.checkpoint_file import Entry


class Destination(Protocol):
    """One place outside of the database. ``name`` is what records and cursors call it."""

    @property
    def name(self) -> str:
        """Return a short name, without any secret, that stays the same across restarts."""

    def publish(self, entry: Entry) -> None:
        """Keep a note, in bounded time. Taking it twice is no fault. Raises DestinationDown."""

    def close(self) -> None:
        """Let go of connections."""
