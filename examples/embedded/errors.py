"""What can go wrong with an embedded server, in words that say what to do."""

from __future__ import annotations


class EmbeddedServerError(Exception):
    """An embedded server could not be found, started, reached or stopped."""
