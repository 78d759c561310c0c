"""Cancel: workers forget a task that has not begun; one that runs goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celerytrail.action_api.action import ActionRequest, Intent, Outcome, Plan
from celerytrail.action_api.actor import Role
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import ExpiredIntent
from celerytrail.action_api.verbs.revoking import (
    RECENT_SECONDS,
    perform_revoke,
    plan_revoke,
    preview_revoke,
    recover_revoke,
)
from celerytrail.action_api.verbs.settings import VerbSettings


class Cancel:
    """Revokes a task without ending a process."""

    name = "cancel"
    minimum_role = Role.OPERATOR
    recent_seconds = RECENT_SECONDS

    def __init__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> None:
        self._ledger = ledger
        self._brokers = brokers

    def plan(self, request: ActionRequest) -> Plan:
        """Find the task; one that has ended is refused."""
        return plan_revoke(self._ledger, self._brokers, request, None)

    def preview(self, plan: Plan) -> Mapping[str, Any]:
        """Say which task it would be."""
        return preview_revoke(plan)

    def perform(self, plan: Plan, intent: Intent) -> Outcome:
        """Tell all workers."""
        return perform_revoke(self._ledger, self._brokers, plan, intent)

    def recover(self, expired: ExpiredIntent, *, last_look: bool) -> Outcome | None:
        """Look whether the task was revoked meanwhile."""
        return recover_revoke(self._ledger, expired, last_look=last_look)
