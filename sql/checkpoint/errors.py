"""What can go wrong with checkpoints."""

from __future__ import annotations

from celerytrail.sql.errors import SqlError


class CheckpointError(SqlError):
    """Base of the errors of checkpoints; the message names the file or option and what to do."""


class NotANote(CheckpointError):
    """Bytes that should be a signed note, or one of our statements, are not exactly one."""


class KeyUnusable(CheckpointError):
    """A key cannot be made, read or used; no part of a private key is quoted."""


class FileUnusable(CheckpointError):
    """A checkpoint file cannot be read or written, or holds what should not be there."""


class NotContinued(CheckpointError):
    """The ledger does not continue what was signed last; nothing was signed."""


class DestinationDown(CheckpointError):
    """A destination did not take a note within its time; it is tried again."""
