"""The names that dashboards, alert rules, data source and plugin know each other by.

They are part of links that people keep, so they never change.
"""

from __future__ import annotations

DATA_SOURCE = "celerytrail-pg"
DATA_SOURCE_TYPE = "grafana-postgresql-datasource"
PLUGIN = "celerytrail-app"
FOLDER = "Celery"
FOLDER_UID = "celerytrail"

OVERVIEW = "celerytrail-overview"
TASKS = "celerytrail-tasks"
TASK = "celerytrail-task"
WORKFLOW = "celerytrail-workflow"
FAILURES = "celerytrail-failures"
AUDIT = "celerytrail-audit"

TAG = "celerytrail"
"""Every dashboard carries it; the menu at the top lists all that do."""
