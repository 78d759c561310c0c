"""The action API as a WSGI application."""

from __future__ import annotations

from flask import Flask

from celerytrail.action_api.http.admin import admin_blueprint
from celerytrail.action_api.http.audited import answer_errors
from celerytrail.action_api.http.gate import add_security_headers
from celerytrail.action_api.http.health import health_blueprint
from celerytrail.action_api.http.openapi import make_document
from celerytrail.action_api.http.operator import operator_blueprint
from celerytrail.action_api.http.services import EXTENSION, Services
from celerytrail.action_api.http.viewer import viewer_blueprint


def create_app(services: Services) -> Flask:
    """Return the application over services that are open; whoever opened them closes them."""
    app = Flask("celerytrail.actions", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = services.config.limits.max_body_bytes
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # Else `//` is answered by a redirect to whatever Host says, before anybody was recognised.
    app.url_map.merge_slashes = False
    app.extensions[EXTENSION] = services
    api = make_document(app)
    answer_errors(app)
    add_security_headers(app)
    for blueprint in (
        operator_blueprint(),
        admin_blueprint(),
        viewer_blueprint(),
        health_blueprint(api),
    ):
        api.register_blueprint(blueprint)
    return app
