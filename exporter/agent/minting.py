"""Minting the trail of a message that is about to be published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from celerytrail.exporter.agent.caller_trace import caller_trace
from celerytrail.exporter.agent.canvas import Group, groups_around
from celerytrail.exporter.agent.group_spans import GroupSpan, GroupSpans
from celerytrail.exporter.agent.ids import Ids
from celerytrail.exporter.agent.running import RUN_ID, RUN_KEY
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.trail import (
    TRAIL_HEADER,
    Trail,
    derived_trace_id,
    read_trail,
)

Write = Callable[[int, int, tuple[Any, ...]], None]
Minted = tuple[str, "str | None", "str | None"]

_GROUP = STEP_BY_NAME["group"].code


class TrailMint:
    """Decides trace, parent and groups of each send, by ``docs/design/identity.md``."""

    def __init__(self, ids: Ids, groups: GroupSpans, write: Write) -> None:
        self._ids = ids
        self._groups = groups
        self._write = write

    def mint(
        self, now: int, headers: Mapping[str, Any], embedded: Any, request: Any, queue: str
    ) -> Minted:
        """Return (trail, run that this send follows, task id of the chord's body).

        ``headers`` are the message's, ``embedded`` the third part of its body, ``request`` that of
        the task that publishes. Groups that are seen for the first time get their span, and a
        record, here.
        """
        around = groups_around(headers, embedded)
        chord_body_id = around[0].body_id if around else None
        inside = self._inherited(request, headers)
        if inside is None:
            trail = self._mint_new(now, headers, around, queue, None, "")
            return trail.text(), None, chord_body_id
        above, run_id, again = inside
        if not again:
            trail = self._mint_new(now, headers, around, queue, above, run_id)
            return trail.text(), None, chord_body_id
        # The task in hand sends its own id again, a retry or a replace: a sibling, not a child.
        if above.send_id:
            trail = above._replace(send_id=self._ids.span_id(), sent_unix_nano=now, queue=queue)
        else:
            trail = self._mint_new(now, headers, around, queue, above, "")
        return trail.text(), run_id or None, chord_body_id

    def _inherited(
        self, request: Any, headers: Mapping[str, Any]
    ) -> tuple[Trail, str, bool] | None:
        # Returns (trail above, run id above, whether the same task is sent again).
        if request is None:
            # Celery's main process copies a request's headers into a retry on the task's behalf.
            stale = read_trail(headers.get(TRAIL_HEADER))
            return None if stale is None else (stale, "", bool(headers.get("retries")))
        known = request.__dict__
        run = known.get(RUN_KEY)
        run_id = run[RUN_ID] if run else ""
        again = headers.get("id") == known["id"]
        trail = read_trail(known.get(TRAIL_HEADER))
        if trail is None:
            trace_id = derived_trace_id(str(known.get("root_id") or known["id"]))
            # No send: this trail was never on a message, only its trace is inherited.
            trail = Trail(trace_id, "", 0)
        return trail, run_id, again

    def _mint_new(
        self,
        now: int,
        headers: Mapping[str, Any],
        around: list[Group],
        queue: str,
        above: Trail | None,
        run_id: str,
    ) -> Trail:
        trace_id, parent = self._trace(headers, around, above, run_id)
        root = above.root_group_id if above is not None else ""
        root_span = above.root_group_span_id if above is not None else ""
        group_id = group_span_id = ""
        for group in reversed(around):
            group_span_id = self._group_span(group, trace_id, parent, root, above)
            group_id = group.group_id
            if not root:
                root, root_span = group_id, group_span_id
            parent = group_span_id
        return Trail(
            trace_id,
            self._ids.span_id(),
            now,
            parent,
            group_span_id,
            root_span,
            group_id,
            root,
            queue,
        )

    def _trace(
        self,
        headers: Mapping[str, Any],
        around: list[Group],
        above: Trail | None,
        run_id: str,
    ) -> tuple[str, str]:
        # Returns (trace id, span id that the send or its outermost group hangs under).
        caller = caller_trace(headers)
        if above is not None and (caller is None or caller[0] == above.trace_id):
            return above.trace_id, run_id
        for group in around:
            # Members of one group are in one trace, or the group could not be their parent.
            known = self._groups.get(group.group_id)
            if known is not None:
                return known.trace_id, caller[1] if caller and caller[0] == known.trace_id else ""
        return caller if caller is not None else (self._ids.trace_id(), "")

    def _group_span(
        self, group: Group, trace_id: str, parent: str, root: str, above: Trail | None
    ) -> str:
        if above is not None:
            if above.group_id == group.group_id and above.group_span_id:
                return above.group_span_id
            if above.root_group_id == group.group_id and above.root_group_span_id:
                return above.root_group_span_id
        known = self._groups.get(group.group_id)
        if known is not None:
            return known.span_id
        mine = GroupSpan(trace_id, self._ids.span_id())
        claimed = self._groups.claim(group.group_id, mine)
        if claimed is mine:
            self._write(
                _GROUP,
                time_ns(),
                (
                    group.group_id,
                    group.kind,
                    trace_id,
                    mine.span_id,
                    parent,
                    root or group.group_id,
                    group.body_id,
                    group.size,
                ),
            )
        return claimed.span_id
