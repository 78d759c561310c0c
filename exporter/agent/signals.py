"""Which of Celery's signals has which handler, and why the others have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from celery import signals
from celery.utils.dispatch import Signal

from celerytrail.exporter.agent.handlers.main_process import MainProcessHandlers
from celerytrail.exporter.agent.handlers.process import ProcessHandlers
from celerytrail.exporter.agent.handlers.publish import PublishHandlers
from celerytrail.exporter.agent.handlers.run import RunHandlers
from celerytrail.exporter.agent.pool_children import PoolChildren
from celerytrail.exporter.agent.recorder import Recorder

Handler = Callable[..., None]

IGNORED: Mapping[str, str] = MappingProxyType(
    {
        "task_success": "task_postrun says the same, with state and result",
        "task_sent": "deprecated; after_task_publish says the same",
        "task_internal_error": "task_failure follows with the same exception",
        "celeryd_init": "too early: neither node name nor logging are final",
        "worker_before_create_process": "the child's own first record says that it was created",
        "beat_embedded_init": "beat_init fires as well",
        "import_modules": "nothing happened to a task",
        "setup_logging": "nothing happened to a task",
        "after_setup_logger": "nothing happened to a task",
        "after_setup_task_logger": "nothing happened to a task",
        "eventlet_pool_started": "worker_ready says the same",
        "eventlet_pool_preshutdown": "worker_shutting_down says the same",
        "eventlet_pool_postshutdown": "worker_shutdown says the same",
        "eventlet_pool_apply": "task_prerun says the same",
        "user_preload_options": "nothing happened to a task",
    }
)
"""Signals without a handler, and the reason."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """All handlers of one recorder."""

    publish: PublishHandlers
    main_process: MainProcessHandlers
    run: RunHandlers
    process: ProcessHandlers
    children: PoolChildren

    @classmethod
    def of(cls, recorder: Recorder) -> Handlers:
        """Make the handlers of a recorder."""
        children = PoolChildren()
        main_process = MainProcessHandlers(recorder, children)
        return cls(
            PublishHandlers(recorder),
            main_process,
            RunHandlers(recorder, main_process),
            ProcessHandlers(recorder, children),
            children,
        )


def table(recorder: Recorder, handlers: Handlers) -> Mapping[str, Handler]:
    """Return signal name -> handler.

    Handlers that fire with every task guard themselves; the others get the guard here. P is a
    publisher, M a worker's main process, C a pool child, B beat.
    """
    publish, run = handlers.publish, handlers.run
    main, process = handlers.main_process, handlers.process
    guarded = recorder.guard.wrap
    return MappingProxyType(
        {
            "before_task_publish": publish.before_task_publish,  # P M C B
            "after_task_publish": publish.after_task_publish,  # P M C B
            "task_received": main.task_received,  # M
            "task_prerun": run.task_prerun,  # C; the caller of an eager task
            "task_postrun": run.task_postrun,  # C; the caller of an eager task
            "task_failure": run.task_failure,  # C; M when the child could not
            "task_retry": run.task_retry,  # C; M on a cold shutdown
            "task_revoked": guarded(main.task_revoked),  # M
            "task_unknown": guarded(main.task_unknown),  # M
            "task_rejected": guarded(main.task_rejected),  # M
            "worker_init": guarded(process.worker_init),  # M
            "celeryd_after_setup": guarded(process.celeryd_after_setup),  # M
            "worker_ready": guarded(process.worker_ready),  # M
            "heartbeat_sent": guarded(process.heartbeat_sent),  # M
            "worker_shutting_down": guarded(process.worker_shutting_down),  # M
            "worker_shutdown": guarded(process.worker_shutdown),  # M
            "worker_process_init": guarded(process.worker_process_init),  # C; M of a solo pool
            "worker_process_shutdown": guarded(process.worker_process_shutdown),  # C
            "beat_init": guarded(process.beat_init),  # B
        }
    )


def celery_signals() -> Mapping[str, Signal]:
    """Return all signals of the Celery that is installed, by name."""
    return {name: value for name, value in vars(signals).items() if isinstance(value, Signal)}


def connect(handlers: Mapping[str, Handler]) -> None:
    """Connect each handler to its signal; the same signal twice is connected once."""
    known = celery_signals()
    for name, handler in handlers.items():
        known[name].connect(handler, weak=False, dispatch_uid=_uid(name))


def disconnect(handlers: Mapping[str, Handler]) -> None:
    """Disconnect what ``connect`` connected."""
    known = celery_signals()
    for name in handlers:
        known[name].disconnect(dispatch_uid=_uid(name))


def _uid(name: str) -> str:
    return f"celerytrail.{name}"
