"""The runs of one stream that have begun and not ended, as its records tell.

The end of a run is written without what its start, in the same segment, has said already; and a
stream that ends leaves behind the runs that nobody will report the end of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from celerytrail.exporter.attributes import STEPS
from celerytrail.exporter.spool.record import LAYOUTS, Record

MAX_CARRIED = 1_000
"""Open runs that are remembered beyond the segment they began in; of more the oldest are dropped."""

_STARTED = "started"
_ENDS = frozenset(step.name for step in STEPS if step.ends and "run_id" in LAYOUTS[step.name])


class OpenRun(NamedTuple):
    """A run that has begun: its id, when it began (nanoseconds), its trail and its request."""

    run_id: str
    start_unix_nano: int
    trail: str | None
    request: tuple[Any, ...]


class OpenRuns:
    """Follows the records of a stream, in their order."""

    def __init__(self, carried: Iterable[OpenRun] = ()) -> None:
        self._runs = {run.run_id: run for run in carried}

    def follow(self, record: Record) -> None:
        """Note a start, or an end; an end that leaves out what its start said gets it back.

        An end whose start was not seen stays as it is: without a request.
        """
        name = record.step.name
        if name == _STARTED:
            fields = record.fields
            run_id, request = fields["run_id"], fields["request"]
            if isinstance(run_id, str) and isinstance(request, (tuple, list)):
                self._runs[run_id] = OpenRun(
                    run_id, record.time_unix_nano, fields["trail"], tuple(request)
                )
        elif name in _ENDS:
            fields = record.fields
            run_id = fields["run_id"]
            run = self._runs.pop(run_id, None) if isinstance(run_id, str) else None
            if run is not None and fields["request"] is None:
                fields["trail"], fields["request"] = run.trail, run.request

    def add(self, runs: Iterable[OpenRun]) -> None:
        """Note runs that are known to be open from elsewhere."""
        self._runs = {**{run.run_id: run for run in runs}, **self._runs}

    def carried(self) -> tuple[OpenRun, ...]:
        """Return the runs that are open, oldest first, as many as are remembered for long."""
        if not self._runs:
            return ()
        return tuple(self._runs.values())[-MAX_CARRIED:]

    def __len__(self) -> int:
        return len(self._runs)
