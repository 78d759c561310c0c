"""What only admins may do: purge a queue."""

from __future__ import annotations

from typing import Any

from celerytrail.action_api.http.gate import require_action_request, require_identity
from celerytrail.action_api.http.mutation import act, preview
from celerytrail.action_api.http.openapi import Blueprint, acts
from celerytrail.action_api.http.schemas import (
    ActionAnswer,
    PreviewAnswer,
    PurgeParameters,
    QueueParameters,
)


def admin_blueprint() -> Blueprint:
    """Return the routes of /v1/admin."""
    routes = Blueprint("admin", __name__, url_prefix="/v1/admin")
    routes.before_request(require_identity)
    routes.before_request(require_action_request)

    @routes.at("POST", "/purge")
    @acts(routes)
    @routes.takes(PurgeParameters)
    @routes.answers(ActionAnswer)
    def purge(parameters: dict[str, Any]) -> dict[str, Any]:
        """Remove the messages that wait in a queue."""
        return act("purge", parameters)

    @routes.at("POST", "/preview/purge")
    @acts(routes)
    @routes.takes(QueueParameters)
    @routes.answers(PreviewAnswer)
    def preview_purge(parameters: dict[str, Any]) -> dict[str, Any]:
        """Look what purging a queue would remove."""
        return preview("purge", parameters)

    return routes
