"""A group or chord, put together again from the messages of its members.

Nothing else holds it: the canvas that a publisher made is taken apart when it is sent. Each header
carries the body of its chord; the first link of a chain carries the later links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from celerytrail.action_api.errors import Refused
from celerytrail.action_api.verbs.canvas_body import CanvasBody, read_json_body
from celerytrail.exporter.sealed import Message

Signature = dict[str, Any]

MAX_NESTING = 32
_PARTS = ("header", "body", "tasks")
_OF_THE_OLD_RUN = ("root_id", "parent_id", "reply_to", "group_index")


@dataclass(frozen=True, slots=True)
class Member:
    """A header of a group: its message, and the links that follow it before its part is done."""

    task_id: str
    message: Message = field(repr=False)
    body: CanvasBody = field(repr=False)

    @property
    def links(self) -> list[Signature]:
        """Return the later links of the chain that this member begins, in the order they run."""
        links = self.body.embedded.get("chain") or []
        return [link for link in reversed(links) if isinstance(link, dict)]

    @property
    def group_index(self) -> int | None:
        """Return the place of this member in its group, None where the message does not say."""
        links = self.links
        index = self.message.headers.get("group_index")
        if index is None and links:
            index = _options(links[-1]).get("group_index")
        return index if type(index) is int else None

    @property
    def chord(self) -> Signature | None:
        """Return the body of the chord that this member counts for, None in a plain group."""
        chord = self.body.embedded.get("chord")
        links = self.links
        if chord is None and links:
            chord = _options(links[-1]).get("chord")
        return chord if isinstance(chord, dict) else None


@dataclass(frozen=True, slots=True)
class Workflow:
    """A group as it was sent: headers, and the body of the chord, if it was one."""

    members: tuple[Member, ...]
    chord: Signature | None = field(repr=False)

    @property
    def body_task_id(self) -> str | None:
        """Return the id of the body's task; of the last link where the body is a chain."""
        return None if self.chord is None else last_task_id(self.chord)

    @property
    def task_ids(self) -> list[str]:
        """Return all tasks that come of it and whose ids were known when it was sent."""
        found: dict[str, None] = {}
        for member in self.members:
            found[member.task_id] = None
            for link in member.links:
                found.update(dict.fromkeys(_ids(link)))
        if self.chord is not None:
            found.update(dict.fromkeys(_ids(self.chord)))
        return list(found)


def workflow(group_id: str, messages: Iterable[tuple[str, Message]]) -> Workflow:
    """Put a group together from the newest message of each of its tasks.

    Tasks that another member's chain, or the body, sends are left out: they come again with it.
    Raises Refused (code ``unreadable_body``, ``mixed_chord``) for what cannot be taken apart, and
    ``members_missing`` where a place of the group is empty.
    """
    members = [Member(task_id, message, read_json_body(message)) for task_id, message in messages]
    later: set[str] = set()
    chords: dict[str, Signature] = {}
    for member in members:
        for link in member.links:
            later.update(_ids(link))
    for member in members:
        if member.task_id in later:
            continue
        chord = member.chord
        if chord is not None:
            chords.setdefault(str(_options(chord).get("task_id")), chord)
    for chord in chords.values():
        later.update(_ids(chord))
    first = [member for member in members if member.task_id not in later]
    with_chord = [member for member in first if member.chord is not None]
    if len({str(_options(m.chord or {}).get("task_id")) for m in with_chord}) > 1 or (
        with_chord and len(with_chord) != len(first)
    ):
        raise Refused(
            f"the tasks of group {group_id} do not belong to one chord: retry them one by one",
            code="mixed_chord",
        )
    _require_every_place(group_id, first)
    return Workflow(tuple(first), with_chord[0].chord if with_chord else None)


def _require_every_place(group_id: str, members: list[Member]) -> None:
    """Refuse a group in which somebody is missing before the last that is there.

    The body of a chord is a member of the group that its chord is in, and is sent only when that
    chord is through. Without it the body of the group would run with a result too few.
    """
    places = {member.group_index for member in members}
    known = {place for place in places if place is not None}
    if None in places or len(known) == max(known, default=-1) + 1:
        return
    missing = min(set(range(max(known))) - known)
    raise Refused(
        f"member {missing} of group {group_id} was never sent, or is not known: retry the chord or "
        "chain that it comes from",
        code="members_missing",
    )


def last_task_id(signature: Signature) -> str | None:
    """Return the id of the task that a signature ends with, None where it has none yet."""
    if signature.get("subtask_type") == "chain":
        links = (signature.get("kwargs") or {}).get("tasks")
        if isinstance(links, list) and links and isinstance(links[-1], dict):
            task_id = _options(links[-1]).get("task_id")
            if isinstance(task_id, str):
                return task_id
    task_id = _options(signature).get("task_id")
    return task_id if isinstance(task_id, str) else None


def following(signature: Signature) -> list[Signature]:
    """Return what a chain sends after its first task, in the order it runs; empty where nothing.

    A body that other tasks follow is a chain to some versions of Celery, and a task with a chain in
    its options to others.
    """
    links = _options(signature).get("chain")
    found = [link for link in reversed(links) if isinstance(link, dict)] if links else []
    return [*_chained(signature)[1:], *found]


def following_ids(signature: Signature) -> list[str]:
    """Return the ids of the tasks that a chain sends after its first."""
    return [task_id for link in following(signature) for task_id in _ids(link)]


def without_following(signature: Signature) -> Signature:
    """Return the first task of a chain alone."""
    first = (_chained(signature) or [signature])[0]
    options = {name: value for name, value in _options(first).items() if name != "chain"}
    return {**first, "options": options}


def _chained(signature: Signature) -> list[Signature]:
    if signature.get("subtask_type") != "chain":
        return []
    links = (signature.get("kwargs") or {}).get("tasks")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def renewed(signature: Signature, new_id: Callable[[str], str], *, outermost: bool) -> Signature:
    """Return a signature under new ids, links and options kept.

    ``new_id`` gives the id that stands for an old one, of a task or of a group. The ``outermost``
    signature loses what tied it to the group and chord that it was sent in.
    """
    return _renewed(signature, new_id, outermost, 0)


def _renewed(
    signature: Signature, new_id: Callable[[str], str], outermost: bool, depth: int
) -> Signature:
    if depth > MAX_NESTING:
        raise Refused("the canvas is nested too deeply", code="unreadable_body")
    options = dict(_options(signature))
    for name in _OF_THE_OLD_RUN:
        options.pop(name, None)
    if outermost:
        options.pop("group_id", None)
        options.pop("chord", None)
    for name in ("task_id", "group_id"):
        if isinstance(options.get(name), str):
            options[name] = new_id(options[name])
    for name in ("eta", "expires"):
        # A number counts from when it is sent; a time that is over would keep it from running.
        if not isinstance(options.get(name), (int, float)):
            options.pop(name, None)
    for name in ("link", "link_error"):
        links = options.get(name)
        if isinstance(links, dict):
            links = [links]
        if links:
            options[name] = [
                _renewed(link, new_id, False, depth + 1) if isinstance(link, dict) else link
                for link in links
            ]
    if isinstance(options.get("chain"), list):
        options["chain"] = [
            _renewed(link, new_id, False, depth + 1) if isinstance(link, dict) else link
            for link in options["chain"]
        ]
    if isinstance(options.get("chord"), dict):
        options["chord"] = _renewed(options["chord"], new_id, False, depth + 1)
    made = {**signature, "options": options}
    if signature.get("subtask_type"):
        made["kwargs"] = _renewed_parts(signature.get("kwargs") or {}, new_id, depth)
    return made


def _renewed_parts(
    kwargs: Mapping[str, Any], new_id: Callable[[str], str], depth: int
) -> dict[str, Any]:
    """Return the kwargs of a chain, group or chord: its parts under new ids."""
    made = dict(kwargs)
    for name in _PARTS:
        part = kwargs.get(name)
        if isinstance(part, dict) and "task" in part:
            made[name] = _renewed(part, new_id, False, depth + 1)
        elif isinstance(part, list):
            made[name] = [
                _renewed(one, new_id, False, depth + 1) if isinstance(one, dict) else one
                for one in part
            ]
    return made


def _ids(signature: Signature) -> Iterator[str]:
    """Yield the ids of the tasks of a signature; not those of groups."""
    kind = signature.get("subtask_type")
    task_id = _options(signature).get("task_id")
    if isinstance(task_id, str) and kind != "group":
        yield task_id
    if kind:
        for name in _PARTS:
            part = (signature.get("kwargs") or {}).get(name)
            parts = part if isinstance(part, list) else [part]
            for one in parts:
                if isinstance(one, dict) and "task" in one:
                    yield from _ids(one)


def _options(signature: Mapping[str, Any]) -> Mapping[str, Any]:
    options = signature.get("options")
    return options if isinstance(options, dict) else {}
