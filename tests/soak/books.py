"""What the workload wrote down about itself, compared with what the ledger says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.acceptance.pipeline import Pipeline

# Of each stream: the highest number that anything in the ledger speaks of, and the rows that are there.
STREAMS = """
    WITH written AS (
        SELECT stream_id, count(*) AS in_all, count(DISTINCT seq) AS numbers, max(seq) AS highest
        FROM celerytrail.spans GROUP BY stream_id
    )
    SELECT coalesce(sum(greatest(w.highest, s.last_seq) - w.numbers), 0)::int AS missing,
           coalesce(sum(w.in_all - w.numbers), 0)::int AS double,
           coalesce(sum(w.in_all), 0)::int AS spans, count(*)::int AS streams
    FROM written w FULL JOIN celerytrail.streams s USING (stream_id)
"""
SENT = """
    SELECT task_id, retries, pid, count(*)::int AS times FROM celerytrail.spans
    WHERE step = 'sent' GROUP BY task_id, retries, pid
"""
RAN = """
    SELECT s.task_id, s.retries, s.pid, count(*)::int AS times
    FROM celerytrail.spans s JOIN celerytrail.runs r USING (run_id)
    WHERE s.step = 'started' GROUP BY s.task_id, s.retries, s.pid
"""
WITHOUT_END = """
    SELECT s.pid, count(*)::int AS times
    FROM celerytrail.spans s JOIN celerytrail.runs r USING (run_id)
    WHERE s.step = 'started' AND r.finished_at IS NULL GROUP BY s.pid
"""
TASKS = "SELECT task_id FROM celerytrail.tasks"


class Event(NamedTuple):
    """One line of the workload without its kind: which attempt of which task, in which process."""

    task_id: str
    retries: int
    pid: int


@dataclass(slots=True)
class Written:
    """What the workload wrote down."""

    published: set[str] = field(default_factory=set)
    sent: Counter[Event] = field(default_factory=Counter)
    ran: Counter[Event] = field(default_factory=Counter)

    @classmethod
    def read(cls, record: Path) -> Written:
        """Read the workload's file. Raises ValueError for a line that is none of its own."""
        written = cls()
        with record.open() as lines:
            for line in lines:
                kind, task_id, retries, pid = line.split()
                event = Event(task_id, int(retries), int(pid))
                if kind == "published":
                    written.published.add(task_id)
                elif kind == "sent":
                    written.sent[event] += 1
                elif kind == "ran":
                    written.ran[event] += 1
                else:
                    raise ValueError(f"the workload wrote a line that it does not know: {line!r}")
        return written


@dataclass(frozen=True, slots=True)
class Balance:
    """The differences between both books: all but the first four are to be 0."""

    published: int
    ran: int
    spans: int
    streams: int
    missing: int
    double: int
    tasks_missing: int
    sends_missing: int
    sends_invented: int
    runs_missing: int
    runs_invented: int
    runs_without_end: int

    def even(self) -> bool:
        """Say whether the ledger holds what the workload wrote down, once."""
        return not any(
            (
                self.missing,
                self.double,
                self.tasks_missing,
                self.sends_missing,
                self.sends_invented,
                self.runs_missing,
                self.runs_invented,
                self.runs_without_end,
            )
        )


def balance(pipeline: Pipeline, written: Written, killed: AbstractSet[int]) -> Balance:
    """Compare the workload's book with the ledger.

    A process that was killed may have stopped between the two lines about one event, ours and the
    workload's: one publish of it may be in one book only, and the run it was in has no end. A run
    that the workload wrote down has its start in the ledger even then: that was written before.
    """
    (streams,) = pipeline.rows(STREAMS)
    sent, ran = _events(pipeline, SENT), _events(pipeline, RAN)
    tasks = {row["task_id"] for row in pipeline.rows(TASKS)}
    wanted = written.published | {event.task_id for event in (*written.ran, *written.sent)}
    spared = {event.task_id for event in written.sent if event.pid in killed} - written.published
    open_runs = sum(row["times"] for row in pipeline.rows(WITHOUT_END) if row["pid"] not in killed)
    return Balance(
        published=sum(written.sent.values()),
        ran=sum(written.ran.values()),
        spans=streams["spans"],
        streams=streams["streams"],
        missing=streams["missing"],
        double=streams["double"],
        tasks_missing=len(wanted - tasks - spared),
        sends_missing=_beyond(written.sent - sent, killed, spare=1),
        sends_invented=_beyond(sent - written.sent, killed, spare=1),
        runs_missing=_beyond(written.ran - ran, killed, spare=0),
        runs_invented=_beyond(ran - written.ran, killed, spare=1),
        runs_without_end=open_runs,
    )


def _events(pipeline: Pipeline, statement: str) -> Counter[Event]:
    return Counter(
        {
            Event(row["task_id"], row["retries"], row["pid"]): row["times"]
            for row in pipeline.rows(statement)
        }
    )


def _beyond(difference: Counter[Event], killed: AbstractSet[int], *, spare: int) -> int:
    """Count events in one book only, without the last one of each killed process."""
    by_process: Counter[int] = Counter()
    for event, times in difference.items():
        by_process[event.pid] += times
    for pid in killed:
        by_process[pid] = max(0, by_process[pid] - spare)
    return sum(by_process.values())
