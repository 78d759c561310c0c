"""The life of this process: a worker that starts, is ready, beats and stops; its children; beat."""

from __future__ import annotations

from time import time_ns
from typing import Any

import celery

from celerytrail.exporter.agent.guard import logger
from celerytrail.exporter.agent.pool_children import PoolChildren
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.role import BEAT, CHILD, PUBLISHER, WORKER
from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.directory import prepare_directory, spool_usage
from celerytrail.exporter.spool.errors import SpoolError

HEARTBEAT_NANOSECONDS = 60 * 1_000_000_000

_HEARTBEAT = STEP_BY_NAME["worker_heartbeat"].code


class ProcessHandlers:
    """Handlers of the worker_*, celeryd_*, beat_* and heartbeat signals."""

    def __init__(self, recorder: Recorder, children: PoolChildren) -> None:
        self._recorder = recorder
        self._children = children
        self._stopping = False
        self._next_heartbeat = 0
        self._announced = False

    def worker_init(self, sender: Any = None, **_: Any) -> None:
        """Become the worker of that node name, before it forks its pool."""
        self._change_role(WORKER)
        self._recorder.role.become_worker(sender.hostname)

    def celeryd_after_setup(self, sender: Any = None, instance: Any = None, **_: Any) -> None:
        """Say that the recorder runs, now that logging is set up, and start the shipper."""
        self._recorder.role.become_worker(sender)
        self._start(instance)

    def worker_ready(self, sender: Any = None, **_: Any) -> None:
        """Record that the worker consumes, with its pool and its queues."""
        controller = getattr(sender, "controller", sender)
        self._start(controller)
        self._stopping = False
        self._children.watch(getattr(controller, "pool", None))
        self._children.sample()
        self._recorder.note(
            "worker_ready",
            getattr(controller, "concurrency", None),
            _pool_name(getattr(controller, "pool_cls", None)),
            _queue_names(sender),
            str(celery.__version__),
        )

    def heartbeat_sent(self, **_: Any) -> None:
        """Record that the worker lives, once a minute; look after its children and the shipper."""
        now = time_ns()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_NANOSECONDS
            self._recorder.write(_HEARTBEAT, now, (self._recorder.writer.lost, *self._spool()))
        self._recorder.shipper.ensure(now)
        self._note_ended_children()
        self._children.sample()

    def worker_shutting_down(self, how: Any = None, **_: Any) -> None:
        """Record that the worker was told to stop, warm or cold."""
        self._note_ended_children()
        self._stopping = True  # from now on children end because they are told to
        self._recorder.note("worker_stopping", how)

    def worker_shutdown(self, **_: Any) -> None:
        """Say goodbye: the worker has stopped."""
        self._recorder.close()

    def worker_process_init(self, sender: Any = None, **_: Any) -> None:
        """Become a pool child of that node, where it is a new interpreter and no fork."""
        if self._recorder.role.kind == PUBLISHER:
            self._change_role(CHILD)
            self._recorder.role.become_child(sender)

    def worker_process_shutdown(self, **_: Any) -> None:
        """Say goodbye: this pool child ends."""
        if self._recorder.role.kind != WORKER:
            self._recorder.close()

    def beat_init(self, sender: Any = None, **_: Any) -> None:
        """Become beat, the process that publishes by the clock."""
        self._change_role(BEAT)
        self._recorder.role.become_beat()
        self._start(sender)

    def _spool(self) -> tuple[int, int] | tuple[()]:
        try:
            usage = spool_usage(self._recorder.config.spool_dir)
        except SpoolError:
            return ()
        return usage.bytes, usage.segments

    def _change_role(self, kind: str) -> None:
        # A stream is of one kind of process: what was published before has its own.
        if self._recorder.role.kind != kind:
            self._recorder.close()

    def _note_ended_children(self) -> None:
        if not self._stopping:
            for end in self._children.ended():
                self._recorder.note("child_exited", *end.fields())

    def _start(self, sender: Any) -> None:
        if self._announced:
            return
        self._announced = True
        recorder = self._recorder
        try:
            prepare_directory(recorder.config.spool_dir)
        except SpoolError as exc:
            logger.warning("celerytrail cannot record, tasks run on: %s", exc)
            return
        recorder.shipper.ensure(time_ns())
        announce(recorder, getattr(sender, "app", None))


def announce(recorder: Recorder, app: Any) -> None:
    """Log the one line that says what is recorded and where it goes; never the token."""
    logger.info(
        "celerytrail records app=%s worker=%s spool=%s endpoint=%s",
        getattr(app, "main", None) or "celery",
        recorder.role.worker,
        recorder.config.spool_dir,
        recorder.config.shown_endpoint,
    )


def _pool_name(pool: Any) -> str | None:
    if pool is None:
        return None
    return pool if isinstance(pool, str) else f"{pool.__module__}.{pool.__qualname__}"


def _queue_names(consumer: Any) -> str:
    queues = getattr(getattr(consumer, "task_consumer", None), "queues", None) or ()
    return ",".join(sorted(str(getattr(queue, "name", queue)) for queue in queues))
