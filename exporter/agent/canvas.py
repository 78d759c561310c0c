"""Which groups a message belongs to: Celery writes it in four different places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_NESTING = 64
"""A canvas nested deeper than this is cut: its message may be someone's attack."""

MAX_FIRST = 128
"""Tasks of a body that is a group are looked at up to this many."""

CHORD = "chord"


@dataclass(frozen=True, slots=True)
class Group:
    """One group around a message. ``kind`` is ``group`` or ``chord``.

    ``body_id`` and ``body_name`` are those of the task that gets the results of the headers: the
    first link of a body that is a chain.
    """

    group_id: str
    kind: str
    body_id: str | None = None
    body_name: str | None = None


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
    return _outwards(group_id, chord)


def chord_of(request: Mapping[str, Any]) -> Any:
    """Return the signature of the body of the chord that a task reports to, or None."""
    chord = request.get("chord")
    return chord if isinstance(chord, dict) else None


def groups_waited_for(args: Any) -> list[Group]:
    """Return the groups of the chord that a ``celery.chord_unlock`` with these arguments waits for."""
    if not isinstance(args, (list, tuple)) or len(args) < 2 or not isinstance(args[0], str):
        return []
    return _outwards(args[0], args[1])


def first_tasks(signature: Any) -> list[Mapping[str, Any]]:
    """Return the signatures that are published first when a canvas is: several of a group or chord."""
    found: list[Mapping[str, Any]] = []
    open_ones = [signature]
    for _ in range(2 * MAX_FIRST):
        if not open_ones or len(found) == MAX_FIRST:
            break
        one = open_ones.pop()
        if not isinstance(one, dict):
            continue
        kind = one.get("subtask_type")
        if kind == "chord":
            open_ones.append(_inside(one, "header"))
        elif kind in ("chain", "group"):
            tasks = _inside(one, "tasks")
            if isinstance(tasks, (list, tuple)):
                open_ones += tasks[:1] if kind == "chain" else reversed(tasks[:MAX_FIRST])
        else:
            found.append(one)
    return found


def is_published_first(task_id: Any, signature: Any) -> bool:
    """Say whether that task is what a canvas begins with, or one of several."""
    return task_id is not None and any(
        _options(one).get("task_id") == task_id for one in first_tasks(signature)
    )


def _outwards(group_id: Any, chord: Any) -> list[Group]:
    found: list[Group] = []
    for _ in range(MAX_NESTING):
        options = _reporting_options(chord)
        if group_id and all(group_id != group.group_id for group in found):
            found.append(_group(group_id, chord))
        if not isinstance(chord, dict):
            break
        group_id = options.get("group_id")
        chord = options.get("chord")
    return found


def _group(group_id: str, chord: Any) -> Group:
    if not isinstance(chord, dict):
        return Group(group_id, "group")
    # Not the task id of the chord itself: of a body that is a chain it is that of the last link, up
    # to Celery 5.5 the group's, in 5.2 there is none.
    first = next(iter(first_tasks(chord)), {})
    body_id, name = _options(first).get("task_id"), first.get("task")
    return Group(
        group_id,
        CHORD,
        body_id if isinstance(body_id, str) and body_id != group_id else None,
        name if isinstance(name, str) else None,
    )


def _reporting_options(signature: Any) -> Mapping[str, Any]:
    # Of a body that is a chain its last link reports to the chord around, of a chord its body.
    for _ in range(MAX_NESTING):
        options = _options(signature)
        if options.get("group_id") or options.get("chord") or not isinstance(signature, dict):
            return options
        kind = signature.get("subtask_type")
        if kind == "chord":
            signature = _inside(signature, "body")
            continue
        tasks = _inside(signature, "tasks") if kind == "chain" else None
        if not tasks or not isinstance(tasks, (list, tuple)):
            return options
        signature = tasks[-1]
    return {}


def _inside(signature: Mapping[str, Any], name: str) -> Any:
    kwargs = signature.get("kwargs")
    return kwargs.get(name) if isinstance(kwargs, dict) else None


def _options(signature: Any) -> Mapping[str, Any]:
    options = signature.get("options") if isinstance(signature, dict) else None
    return options if isinstance(options, dict) else {}
