"""Terminate: workers end the process that runs a task, by a signal."""

from __future__ import annotations

from celerytrail.action_api.action import ActionRequest, Plan
from celerytrail.action_api.errors import BadRequest
from celerytrail.action_api.verbs.revoking import Revoking

SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGKILL")
"""What may be sent: to ask, to interrupt, to dump, to raise Celery's soft time limit, to end."""


class Terminate(Revoking):
    """Revokes a task and signals the process that runs it."""

    name = "terminate"

    def plan(self, request: ActionRequest) -> Plan:
        """Find the task; one that has ended is refused. Raises BadRequest for another signal."""
        signal = request.parameters.get("signal") or "SIGTERM"
        if signal not in SIGNALS:
            raise BadRequest(f"signal has to be one of {', '.join(SIGNALS)}")
        return self._plan(request, signal)
