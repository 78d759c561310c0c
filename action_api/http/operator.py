"""What operators may do: retry, cancel, terminate, retry a whole chord."""

from __future__ import annotations

from typing import Any

from celerytrail.action_api.http.gate import require_action_request, require_identity
from celerytrail.action_api.http.mutation import act, preview
from celerytrail.action_api.http.openapi import Blueprint, acts
from celerytrail.action_api.http.schemas import (
    ActionAnswer,
    GroupParameters,
    PreviewAnswer,
    RetryChordParameters,
    TaskParameters,
    TerminateParameters,
)


def operator_blueprint() -> Blueprint:
    """Return the routes of /v1/operator."""
    routes = Blueprint("operator", __name__, url_prefix="/v1/operator")
    routes.before_request(require_identity)
    routes.before_request(require_action_request)

    @routes.at("POST", "/retry")
    @acts(routes)
    @routes.takes(TaskParameters)
    @routes.answers(ActionAnswer)
    def retry(parameters: dict[str, Any]) -> dict[str, Any]:
        """Send a task again, as a task of its own."""
        return act("retry", parameters)

    @routes.at("POST", "/cancel")
    @acts(routes)
    @routes.takes(TaskParameters)
    @routes.answers(ActionAnswer)
    def cancel(parameters: dict[str, Any]) -> dict[str, Any]:
        """Revoke a task that has not begun."""
        return act("cancel", parameters)

    @routes.at("POST", "/terminate")
    @acts(routes)
    @routes.takes(TerminateParameters)
    @routes.answers(ActionAnswer)
    def terminate(parameters: dict[str, Any]) -> dict[str, Any]:
        """Revoke a task and end the process that runs it."""
        return act("terminate", parameters)

    @routes.at("POST", "/retry-chord")
    @acts(routes)
    @routes.takes(RetryChordParameters)
    @routes.answers(ActionAnswer)
    def retry_chord(parameters: dict[str, Any]) -> dict[str, Any]:
        """Send all tasks of a chord again, and its body."""
        return act("retry-chord", parameters)

    @routes.at("POST", "/preview/retry-chord")
    @acts(routes)
    @routes.takes(GroupParameters)
    @routes.answers(PreviewAnswer)
    def preview_retry_chord(parameters: dict[str, Any]) -> dict[str, Any]:
        """Look what sending a chord again would do."""
        return preview("retry-chord", parameters)

    return routes
