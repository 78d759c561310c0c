"""Which groups a message belongs to: Celery writes it in four different places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_NESTING = 64
"""A canvas nested deeper than this is cut: its message may be someone's attack."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group around a message. ``kind`` is ``group`` or ``chord``; ``body_id`` the chord's body."""

    group_id: str
    kind: str
    body_id: str | None = None
    size: int | None = None


def groups_around(headers: Mapping[str, Any], embedded: Any) -> list[Group]:
    """Return the groups of a message, innermost first; none for a message outside of any.

    ``headers`` are the message's, ``embedded`` the third part of a protocol 2 body. The rule is in
    ``docs/design/identity.md``: the group of the headers, or that of the last link when this is a
    chain's first; then outwards along the chords.
    """
    group_id = headers.get("group")
    if not isinstance(embedded, dict):
        return [Group(group_id, "group")] if group_id else []
    chord = embedded.get("chord")
    chain = embedded.get("chain")
    if group_id is None and chord is None and not chain:
        return []
    if chain:
        options = _options(chain[0])
        group_id = group_id or options.get("group_id")
        chord = chord or options.get("chord")
    found: list[Group] = []
    for _ in range(MAX_NESTING):
        options = _options(chord)
        if group_id and all(group_id != group.group_id for group in found):
            found.append(_group(group_id, chord, options))
        if not isinstance(chord, dict):
            break
        group_id = options.get("group_id")
        chord = options.get("chord")
    return found


def _group(group_id: str, chord: Any, options: Mapping[str, Any]) -> Group:
    if not isinstance(chord, dict):
        return Group(group_id, "group")
    # Up to Celery 5.5 the task id of a body that is a chain is the group's: no id of a task.
    body_id = options.get("task_id")
    size = chord.get("chord_size")
    return Group(
        group_id,
        "chord",
        body_id if isinstance(body_id, str) and body_id != group_id else None,
        size if type(size) is int else None,
    )


def _options(signature: Any) -> Mapping[str, Any]:
    options = signature.get("options") if isinstance(signature, dict) else None
    return options if isinstance(options, dict) else {}
