"""Loading the agent into ``celery worker`` and ``celery beat`` of an app that knows nothing of it."""

from __future__ import annotations

from typing import Any

from celery import signals

from celerytrail.exporter.agent.install import installed, start

_GATES = {
    "celeryd_init": signals.celeryd_init,
    "worker_init": signals.worker_init,
    "beat_init": signals.beat_init,
}


def connect_gates() -> None:
    """Wait for a worker or beat to start in this process; any other command starts nothing."""
    for name, signal in _GATES.items():
        signal.connect(_gate, weak=False, dispatch_uid=f"celerytrail.gate.{name}")


def _gate(sender: Any = None, signal: Any = None, **named: Any) -> None:
    # Connecting a handler while its signal is being sent does not call it any more: it has to be
    # handed what it would have got.
    if installed() is not None or start() is None:
        return
    there = installed()
    name = getattr(signal, "name", None)
    handler = there.connected.get(name) if there is not None and name else None
    if handler is not None:
        handler(sender=sender, signal=signal, **named)
