"""GET /about: which version this sink is, and of which ledger, for who holds one of its tokens."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version

from flask import Blueprint, Response, jsonify, request

from celerytrail.exporter.sink.bearer import token_hash
from celerytrail.exporter.sink.errors import LedgerRefused, SinkError, TokenRefused
from celerytrail.exporter.sink.guard_watch import GuardWatch
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.exporter.sink.refusal import RequestRefused
from celerytrail.sql.migrate import migrations

_log = logging.getLogger(__name__)


def about_blueprint(ledger: Ledger, guards: GuardWatch, chains: Sequence[int] | None) -> Blueprint:
    """Return the route. ``chains`` are those that the sink was told to write to, None where its tokens say that.

    It answers an object with ``version``, ``ledger_id``, ``schema`` (newest migration of the database), ``knows`` (newest
    migration of this version), ``chains``, ``time`` (Unix time of this host) and ``trouble`` (why nothing is
    received, else null). 401 without a token that is good, 503 when the database cannot be asked.
    """
    routes = Blueprint("about", __name__)

    @routes.get("/about")
    def about() -> tuple[Response, int]:
        try:
            # Asked of the database each time: this is for people, and tells what only holders of a token may know.
            ledger.authenticate(token_hash(request.headers.get("Authorization")))
            ledger_id, schema = ledger.identity()
            trouble = _trouble(ledger.ready) or _trouble(lambda: guards.check(now=True))
        except RequestRefused as refusal:
            return jsonify(message=refusal.message), refusal.status
        except TokenRefused:
            return jsonify(message="the bearer token is unknown, revoked or expired"), 401
        except SinkError as error:
            # What the driver says may name hosts and users: that is for the log alone.
            _log.warning("cannot tell about the ledger: %s", error)
            return jsonify(message="the database cannot be asked"), 503
        return jsonify(
            version=_version(),
            ledger_id=ledger_id,
            schema=schema,
            knows=max(one.id for one in migrations()),
            chains=None if chains is None else list(chains),
            time=time.time(),
            trouble=trouble,
        ), 200

    return routes


def _trouble(look: Callable[[], None]) -> str | None:
    try:
        look()
    except LedgerRefused as error:
        return str(error)
    return None


def _version() -> str:
    try:
        return version("celerytrail")
    except PackageNotFoundError:
        return "unknown"
