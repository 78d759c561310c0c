"""Settings of a Celery app that hurt: each check looks at one way in which tasks are lost or doubled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from celerytrail.exporter.agent.doctor.broker_patience import broker_patience
from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, Finding
from celerytrail.exporter.agent.doctor.task_facts import (
    TaskFacts,
    names,
    scheduled_delays,
    tasks_of,
)

LONG_SECONDS = 300.0
SHORT_EXPIRES_SECONDS = 3600.0
FEW_TASKS = 10
_PICKLE = ("pickle", "application/x-python-serialize")


def visibility_timeout(app: Any) -> Iterator[Finding]:
    """Find delays and time limits that outlast the broker's patience with an unacknowledged message."""
    patience = broker_patience(app)
    if patience is None:
        return
    shown = patience.shown
    todo = "set broker_transport_options['visibility_timeout'] above it"
    tasks = tasks_of(app)
    scheduled = {f"delay of beat entry {k}": v for k, v in scheduled_delays(app).items()}
    sure = _longest(_retry_delays(task for task in tasks if task.retries) | scheduled)
    maybe = _longest(_retry_delays(tasks))
    limit = _longest({f"time limit of {t.name}": t.time_limit or 0.0 for t in tasks if t.acks_late})
    waits = "a message that waits for its time is handed to a second worker"
    if sure.seconds > patience.seconds:
        yield Finding(ERROR, f"{shown}, the {sure.shown}", f"{waits}: it runs twice", todo)
    elif maybe.seconds > patience.seconds:
        means = f"{waits}, should the task ever retry: it runs twice"
        yield Finding(WARNING, f"{shown}, the {maybe.shown}", means, todo)
    if limit.seconds > patience.seconds:
        means = "a task that still runs is handed to a second worker: it runs twice"
        yield Finding(ERROR, f"{shown}, the {limit.shown}", means, todo)


def lost_workers(app: Any) -> Iterator[Finding]:
    """Find tasks that are acknowledged late, but not given back when their process is killed."""
    tasks = [task for task in tasks_of(app) if task.acks_late and not task.reject_on_worker_lost]
    if tasks:
        yield Finding(
            WARNING,
            f"acks_late without reject_on_worker_lost: {names(tasks)}",
            "a task whose process is killed, by the kernel for its memory for example, is "
            "acknowledged as failed and does not run again, though acks_late looks as if it would",
            "set task_reject_on_worker_lost where a second run does no harm, else leave acks_late",
        )


def results(app: Any) -> Iterator[Finding]:
    """Find that results are nowhere, or not kept, where a chord and a retry of one need them."""
    if not app.conf.result_backend:
        yield Finding(
            INFO,
            "there is no result backend",
            "no chord can run, and retry-chord has nothing to read the finished members' results from",
            "set result_backend if there are chords",
        )
        return
    ignoring = [task for task in tasks_of(app) if task.ignore_result]
    if ignoring:
        yield Finding(
            INFO,
            f"ignore_result: {names(ignoring)}",
            "what such a task returns is not kept: as the member of a chord, the body may wait for it "
            "in vain, by the kind of backend, and retry-chord has no result to read",
            "leave ignore_result off where a task is a member of chords",
        )


def result_expiry(app: Any) -> Iterator[Finding]:
    """Find results that are gone before a person can retry the chord that they belong to."""
    told = app.conf.result_expires
    seconds = told.total_seconds() if isinstance(told, timedelta) else float(told or 0)
    if app.conf.result_backend and 0 < seconds < SHORT_EXPIRES_SECONDS:
        yield Finding(
            WARNING,
            f"result_expires is {seconds:g} s",
            "results of a chord's members that finished are gone when the last one is slow, and "
            "when a person presses retry",
            f"set it to {SHORT_EXPIRES_SECONDS:g} s or more; Celery's default is a day",
        )


def prefetch(app: Any) -> Iterator[Finding]:
    """Find workers that keep messages in hand for long which others could run."""
    multiplier = app.conf.worker_prefetch_multiplier
    slow = [
        task for task in tasks_of(app) if task.acks_late and (task.time_limit or 0) >= LONG_SECONDS
    ]
    if multiplier == 1 or not slow:
        return
    yield Finding(
        WARNING,
        f"worker_prefetch_multiplier is {multiplier}{'' if multiplier else ' (no bound)'}, with acks_late and "
        f"time limits of {LONG_SECONDS:g} s or more: {names(slow)}",
        "messages wait behind a long task in one worker while others are idle, and longer than a "
        "visibility timeout allows",
        "set worker_prefetch_multiplier to 1",
    )


def always_eager(app: Any) -> Iterator[Finding]:
    """Find an app that sends nothing."""
    if app.conf.task_always_eager:
        yield Finding(
            ERROR,
            "task_always_eager is on",
            "tasks run in the process that calls them: nothing is sent, no worker is used, and a "
            "crash of the caller loses them",
            "set it in tests only",
        )


def connection_retry(app: Any) -> Iterator[Finding]:
    """Find a worker that ends where it could wait for its broker."""
    if not app.conf.broker_connection_retry:
        yield Finding(
            WARNING,
            "broker_connection_retry is off",
            "a worker that loses its broker for a moment ends, and what runs in it is lost",
            "leave it on, or make sure that something starts the worker again",
        )


def children(app: Any) -> Iterator[Finding]:
    """Find pool children that live for a few tasks only."""
    told = app.conf.worker_max_tasks_per_child
    if told and told < FEW_TASKS:
        yield Finding(
            INFO,
            f"worker_max_tasks_per_child is {told}",
            "each child is a process and a stream of its own in the ledger; starting one costs more "
            "than most tasks, and a prefetched task waits for it",
            f"set it to {FEW_TASKS} or more, or use worker_max_memory_per_child",
        )


def pickle_accepted(app: Any) -> Iterator[Finding]:
    """Find workers that run whatever code a message holds."""
    accepted = {*(app.conf.accept_content or ()), *(app.conf.result_accept_content or ())}
    if accepted.intersection(_PICKLE):
        yield Finding(
            WARNING,
            "accept_content has pickle in it",
            "whoever can write to the broker or to the result backend runs code in every worker",
            "send JSON, and accept nothing else",
        )


def not_needed(app: Any) -> Iterator[Finding]:
    """Find settings that make work and that the recorder does not need."""
    names_of = ("task_track_started", "task_send_sent_event", "worker_send_task_events")
    on = [name for name in names_of if app.conf.get(name)]
    if on:
        yield Finding(
            INFO,
            f"{', '.join(on)}: on",
            "each costs a message or a write for every task; the recorder needs none of them",
            "leave them off unless something else reads them",
        )


def logging_left_alone(app: Any) -> Iterator[Finding]:
    """Find that what the recorder says may be seen by nobody."""
    if not app.conf.worker_hijack_root_logger:
        yield Finding(
            INFO,
            "worker_hijack_root_logger is off",
            "the application sets up logging itself: the line that says that the recorder runs is "
            "seen only where the logger celerytrail is at INFO",
            "give the logger celerytrail a level and a handler",
        )


class _Longest(NamedTuple):
    what: str
    seconds: float

    @property
    def shown(self) -> str:
        return f"{self.what} is {self.seconds:g} s"


def _longest(found: Mapping[str, float]) -> _Longest:
    return _Longest(*max(found.items(), key=lambda one: one[1], default=("", 0.0)))


def _retry_delays(tasks: Iterable[TaskFacts]) -> dict[str, float]:
    return {f"retry delay of {task.name}": task.longest_retry_delay or 0.0 for task in tasks}
