"""The body of a task message: arguments, and the canvas embedded beside them.

A body of JSON is taken apart without touching the text of the arguments. No other format is loaded:
a pickle runs whatever code it names.
"""

from __future__ import annotations

import json
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celerytrail.action_api.errors import Refused
from celerytrail.exporter.sealed import Message

LINKS = ("callbacks", "errbacks", "chain", "chord")
_NOTHING_TO_CALL = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
_SPACE = " \t\r\n"

# The opcodes that only move or remember what is on the stack, in any protocol.
_MEMORY = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "FRAME"))
_TEXT = frozenset(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "STRING", "SHORT_BINSTRING"))


@dataclass(frozen=True, slots=True)
class CanvasBody:
    """A JSON body of task protocol 2. ``args_text`` and ``kwargs_text`` are as they were sent."""

    args_text: str = field(repr=False)
    kwargs_text: str = field(repr=False)
    embedded: Mapping[str, Any] = field(repr=False)

    @property
    def args(self) -> list[Any]:
        """Return the positional arguments as JSON has them."""
        args: list[Any] = json.loads(self.args_text)
        return args

    @property
    def kwargs(self) -> dict[str, Any]:
        """Return the named arguments as JSON has them."""
        kwargs: dict[str, Any] = json.loads(self.kwargs_text)
        return kwargs

    def alone(self) -> bytes:
        """Return the body of a task with the same arguments that calls nothing afterwards."""
        return f"[{self.args_text}, {self.kwargs_text}, {_NOTHING_TO_CALL}]".encode(
            "utf-8", "surrogatepass"
        )


def read_json_body(message: Message) -> CanvasBody:
    """Take a JSON body apart.

    Raises Refused (code ``unreadable_body``) for anything but arguments and canvas in JSON, in
    UTF-8: a message of task protocol 1, for one.
    """
    if (message.content_encoding or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8"):
        raise _unreadable(f"its encoding is {message.content_encoding}")
    try:
        text = message.body.decode()
        parts = _elements(text)
        values = [json.loads(part) for part in parts]
    except (ValueError, RecursionError) as exc:
        raise _unreadable("it is not what Celery makes") from exc
    if (
        len(values) != 3
        or not isinstance(values[0], list)
        or not isinstance(values[1], dict)
        or not isinstance(values[2], dict | type(None))
    ):
        raise _unreadable("it is not args, kwargs and canvas: task protocol 1 is not sent again")
    return CanvasBody(parts[0], parts[1], values[2] or {})


def ends_without_canvas(pickled: bytes) -> bool:
    """Say whether a pickled body certainly calls nothing afterwards, without loading it.

    The names of its opcodes are read, none is run. Celery puts the canvas last, so a body without
    any ends in four keys with None. What is written in another way is not certain.
    """
    tail: list[tuple[str, Any]] = []
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name not in _MEMORY:
                tail.append((opcode.name, argument))
                del tail[:-13]
    except Exception:  # noqa: BLE001 (whatever the bytes are, they are not sent)
        return False
    if len(tail) < 13:
        return False
    empty, mark, *pairs, items, triple, stop = tail
    keys = pairs[0::2]
    return (
        (empty[0], mark[0]) == ("EMPTY_DICT", "MARK")
        and all(name in _TEXT for name, _ in keys)
        and sorted(str(value) for _, value in keys) == sorted(LINKS)
        and all(name == "NONE" for name, _ in pairs[1::2])
        and [items[0], triple[0], stop[0]] == ["SETITEMS", "TUPLE3", "STOP"]
    )


def _elements(text: str) -> list[str]:
    """Return the texts of the elements of a JSON array."""
    decoder = json.JSONDecoder()
    place = _skip(text, 0)
    if text[place : place + 1] != "[":
        raise ValueError("no array")
    found: list[str] = []
    place = _skip(text, place + 1)
    while text[place : place + 1] != "]":
        _, end = decoder.raw_decode(text, place)
        found.append(text[place:end])
        place = _skip(text, end)
        if text[place : place + 1] == ",":
            place = _skip(text, place + 1)
            if text[place : place + 1] == "]":
                raise ValueError("a comma and nothing")
        elif text[place : place + 1] != "]":
            raise ValueError("no comma")
    if _skip(text, place + 1) != len(text):
        raise ValueError("more after the array")
    return found


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _SPACE:
        place += 1
    return place


def _unreadable(why: str) -> Refused:
    return Refused(f"the body of this message cannot be taken apart: {why}", code="unreadable_body")
