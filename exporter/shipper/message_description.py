"""A message as its container holds it: what is the same for many messages is encoded once.

The messages of a task differ in their ids and their body. The JSON of all the rest is remembered as
the pieces between the ids, by the values it was made of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from celerytrail.exporter.sealed import Message
from celerytrail.exporter.shipper.common_key import IDS
from celerytrail.exporter.shipper.json_text import with_text_keys

_MAX_PATTERNS = 2048
_PLACE = re.compile(rb'"\\u0000(id|root_id|parent_id|group)\\u0000"')
_PLACES = [b"id", b"root_id", b"parent_id", b"group", b"id"]
"""Where ids stand in the description: the last one is the correlation id."""


class Describer:
    """Writes messages out of records, and remembers the patterns of their descriptions."""

    def __init__(self) -> None:
        self._patterns: dict[bytes, tuple[bytes, ...] | None] = {}

    def describe(
        self, fields: Mapping[str, Any], facts: Mapping[str, Any], body: bytes, key: bytes | None
    ) -> bytes:
        """Return what ``message_of`` would give as bytes. Raises RecursionError as that does.

        ``key`` is what ``message_key`` says of the fields.
        """
        if key is not None:
            pattern = self._patterns.get(key)
            if pattern is None and key not in self._patterns:
                pattern = _pattern(fields, facts)
                if len(self._patterns) >= _MAX_PATTERNS:
                    self._patterns.clear()
                self._patterns[key] = pattern
            if pattern is not None:
                task_id, root_id, parent_id, group = map(_id, map(facts.get, IDS))
                start, after_id, after_root, after_parent, after_group, end = pattern
                about = b"%b%b%b%b%b%b%b%b%b%b%b" % (
                    start, task_id, after_id, root_id, after_root, parent_id,
                    after_parent, group, after_group, task_id, end,
                )  # fmt: skip
                return len(about).to_bytes(4, "big") + about + body
        return message_of(fields, facts, body).to_bytes()


def message_of(fields: Mapping[str, Any], facts: Mapping[str, Any], body: bytes) -> Message:
    """Return the message of a record. Raises RecursionError for headers that are nested too deep."""
    return Message(
        headers=with_text_keys(facts),
        properties={"correlation_id": facts.get("id"), "reply_to": fields.get("reply_to")},
        exchange=_text(fields.get("exchange")),
        routing_key=_text(fields.get("routing_key")),
        priority=fields.get("priority"),
        content_type=_text(fields.get("content_type")),
        content_encoding=_text(fields.get("content_encoding")),
        body=body,
    )


def beside_the_body(fields: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a message says beside its body: values of headers and properties."""
    # Without the headers' own names: that there is a pin in group_index would cost a long look.
    yield from with_text_keys(facts).values()
    yield facts.get("id")
    yield fields.get("reply_to")


def _pattern(fields: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[bytes, ...] | None:
    """Return the pieces of a description between its ids; None where they cannot be told for sure."""
    marked = {**facts, **{name: f"\0{name}\0" for name in IDS}}
    pieces = _PLACE.split(message_of(fields, marked, b"").to_bytes()[4:])
    return tuple(pieces[::2]) if pieces[1::2] == _PLACES else None


def _id(value: str | None) -> bytes:
    return b"null" if value is None else b'"%b"' % value.encode()


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
