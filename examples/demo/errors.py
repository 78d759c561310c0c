"""What keeps the demo from going on."""

from __future__ import annotations


class DemoError(Exception):
    """A part of the demo could not be started, or ended before its time."""
