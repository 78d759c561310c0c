"""What the pictures show: the demo's workload in a database of its own, while its workers still run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Final

import psycopg
from psycopg.rows import class_row

from celerytrail.dashboards.drawing.data_source import TimeRange
from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.demo.options import DemoOptions
from celerytrail.examples.demo.parts import CELERYTRAIL, environment
from celerytrail.examples.demo.run import running
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.whole_command import run_to_end
from celerytrail.examples.pictures.operator import act
from celerytrail.exporter.deployment import Deployment

_DATABASE: Final = "celerytrail"
_GRAFANA_ROLE: Final = "celerytrail_grafana"
_TIMEOUT_SECONDS: Final = 300.0
_MARGIN: Final = timedelta(seconds=5)
# In which what was sent again runs, and the verifier goes over it once more.
_SETTLE_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the data are, from when to when, and the ids of a failed task and a failed workflow.

    ``task_within`` is the time from the task's send to its end, and a little on both sides.
    """

    dsn: str
    within: TimeRange
    task_within: TimeRange
    task_id: str
    workflow_id: str


@contextmanager
def scene(
    directory: Path, orders: int, every_seconds: float, say: Callable[[str], None]
) -> Iterator[Scene]:
    """Run the demo's workload, wait until all of it is stored, and yield while the shop is open.

    Raises:
        DemoError: a part could not be started, or there is nothing to show.
    """
    with EmbeddedPostgres(directory / "postgres") as server:
        server.create_database(_DATABASE)
        administrator = server.dsn(_DATABASE)
        options = DemoOptions(
            directory=directory,
            orders=orders,
            every_seconds=every_seconds,
            as_json=False,
            timeout_seconds=_TIMEOUT_SECONDS,
            dsn=administrator,
        )
        with running(options, say, before_stop=_no_more_interrupts) as run:
            began = datetime.now(timezone.utc) - _MARGIN
            run.wait_until_done()
            found = _worth_showing(administrator)
            say("acting on some of it")
            act(
                directory / "buttons.env",
                Deployment(found.namespace, found.service, found.environment),
                task_id=found.task_id,
                waiting_id=found.waiting_id,
                group_id=found.workflow_id,
            )
            _maintain(server.dsn(_DATABASE, user="celerytrail_maintainer"), directory)
            time.sleep(_SETTLE_SECONDS)
            within = TimeRange(began, datetime.now(timezone.utc) + _MARGIN)
            dsn = server.dsn(_DATABASE, user=_GRAFANA_ROLE)
            margin = (found.finished_at - found.sent_at) / 10
            task_within = TimeRange(found.sent_at - margin, found.finished_at + margin)
            yield Scene(dsn, within, task_within, found.task_id, found.workflow_id)


@dataclass(frozen=True, slots=True)
class _Found:
    task_id: str
    namespace: str
    service: str
    environment: str
    sent_at: datetime
    finished_at: datetime
    workflow_id: str
    waiting_id: str


def _worth_showing(dsn: str) -> _Found:
    query = files("celerytrail.examples.pictures").joinpath("worth_showing.sql").read_bytes()
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        connection.cursor(row_factory=class_row(_Found)) as cursor,
    ):
        found = cursor.execute(query).fetchone()
    if found is None or None in (found.workflow_id, found.waiting_id):
        raise DemoError("no task or no chord failed, or nothing waits: there is nothing to show")
    return found


def _maintain(dsn: str, directory: Path) -> None:
    # The demo looks after no database that it was given, and this one is ours.
    done = run_to_end(
        [*CELERYTRAIL, "maintain", "--once"],
        environment=environment({"CELERYTRAIL_DSN": dsn}),
        directory=directory,
        timeout_seconds=_TIMEOUT_SECONDS,
    )
    if done.returncode != 0:
        raise DemoError(f"celerytrail maintain failed:\n{done.stderr.strip()}")


def _no_more_interrupts() -> None:
    # A second Ctrl-C must not keep the parts from being stopped.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
