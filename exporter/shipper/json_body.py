"""The JSON body of a Celery message: its value, and where the arguments are in it."""

from __future__ import annotations

import json
from typing import Any

_decode = json.JSONDecoder().raw_decode


def parsed(body: bytes) -> Any:
    """Return the value of JSON. Raises ValueError, RecursionError."""
    if body.isascii():
        # Most bodies: without the look for encodings and blanks around. What it does not take
        # wholly, such as UTF-16 in which every other byte is zero, is left to json.
        text = body.decode("ascii")
        try:
            value, end = _decode(text)
        except ValueError:
            return json.loads(body)
        if end == len(text):
            return value
    return json.loads(body)


def arguments_of(value: Any) -> tuple[list[Any] | None, Any]:
    """Return args and kwargs of a body of protocol 1 or 2, None and None of what is no such body."""
    if isinstance(value, list) and len(value) >= 2:
        args, kwargs = value[:2]
    elif isinstance(value, dict) and "args" in value and "kwargs" in value:
        args, kwargs = value["args"], value["kwargs"]
    else:
        return None, None
    return (args, kwargs) if isinstance(args, list) and isinstance(kwargs, dict) else (None, None)


def has_repeated_names(body: bytes) -> bool:
    """Tell whether an object has a name twice: only the last value of it was looked at."""

    def check(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("repeated name")
        return dict(pairs)

    try:
        json.loads(body, object_pairs_hook=check)
    except ValueError:
        return True
    return False
