"""Bounds of the verbs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VerbSettings:
    """``purge_growth_percent``: by how much a queue may have grown since somebody looked at it, at
    least one message. ``purge_most`` messages are removed at most in one action, ``purge_chunk`` at
    a time, for at most ``purge_seconds``. ``chord_most`` is the largest group that is sent again.
    """

    purge_growth_percent: float = 10.0
    purge_most: int = 100_000
    purge_chunk: int = 200
    purge_seconds: float = 20.0
    chord_most: int = 5_000
    chord_seconds: float = 60.0
