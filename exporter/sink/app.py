"""The sink as a WSGI application."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from celerytrail.exporter.sink.about import about_blueprint
from celerytrail.exporter.sink.admission import Admission
from celerytrail.exporter.sink.config import SinkConfig
from celerytrail.exporter.sink.guard_watch import GuardWatch
from celerytrail.exporter.sink.health import health_blueprint
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.exporter.sink.metrics import Metrics
from celerytrail.exporter.sink.receive import Receiver


def create_app(
    config: SinkConfig, ledger: Ledger, verification_status: Path | None = None
) -> Flask:
    """Return the application over a ledger that is open; whoever opened it closes it.

    ``verification_status`` is the file of what the verification beside it finds.
    """
    app = Flask("celerytrail.sink", static_folder=None)
    metrics = Metrics(config.workers > 1, verification_status)
    guards = GuardWatch(ledger.guards)
    admission = Admission(config.max_requests, config.max_bytes_in_flight)
    receiver = Receiver(ledger, metrics, admission, config.body_bounds, guards)
    app.register_blueprint(receiver.blueprint())
    app.register_blueprint(health_blueprint(ledger, guards, metrics))
    app.register_blueprint(about_blueprint(ledger, guards, config.chains))

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> tuple[Response, int]:
        status = error.code or 500
        return jsonify(code=5 if status == 404 else 2, message=error.name), status

    return app
