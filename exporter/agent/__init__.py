"""The agent: records what Celery does in this process, and writes it into the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celerytrail.exporter.agent.sensitive import sensitive

if TYPE_CHECKING:
    from celerytrail.exporter.agent.install import instrument, uninstrument

__all__ = ["instrument", "sensitive", "uninstrument"]


def __getattr__(name: str) -> Any:
    # Modules of tasks import the decorator, in processes that record nothing: it has to be light.
    if name in ("instrument", "uninstrument"):
        from celerytrail.exporter.agent import install

        return getattr(install, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
