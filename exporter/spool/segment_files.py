"""The files of a segment as a reader changes them: its cursor is moved, and all of them are deleted.

What cannot be written or deleted is no loss, and is logged once a minute at most: a record is sent
again, which the receiver takes for the same one, and a delete is tried again.
"""

from __future__ import annotations

import logging
from pathlib import Path

from celerytrail.exporter.spool.cursor import Cursor
from celerytrail.exporter.spool.followed_stream import FollowedSegment, FollowedStream
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.segment import ACK_SUFFIX, WRAP_SUFFIX


class SegmentFiles:
    """Writes cursors and deletes segments; says in ``log`` what could not be done."""

    def __init__(self, log: PacedLog) -> None:
        self._log = log

    def store_cursor(self, segment: Path, cursor: Cursor) -> None:
        """Replace the cursor of a segment."""
        path = segment.with_suffix(ACK_SUFFIX)
        try:
            cursor.write(path)
        except OSError as exc:
            self._log.say(
                logging.ERROR,
                "cursor %s cannot be written: %s; delivery goes on, and after a restart its "
                "records are sent again",
                path,
                exc.strerror,
            )

    def hand_over(self, stream: FollowedStream, successor: FollowedSegment) -> None:
        """Let the next segment's cursor say what the one before said of the stream, if it says nothing yet."""
        if successor.acknowledged == 0 or successor.header is None:
            runs = stream.open_runs.carried()
            cursor = Cursor(0, stream.acknowledged_seq, stream.torn_bytes, False, runs)
            self.store_cursor(successor.path, cursor)

    def delete(self, stream: FollowedStream, segment: FollowedSegment) -> None:
        """Delete a segment with what is beside it; one that does not go stays in the stream."""
        # The segment goes first: its cursor without it is litter, it without its cursor is a resend.
        # So both stay, here too, when it does not go.
        if not self._unlink(segment.path):
            return
        self._unlink(segment.path.with_suffix(ACK_SUFFIX))
        self._unlink(segment.path.with_suffix(WRAP_SUFFIX))
        stream.segments.pop(segment.number, None)

    def _unlink(self, path: Path) -> bool:
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            self._log.say(logging.WARNING, "%s cannot be deleted: %s", path, exc.strerror or exc)
            return False
        return True
