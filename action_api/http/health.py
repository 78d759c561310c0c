"""Routes that ask nobody who they are: health, metrics, and the OpenAPI document."""

from __future__ import annotations

from flask import Response, jsonify

from celerytrail.action_api.errors import ActionApiError, Unavailable
from celerytrail.action_api.http.openapi import ActionApi, Blueprint, errors
from celerytrail.action_api.http.schemas import HealthAnswer
from celerytrail.action_api.http.services import services


def health_blueprint(api: ActionApi) -> Blueprint:
    """Return ``/live``, ``/ready``, ``/metrics`` and ``/v1/openapi.json``."""
    routes = Blueprint("health", __name__)

    @routes.at("GET", "/live")
    @routes.answers(HealthAnswer)
    def live() -> dict[str, str]:
        """Say that the process answers."""
        return {"status": "ok"}

    @routes.at("GET", "/ready")
    @errors(routes, 503)
    @routes.answers(HealthAnswer)
    def ready() -> dict[str, str]:
        """Say whether an action could be written into the ledger now."""
        try:
            services().ledger.ready()
        except Unavailable:
            raise
        except ActionApiError as exc:
            raise Unavailable("the database is not as this version needs it") from exc
        return {"status": "ok"}

    @routes.at("GET", "/metrics")
    @routes.answers(
        {"type": "string"}, content_type="text/plain", description="Prometheus' text format"
    )
    def metrics() -> Response:
        """Return what this server counted."""
        return Response(
            services().metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8"
        )

    @routes.at("GET", "/v1/openapi.json")
    @routes.answers({"type": "object"})
    def openapi() -> Response:
        """Return this document."""
        return jsonify(api.spec.to_dict())

    return routes
