"""The span ids of a chord's headers, derived from the span id of the chord: ``docs/design/identity.md``.

Whoever publishes the chord's body cannot know what the headers were sent as. It knows the chord's
span and how many headers there were; this is how their span ids follow from that.
"""

from __future__ import annotations

from hashlib import sha256

_DOMAIN = b"celerytrail/member/v1\0"


def member_span_id(group_span_id: str, number: int) -> str:
    """Return the span id, 16 hex digits, of the header that was published as the ``number``-th from 0."""
    return sha256(_DOMAIN + f"{group_span_id}\0{number}".encode()).hexdigest()[:16]
