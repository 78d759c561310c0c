"""What the routes of one application work with; made once by ``app.create_app``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from flask import current_app

from celerytrail.action_api.action import ActionRequest, Verb
from celerytrail.action_api.actor import Actor
from celerytrail.action_api.config import ActionApiConfig
from celerytrail.action_api.http.confirmation import Confirmations
from celerytrail.action_api.http.metrics import Metrics
from celerytrail.action_api.http.rate_limit import RateLimit
from celerytrail.action_api.http.refusals import Audit, Refusals
from celerytrail.action_api.identity.authenticate import Authenticator
from celerytrail.action_api.perform import PerformedAction
from celerytrail.action_api.rows import ApiToken, IntentState
from celerytrail.exporter.deployment import Deployment

EXTENSION = "celerytrail-actions"

Perform = Callable[[ActionRequest, Verb, Callable[[Actor, str, Deployment], None]], PerformedAction]


class Ledger(Audit, Protocol):
    """The parts of the ledger that the HTTP side uses itself."""

    def ready(self) -> None:
        """Return when an action could be written down now; raises ActionApiError."""

    def authenticate_api_token(self, token_hash: bytes) -> ApiToken | None:
        """Return whom a token speaks for, None when it is not valid."""

    def intent_state(self, intent_id: UUID) -> IntentState | None:
        """Return where an intent stands, None for one that is not known."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a request needs, for one process."""

    config: ActionApiConfig
    ledger: Ledger
    verbs: Mapping[str, Verb]
    perform: Perform
    queues: Callable[[Deployment], Sequence[Mapping[str, Any]]]
    authenticator: Authenticator
    refusals: Refusals
    rate_limit: RateLimit
    confirmations: Confirmations
    metrics: Metrics


def services() -> Services:
    """Return the services of the application that handles this request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
