"""Setting the agent up in this process, once, and taking it away again."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.encoders import EncoderWatch
from celerytrail.exporter.agent.errors import AgentError
from celerytrail.exporter.agent.guard import logger
from celerytrail.exporter.agent.handlers.process import announce
from celerytrail.exporter.agent.publish_errors import PublishErrorWatch
from celerytrail.exporter.agent.recorder import Recorder
from celerytrail.exporter.agent.signals import Handler, Handlers, connect, disconnect, table


@dataclass(frozen=True, slots=True)
class Installed:
    """What is in place in this process."""

    recorder: Recorder
    handlers: Handlers
    connected: Mapping[str, Handler]
    encoders: EncoderWatch
    publish_errors: PublishErrorWatch

    def note_fork(self) -> None:
        """Look at what this process has forked. It does not raise."""
        try:
            self.handlers.children.forked()
        except Exception as exc:  # noqa: BLE001 (never into whoever forks)
            self.recorder.guard.caught("fork", exc)

    def close(self) -> None:
        """Record what is still owed, say goodbye, and let the shipper live on."""
        self.handlers.publish.close()
        self.recorder.close()
        self.recorder.shipper.let_go()


_installed: Installed | None = None
_hooked = False


def installed() -> Installed | None:
    """Return what is in place in this process, or None."""
    return _installed


def instrument(
    app: Any = None,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    service: str | None = None,
    namespace: str | None = None,
    environment: str | None = None,
    worker_name: str | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    redaction: str | os.PathLike[str] | None = None,
) -> bool:
    """Record the Celery tasks that this process publishes or runs, and return whether it does.

    Call it once where the app is made; a second call changes nothing. What is not passed comes from
    the environment (``CELERYTRAIL_*``), or else from Django's settings. ``redaction`` is the path of a file of redaction rules for
    the shipper. It raises nothing: what keeps it from starting is one warning.
    """
    if _installed is not None:
        return True
    recorder = start(
        endpoint=endpoint,
        token=token,
        service=service,
        namespace=namespace,
        environment=environment,
        worker_name=worker_name,
        spool_dir=spool_dir,
        redaction=redaction,
    )
    if recorder is not None and not _will_be_announced(app):
        announce(recorder, app)
    return recorder is not None


def _will_be_announced(app: Any) -> bool:
    # Where a worker or beat is what loads the app, it says so itself, with the name it goes by.
    return bool(getattr(getattr(app, "loader", None), "worker_initialized", False))


def start(**settings: Any) -> Recorder | None:
    """Set the agent up with these settings over the environment's, and return what records.

    It does not raise. None says that the agent is disabled, or that a warning says why it does not
    record.
    """
    try:
        config = AgentConfig.of_process(**settings)
        return None if config.disabled else install(config)
    except AgentError as exc:
        logger.warning("celerytrail does not record: %s", exc)
    except Exception as exc:  # noqa: BLE001 (somebody else's process must start all the same)
        logger.warning("celerytrail does not record: %s while it was set up", type(exc).__name__)
    return None


def install(config: AgentConfig) -> Recorder:
    """Put the agent in place with these settings; what is there already stays."""
    global _installed
    if _installed is not None:
        return _installed.recorder
    recorder = Recorder(config)
    handlers = Handlers.of(recorder)
    encoders = EncoderWatch(recorder.pending, config.max_body_bytes)
    publish_errors = PublishErrorWatch(recorder.pending, handlers.publish.failed)
    connected = table(recorder, handlers)
    _installed = Installed(recorder, handlers, connected, encoders, publish_errors)
    encoders.install()
    publish_errors.install()
    recorder.chords.install()
    connect(connected)
    _hook_process(recorder)
    return recorder


def uninstrument() -> None:
    """Take the agent away and end this process's stream; harmless when it is not there."""
    global _installed
    if _installed is None:
        return
    there, _installed = _installed, None
    disconnect(there.connected)
    there.encoders.uninstall()
    there.publish_errors.uninstall()
    there.recorder.chords.uninstall()
    there.close()


def _hook_process(recorder: Recorder) -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        atexit.register(_close)
        _finalize_in_child(recorder)
        os.register_at_fork(after_in_child=_after_fork, after_in_parent=_forked)


def _close() -> None:
    if _installed is not None:
        _installed.close()


def _forked() -> None:
    if _installed is not None:
        _installed.note_fork()


def _after_fork() -> None:
    if _installed is None:
        return
    _installed.recorder.after_fork()
    _installed.handlers.children.after_fork()
    # Children of multiprocessing and billiard end by os._exit: atexit is not run in them.
    for name in ("multiprocessing.util", "billiard.util"):
        module = sys.modules.get(name)
        if module is not None:
            module.register_after_fork(_installed.recorder, _finalize_with(module))


def _finalize_in_child(recorder: Recorder) -> None:
    # A child that is a new interpreter and no fork ends by os._exit as well. While it unpickles what
    # it is to do, it has not become that process yet, and will forget what it is to finalize.
    for name in ("multiprocessing", "billiard"):
        process = sys.modules.get(f"{name}.process")
        util = sys.modules.get(f"{name}.util")
        if process is None or util is None:
            continue
        current = process.current_process()
        if getattr(current, "_inheriting", False):
            util.register_after_fork(recorder, _finalize_with(util))
        elif type(current).__name__ != "_MainProcess":
            util.Finalize(None, _close, exitpriority=0)


def _finalize_with(module: Any) -> Any:
    def finalize(_: Recorder) -> None:
        module.Finalize(None, _close, exitpriority=0)

    return finalize
