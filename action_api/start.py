"""What is checked before the port opens, and how a worker process gets its application."""

from __future__ import annotations

import atexit
from functools import partial

from flask import Flask

from celerytrail.action_api.action import ActionRequest, Verb
from celerytrail.action_api.app import create_app
from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.config import ActionApiConfig
from celerytrail.action_api.errors import Unavailable
from celerytrail.action_api.http.confirmation import Confirmations
from celerytrail.action_api.http.metrics import Metrics
from celerytrail.action_api.http.rate_limit import RateLimit
from celerytrail.action_api.http.refusals import Refusals
from celerytrail.action_api.http.services import Services
from celerytrail.action_api.identity.authenticate import Authenticator
from celerytrail.action_api.intents.settings import IntentSettings
from celerytrail.action_api.intents.sweep import Sweep
from celerytrail.action_api.intents.unwritten import Unwritten
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.ledger_pool import LedgerRefused
from celerytrail.action_api.perform import Authorise, Bench, PerformedAction, perform
from celerytrail.action_api.queues import queues
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.table import make_verbs
from celerytrail.sql.start_check import wrong_guards


def check_database(config: ActionApiConfig) -> None:
    """Return when the database is reachable, has this version's schema and all of its guards.

    An unreachable one is tried again for ``start_seconds``. Raises Unavailable after that, unless
    ``wait_for_database``; LedgerRefused at once for a schema or guards that are wrong.
    """
    wrong = wrong_guards(
        _open_ledger(config),
        unavailable=Unavailable,
        timeout_seconds=config.start_seconds,
        start_without=config.wait_for_database,
    )
    if wrong:
        raise LedgerRefused(
            "guards of the ledger are not as designed, so nothing is done: " + ", ".join(wrong)
        )


def make_app(config: ActionApiConfig) -> Flask:
    """Return the application of one worker process, with connections and threads of its own.

    They are closed, and refusals that are still counted are written, when the process ends.
    """
    limits = config.limits
    ledger = _open_ledger(config)
    bounds = BrokerBounds(
        connect_seconds=min(BrokerBounds().connect_seconds, limits.broker_seconds),
        total_seconds=limits.broker_seconds,
        control_seconds=limits.control_seconds,
    )
    brokers = Brokers(config.deployments, bounds)
    settings = IntentSettings(
        lease_seconds=limits.lease_seconds, recent_seconds=limits.recent_seconds
    )
    bench = Bench(ledger, settings, Unwritten())
    verb_settings = VerbSettings(
        purge_growth_percent=limits.purge_growth_percent,
        purge_most=limits.purge_most,
        chord_most=limits.chord_most,
    )
    verbs = make_verbs(ledger, brokers, verb_settings)
    sweep = Sweep(ledger, verbs, settings, bench.unwritten)
    metrics = Metrics(multiprocess=config.workers > 1)
    refusals = Refusals(ledger, limits, metrics)

    def do(wish: ActionRequest, verb: Verb, authorise: Authorise) -> PerformedAction:
        return perform(wish, verb, authorise, bench)

    services = Services(
        config=config,
        ledger=ledger,
        verbs=verbs,
        perform=do,
        queues=partial(queues, ledger, brokers),
        authenticator=Authenticator(config.orgs, ledger.authenticate_api_token),
        refusals=refusals,
        rate_limit=RateLimit(limits.requests_per_minute_per_actor),
        confirmations=Confirmations(limits.confirmation_seconds),
        metrics=metrics,
    )
    # Registered in the reverse order of what they need.
    atexit.register(ledger.close)
    atexit.register(brokers.close)
    atexit.register(refusals.close)
    atexit.register(sweep.stop)
    sweep.start()
    return create_app(services)


def _open_ledger(config: ActionApiConfig) -> Ledger:
    """Return an open ledger; it connects by itself when it is first used."""
    ledger = Ledger(
        config.dsn, max_size=config.connections, timeout_seconds=config.database_seconds
    )
    ledger.open()
    return ledger
