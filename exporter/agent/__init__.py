"""The agent: records what Celery does in this process, and writes it into the spool."""

from __future__ import annotations

from celerytrail.exporter.agent.install import instrument, uninstrument

__all__ = ["instrument", "uninstrument"]
