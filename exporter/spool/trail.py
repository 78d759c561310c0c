"""The trail: the message header that says which send, trace, group and root group a message is of.

It is one text, ``docs/design/identity.md`` describes it. A text is what a broker, a pool child and
the spool carry along most cheaply: it is taken apart only where something is made of it.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import NamedTuple

TRAIL_HEADER = "celerytrail"
"""Message header that carries the trail."""

TRAIL_PREFIX = "1;"
"""Version of the layout, and the separator. A later release may append values."""

LARGEST_TIME = (1 << 63) - 1

_TRACE_DOMAIN = b"celerytrail/trace/v1\0"
_MAX_REMEMBERED = 512
_SPAN = "((?!0{16})[0-9a-f]{16}|)"
_TEXT = "([^;]*)"
_LAYOUT = re.compile(
    "1;((?!0{32})[0-9a-f]{32})((?!0{16})[0-9a-f]{16});([0-9]{1,19});"
    f"{_SPAN};{_SPAN};{_SPAN};{_TEXT};{_TEXT};{_TEXT}(?:;{_TEXT}(?:;.*)?)?",
    re.DOTALL,
)
_ENCLOSING = re.compile("((?!0{16})[0-9a-f]{16})(-1|[0-9]{1,9}):(.+)", re.DOTALL)

MAX_ENCLOSING = 8
"""A trail says this much of that many groups, the innermost first."""

UNCOUNTED = -1
"""Instead of the number of headers of a chord that has no derived span ids."""


class Enclosing(NamedTuple):
    """A group around a message. ``headers`` is 0 for a group that is no chord, else their number or
    ``UNCOUNTED``.
    """

    group_id: str
    span_id: str
    headers: int = 0


class Trail(NamedTuple):
    """The values of a trail. Ids are hex digits; what there is none of is ''.

    ``parent_span_id`` is the parent of the send span, kept by retries and replaces. ``group_id`` is
    the innermost group of the message; ``root_group_id`` the outermost, inherited by all that is
    published from inside, and ``root_group_span_id`` lets a chord's body find the span of its outer
    group. ``enclosing`` says more where there is more to say: of chords, and of the groups between.
    """

    trace_id: str
    send_id: str
    sent_unix_nano: int
    parent_span_id: str = ""
    group_span_id: str = ""
    root_group_span_id: str = ""
    group_id: str = ""
    root_group_id: str = ""
    queue: str = ""
    enclosing: tuple[Enclosing, ...] = ()

    def text(self) -> str:
        """Return the header."""
        text = (
            f"{TRAIL_PREFIX}{self.trace_id}{self.send_id};{self.sent_unix_nano};"
            f"{self.parent_span_id};{self.group_span_id};{self.root_group_span_id};"
            f"{escaped(self.group_id)};{escaped(self.root_group_id)};{escaped(self.queue)}"
        )
        if self.enclosing:
            text += ";" + ",".join(
                f"{one.span_id}{one.headers}:{escaped(one.group_id).replace(',', '%2C')}"
                for one in self.enclosing[:MAX_ENCLOSING]
            )
        return text

    def known(self, group_id: str) -> Enclosing | None:
        """Return what this trail says of a group, or None."""
        for one in self.enclosing:
            if one.group_id == group_id:
                return one
        if group_id and group_id == self.group_id and self.group_span_id:
            return Enclosing(group_id, self.group_span_id)
        if group_id and group_id == self.root_group_id and self.root_group_span_id:
            return Enclosing(group_id, self.root_group_span_id)
        return None


def read_trail(text: object) -> Trail | None:
    """Return the trail in a message header, or None where it is no trail of a layout we know.

    The header comes from a broker: anybody may have written it.
    """
    if type(text) is not str:
        return None
    return _read(text) if len(text) > _MAX_REMEMBERED else _remembered(text)


def _read(text: str) -> Trail | None:
    match = _LAYOUT.fullmatch(text)
    if match is None:
        return None
    trace_id, send_id, sent, parent, group_span, root_span, group, root, queue, more = (
        match.groups()
    )
    at = int(sent)
    if at > LARGEST_TIME:
        return None
    return Trail(
        trace_id,
        send_id,
        at,
        parent,
        group_span,
        root_span,
        _plain(group),
        _plain(root),
        _plain(queue),
        _enclosing(more) if more else (),
    )


def derived_trace_id(root_id: str) -> str:
    """Return the trace id of a workflow whose messages carry no trail."""
    return hashlib.sha256(_TRACE_DOMAIN + root_id.encode("utf-8", "replace")).hexdigest()[:32]


# The steps of one message, which all carry it, come soon after each other.
_remembered = lru_cache(maxsize=2048)(_read)


def escaped(text: str) -> str:
    """Return a text without the separator in it."""
    if ";" in text or "%" in text:
        return text.replace("%", "%25").replace(";", "%3B")
    return text


def _enclosing(text: str) -> tuple[Enclosing, ...]:
    found = []
    for part in text.split(",", MAX_ENCLOSING)[:MAX_ENCLOSING]:
        match = _ENCLOSING.fullmatch(part)
        if match is None:
            return ()
        span_id, headers, group_id = match.groups()
        found.append(Enclosing(_plain(group_id.replace("%2C", ",")), span_id, int(headers)))
    return tuple(found)


def _plain(text: str) -> str:
    return text.replace("%3B", ";").replace("%25", "%") if "%" in text else text
