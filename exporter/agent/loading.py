"""Loading the agent into ``celery worker`` and ``celery beat`` of an app that knows nothing of it."""

from __future__ import annotations

from typing import Any

from celery import signals

from celerytrail.exporter.agent.install import installed, start

SPAWNED = "celerytrail.exporter.agent.loading:load_into_spawned_child"

_GATES = {
    "celeryd_init": signals.celeryd_init,
    "worker_init": signals.worker_init,
    "beat_init": signals.beat_init,
}


def connect_gates() -> None:
    """Wait for a worker or beat to start in this process; any other command starts nothing."""
    for name, signal in _GATES.items():
        signal.connect(_gate, weak=False, dispatch_uid=f"celerytrail.gate.{name}")


def load_into_spawned_child(app: Any) -> None:
    """Set the agent up in a pool child that is no fork but a new interpreter.

    Celery's command line is not run in it, so no entry point is loaded. What it does is to make the
    app again out of what the main process sent, and an app calls its fixups: this is one.
    """
    if installed() is None:
        start()


def _gate(sender: Any = None, signal: Any = None, **named: Any) -> None:
    # Connecting a handler while its signal is being sent does not call it any more: it has to be
    # handed what it would have got.
    if installed() is not None or start() is None:
        return
    fixups = getattr(getattr(named.get("instance", sender), "app", None), "fixups", None)
    if isinstance(fixups, set):
        fixups.add(SPAWNED)
    there = installed()
    name = getattr(signal, "name", None)
    handler = there.connected.get(name) if there is not None and name else None
    if handler is not None:
        handler(sender=sender, signal=signal, **named)
