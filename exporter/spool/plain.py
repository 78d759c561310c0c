"""Values that marshal can write: what it cannot is turned into text, so that no record is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_TEXT = 64 * 1024
MAX_BYTES = 4 * 1024 * 1024
MAX_ITEMS = 10_000
MAX_DEPTH = 32

_EXACT = frozenset((type(None), bool, int, float, complex))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a value is kept: characters of a text, bytes, items of a container, levels."""

    text: int = MAX_TEXT
    bytes: int = MAX_BYTES
    items: int = MAX_ITEMS
    depth: int = MAX_DEPTH


USUAL = Bounds()
TIGHT = Bounds(text=1024, bytes=0, items=64, depth=6)
"""For a record that is too large for a frame: what is left says that something was there."""


def plain(value: Any, bounds: Bounds = USUAL, depth: int = 0) -> Any:
    """Copy a value, keeping what marshal version 2 writes and making text of the rest.

    Texts, containers and nesting are cut at their bounds; bytes are kept whole or, over their
    bound, not at all. It never raises: an object whose ``__str__`` does is named by its type.
    """
    kind = type(value)
    if kind in _EXACT:
        return value
    if kind is str:
        return clip(value, bounds.text)
    if kind in (bytes, bytearray, memoryview):
        # Half a message body is worse than none: it would be taken for the whole.
        return bytes(value) if len(value) <= bounds.bytes else None
    if depth >= bounds.depth:
        return f"<{kind.__name__}: nested too deep>"
    try:
        if isinstance(value, Mapping):
            pairs = list(value.items())[: bounds.items]
            return {_key(key): plain(item, bounds, depth + 1) for key, item in pairs}
        if isinstance(value, (tuple, list, set, frozenset)):
            items = [plain(item, bounds, depth + 1) for item in list(value)[: bounds.items]]
            return tuple(items) if isinstance(value, tuple) else items
    except Exception:  # noqa: BLE001 (another's container may do anything when it is read)
        return f"<{kind.__name__}>"
    return clip(text_of(value), bounds.text)


def _key(key: Any) -> Any:
    return key if type(key) in _EXACT else text_of(key)


def text_of(value: Any) -> str:
    """Return ``str(value)``, bounded; a value whose ``__str__`` raises is named by its type."""
    try:
        text = str(value)
        # A subclass of str can lie about itself; a slice by the base class cannot.
        return clip(str.__getitem__(text, slice(0, MAX_TEXT + 1)))
    except Exception:  # noqa: BLE001 (another's __str__ may do anything)
        return f"<{type(value).__name__}: its text raised>"


def clip(text: str, limit: int = MAX_TEXT) -> str:
    """Cut a text at ``limit`` characters and say so at its end."""
    return text if len(text) <= limit else text[: limit - 14] + "... [cut here]"


def clip_front(text: str, limit: int = MAX_TEXT) -> str:
    """Cut a text at its beginning: of a traceback, the end says most."""
    return text if len(text) <= limit else "[cut here] ..." + text[14 - limit :]
