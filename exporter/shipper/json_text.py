"""JSON that every reader takes: valid UTF-8, no NUL, no NaN, and not longer than a bound.

RFC 8259 JSON, made so that Postgres takes it as ``jsonb`` too: it refuses U+0000 and lone
surrogates, which Python's ``json`` writes without complaint.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

CUT = "[cut]"
"""Stands where a size bound took something out, at the end of a string or in the place of items."""

# What is given was read from JSON or from marshal, or is a copy: nothing in it holds itself.
_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
).encode
_STRING_LENGTHS = (4096, 1024, 256, 64)
_REPLACEMENT = "\ufffd"
_ATOMS = frozenset((str, int, float, bool, type(None)))
_FORBIDDEN = re.compile("[\0\ud800-\udfff]")


def with_text_keys(value: Any) -> Any:
    """Return a value whose dicts have text for keys, at any depth: JSON has no other.

    Numbers, booleans and None become what Python's ``json`` writes for them, all else the JSON of
    its parts, or its repr. Raises RecursionError for a value that is nested too deep.
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Mapping):
        return {
            key if type(key) is str else _key(key): item
            if type(item) in _ATOMS
            else with_text_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [with_text_keys(item) for item in value]
    return value


def dump(value: Any) -> bytes:
    """Encode a JSON value, putting U+FFFD for what Postgres refuses and text for NaN and infinity.

    Raises RecursionError for a value that is nested too deep.
    """
    if type(value) is list and not value:
        return b"[]"  # most messages have no positional arguments
    try:
        data = _encode(value).encode()
    except (ValueError, TypeError):
        return _dump_clean(_clean(value))
    return _dump_clean(_clean(value)) if b"\\u0000" in data else data


def dump_bounded(value: Any, limit: int) -> tuple[bytes, bool]:
    """Encode a JSON value in at most ``limit`` bytes, and say whether something was cut for that.

    Strings are cut first, to shorter and shorter lengths, then items are left out; ``[cut]`` marks
    both. The outermost type stays what it was. ``limit`` is 64 bytes or more.
    """
    data = dump(value)
    if len(data) <= limit:
        return data, False
    for length in _STRING_LENGTHS:
        if length < limit:
            data = dump(_shorten(value, length))
            if len(data) <= limit:
                return data, True
    return dump(_fit(_shorten(value, min(_STRING_LENGTHS[-1], limit // 8)), limit)), True


def _dump_clean(value: Any) -> bytes:
    return _encode(value).encode()


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _FORBIDDEN.sub(_REPLACEMENT, value)
    if isinstance(value, dict):
        return {_clean(_key(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _FORBIDDEN.sub(_REPLACEMENT, repr(value))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, default=repr)


def _shorten(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= length else value[:length] + CUT
    if isinstance(value, dict):
        return {_shorten(_key(key), length): _shorten(item, length) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shorten(item, length) for item in value]
    return value


def _fit(value: Any, limit: int) -> Any:
    """Leave out what comes after ``limit`` bytes."""
    if isinstance(value, (list, tuple)):
        kept: list[Any] = []
        room = limit - len(CUT) - 5
        for item in value:
            size = len(dump(item)) + 1
            if size > room:
                if room > 64:
                    kept.append(_fit(item, room - 1))
                return [*kept, CUT]
            kept.append(item)
            room -= size
        return kept
    if isinstance(value, dict):
        fitted: dict[str, Any] = {}
        room = limit - len(CUT) - 10
        for key, item in value.items():
            name = len(dump(_key(key))) + 2
            size = name + len(dump(item))
            if size > room:
                if room - name > 64:
                    fitted[_key(key)] = _fit(item, room - name)
                return {**fitted, CUT: True}
            fitted[_key(key)] = item
            room -= size
        return fitted
    data = dump(value)
    if len(data) <= limit:
        return value
    if isinstance(value, str):
        # Quotes, the mark, and up to six bytes a character once escaped.
        return value[: max(0, (limit - len(CUT) - 2) // 6)] + CUT
    return CUT
