"""Cancel: workers forget a task that has not begun; one that runs goes on."""

from __future__ import annotations

from celerytrail.action_api.action import ActionRequest, Plan
from celerytrail.action_api.verbs.revoking import Revoking


class Cancel(Revoking):
    """Revokes a task without ending a process."""

    name = "cancel"

    def plan(self, request: ActionRequest) -> Plan:
        """Find the task; one that has ended is refused."""
        return self._plan(request, None)
