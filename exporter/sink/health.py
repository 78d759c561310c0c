"""GET /health, /ready and /metrics; none of them says anything a stranger must not know."""

from __future__ import annotations

import logging

from flask import Blueprint, Response, jsonify

from celerytrail.exporter.sink.errors import LedgerRefused, SinkError
from celerytrail.exporter.sink.guard_watch import GuardWatch
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.exporter.sink.metrics import Metrics

_log = logging.getLogger(__name__)


def health_blueprint(ledger: Ledger, guards: GuardWatch, metrics: Metrics) -> Blueprint:
    """Return the three routes.

    ``/health`` answers 200 as long as the process answers. ``/ready`` answers 200 when the database
    is reachable, has the right schema and its guards are as designed, else 503.
    """
    routes = Blueprint("health", __name__)

    @routes.get("/health")
    def health() -> Response:
        return jsonify(status="ok")

    @routes.get("/ready")
    def ready() -> tuple[Response, int]:
        try:
            ledger.ready()
            guards.check(now=True)
        except LedgerRefused as error:
            _log.warning("not ready: %s", error)
            return jsonify(status="not ready", reason=str(error)), 503
        except SinkError as error:
            # What the driver says may name hosts and users: that is for the log alone.
            _log.warning("not ready: %s", error)
            return jsonify(status="not ready", reason="the database cannot be reached"), 503
        return jsonify(status="ready"), 200

    @routes.get("/metrics")
    def expose() -> Response:
        return Response(metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")

    return routes
