"""What can go wrong with a spool: its directory, its files, its bytes."""

from __future__ import annotations


class SpoolError(Exception):
    """Base of every error of the spool; the message names the path and says what to do."""


class SpoolDirectoryError(SpoolError):
    """The spool directory cannot be used: not writable, not ours, or not safe."""


class SpoolWriteError(SpoolError):
    """A segment could not be opened or written: disk full, bound reached, file system refused."""


class SpoolFormatError(SpoolError):
    """The bytes of a segment are not what ``docs/design/spool.md`` says."""
