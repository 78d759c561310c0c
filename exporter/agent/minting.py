"""Minting the trail of a message that is about to be published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, NamedTuple

from celerytrail.exporter.agent.above import Above, above_of
from celerytrail.exporter.agent.caller_trace import caller_trace
from celerytrail.exporter.agent.canvas import (
    CHORD,
    Group,
    groups_around,
    groups_waited_for,
)
from celerytrail.exporter.agent.chain_length import chain_length
from celerytrail.exporter.agent.chord_runs import CHORD_UNLOCK, ChordRun, ChordWatch
from celerytrail.exporter.agent.group_spans import GroupSpan, GroupSpans
from celerytrail.exporter.agent.ids import Ids
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.trail import UNCOUNTED, Enclosing, Trail

Write = Callable[[int, int, tuple[Any, ...]], None]

_GROUP = STEP_BY_NAME["group"].code


class Message(NamedTuple):
    """What is about to be published. ``facts`` are its headers, in protocol 1 its body."""

    facts: Mapping[str, Any]
    args: Any
    kwargs: Any
    embedded: Any
    queue: str


class Minted(NamedTuple):
    """What goes into the record of a send: the trail, and what else the canvas says.

    ``linked_run_id`` is the run that this send follows. ``chord_headers`` is there for the body of
    a chord: the chord's span id, and how many headers have a span id derived from it. ``chain_length`` is
    there for the first link of a chain; of a later one it is below zero, and how many there are from it on.
    """

    trail: str
    linked_run_id: str | None
    chord_body_id: str | None
    chord_headers: tuple[str, int] | None
    chain_length: int | None


class TrailMint:
    """Decides trace, parent and groups of each send, by ``docs/design/identity.md``."""

    def __init__(self, ids: Ids, groups: GroupSpans, chords: ChordWatch, write: Write) -> None:
        self._ids = ids
        self._groups = groups
        self._chords = chords
        self._write = write

    def mint(self, now: int, message: Message, request: Any) -> Minted:
        """Return the trail of a message, and what else its record says.

        ``request`` is that of the task that publishes. Groups that are seen for the first time get
        their span, and a record, here.
        """
        facts = message.facts
        around = groups_around(facts, message.embedded)
        body_id = around[0].body_id if around else None
        above = above_of(request, facts)
        length = chain_length(message.embedded, request)
        if above is not None and above.again and above.trail.send_id:
            # The task in hand sends its own id again, a retry or a replace: a sibling, no child.
            # After the send before by any clock: the sends of a task are ordered by these times alone.
            trail = above.trail._replace(
                send_id=self._ids.span_id(),
                sent_unix_nano=max(now, above.trail.sent_unix_nano + 1),
                queue=message.queue,
            )
            return Minted(trail.text(), above.run_id or None, body_id, None, length)
        polls = facts.get("task") == CHORD_UNLOCK
        if polls:
            around = self._waited_for(message)
        body_of = above.chord_of_body(facts.get("id")) if above is not None else None
        if above is not None:
            around = above.without_finished(around, body_of)
        trail = self._new(now, message, around, above, body_of, polls)
        return Minted(
            trail.text(),
            above.run_id or None if above is not None and above.again else None,
            body_id,
            (body_of.span_id, max(body_of.headers, 0)) if body_of is not None else None,
            length,
        )

    def _new(
        self,
        now: int,
        message: Message,
        around: list[Group],
        above: Above | None,
        body_of: Enclosing | None,
        polls: bool,
    ) -> Trail:
        runs = self._chords.under_way()
        # The chord whose header this is: one without headers sends its body for the chord around it.
        run = _run_of(around[0].group_id, runs) if around else None
        if run is not None:
            around = _with_outer_chords(around, run, runs)
        trace_id, parent = self._trace(message.facts, around, above)
        root = above.trail.root_group_id if above is not None else ""
        root_span = above.trail.root_group_span_id if above is not None else ""
        if body_of is not None:
            parent = body_of.span_id
        found: list[Enclosing] = []
        for group in reversed(around):
            one = self._group(group, trace_id, parent, root, above, runs)
            found.insert(0, one)
            if not root:
                root, root_span = one.group_id, one.span_id
            parent = one.span_id
        send_id = None
        if run is not None and not polls:
            send_id = run.next_member(parent)
        member_of = found[0] if found and not polls else Enclosing("", "")
        inherited = above.groups() if above is not None else ()
        return Trail(
            trace_id,
            send_id or self._ids.span_id(),
            now,
            parent,
            member_of.span_id,
            root_span,
            member_of.group_id,
            root,
            message.queue,
            _worth_saying((*found, *inherited), member_of.group_id, root),
        )

    def _waited_for(self, message: Message) -> list[Group]:
        runs = self._chords.under_way()
        if runs and isinstance(message.kwargs, dict):
            runs[-1].count(message.kwargs.get("result"))
        return groups_waited_for(message.args)

    def _trace(
        self, facts: Mapping[str, Any], around: list[Group], above: Above | None
    ) -> tuple[str, str]:
        # Returns (trace id, span id that the send or its outermost group hangs under).
        caller = caller_trace(facts)
        if above is not None and (caller is None or caller[0] == above.trail.trace_id):
            return above.trail.trace_id, "" if above.again else above.run_id
        for group in around:
            # Members of one group are in one trace, or the group could not be their parent.
            known = self._groups.get(group.group_id)
            if known is not None:
                return known.trace_id, caller[1] if caller and caller[0] == known.trace_id else ""
        return caller if caller is not None else (self._ids.trace_id(), "")

    def _group(
        self,
        group: Group,
        trace_id: str,
        parent: str,
        root: str,
        above: Above | None,
        runs: list[ChordRun],
    ) -> Enclosing:
        inherited = above.trail.known(group.group_id) if above is not None else None
        if inherited is not None:
            return inherited
        run = _run_of(group.group_id, runs)
        known = self._groups.get(group.group_id)
        if known is None:
            outer = runs[runs.index(run) - 1] if run is not None and run is not runs[0] else None
            derived = outer.next_member(parent) if outer is not None else None
            mine = GroupSpan(trace_id, derived or self._ids.span_id())
            known = self._groups.claim(group.group_id, mine)
            if known is mine:
                if run is not None:
                    run.span_id = mine.span_id
                self._write_group(group, mine, parent, root, run)
        if run is not None and run.span_id == known.span_id:
            return Enclosing(group.group_id, known.span_id, run.size() or UNCOUNTED)
        return Enclosing(group.group_id, known.span_id, UNCOUNTED if group.kind == CHORD else 0)

    def _write_group(
        self, group: Group, span: GroupSpan, parent: str, root: str, run: ChordRun | None
    ) -> None:
        self._write(
            _GROUP,
            time_ns(),
            (
                group.group_id,
                group.kind,
                span.trace_id,
                span.span_id,
                parent,
                root or group.group_id,
                group.body_id,
                run.size() if run is not None else None,
                group.body_name,
            ),
        )


def _run_of(group_id: str, runs: list[ChordRun]) -> ChordRun | None:
    return next((one for one in reversed(runs) if one.group_id == group_id), None)


def _with_outer_chords(around: list[Group], run: ChordRun, runs: list[ChordRun]) -> list[Group]:
    # The chords that Celery publishes are around a header whether or not its message says so.
    missing = [
        Group(one.group_id, CHORD)
        for one in reversed(runs[: runs.index(run)])
        if one.group_id and all(one.group_id != group.group_id for group in around)
    ]
    return [*around, *missing] if missing else around


def _worth_saying(groups: tuple[Enclosing, ...], group_id: str, root: str) -> tuple[Enclosing, ...]:
    told: dict[str, Enclosing] = {}
    for one in groups:
        if one.headers or one.group_id not in (group_id, root):
            told.setdefault(one.group_id, one)
    return tuple(told.values())
