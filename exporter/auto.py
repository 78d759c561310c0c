"""Importing this module records the Celery tasks that this process publishes or runs.

All settings come from the environment; see ``celerytrail.exporter.agent.instrument``.
"""

from __future__ import annotations

from celerytrail.exporter.agent import instrument

instrument()
