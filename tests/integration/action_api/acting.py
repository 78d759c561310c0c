"""A pipeline with the working parts of the action API in front of it, without HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from celerytrail.action_api.action import ActionRequest
from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.broker.bounds import BrokerBounds
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.intents.settings import IntentSettings
from celerytrail.action_api.intents.sweep import Sweep
from celerytrail.action_api.intents.unwritten import Unwritten
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.perform import Bench, PerformedAction, perform
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.table import RecoveringVerb, make_verbs
from celerytrail.exporter.deployment import Deployment
from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until

ORDERS = Deployment("shop", "orders", "test")
ALICE = Actor("grafana", "alice", "user:a", Role.ADMIN, 1)
BOB = Actor("grafana", "bob", "user:b", Role.OPERATOR, 1)
INCLUDE = ("--include", "moody")
PATIENT = BrokerBounds(control_seconds=10.0)
"""Long enough for any worker to answer; who has them all waits no longer."""


def everybody_may(actor: Actor, verb: str, deployment: Deployment) -> None:
    """Rights are tested where they are made."""


@dataclass
class Replica:
    """One process' worth of the action API."""

    ledger: Ledger
    brokers: Brokers
    verbs: dict[str, RecoveringVerb]
    settings: IntentSettings
    unwritten: Unwritten = field(default_factory=Unwritten)

    @property
    def bench(self) -> Bench:
        return Bench(self.ledger, self.settings, self.unwritten)

    def sweep(self) -> Sweep:
        return Sweep(self.ledger, self.verbs, self.settings, self.unwritten)

    def do(
        self,
        verb: str,
        *,
        actor: Actor = ALICE,
        deployment: Deployment = ORDERS,
        idempotency_key: str | None = None,
        reason: str | None = None,
        **parameters: str,
    ) -> PerformedAction:
        request = ActionRequest(
            verb, deployment, parameters, actor, f"request-{uuid4()}", reason, idempotency_key
        )
        return perform(request, self.verbs[verb], everybody_may, self.bench)


@contextmanager
def replica(
    dsn: str,
    *deployments: DeploymentSettings,
    bounds: BrokerBounds | None = None,
    verb_settings: VerbSettings | None = None,
    database_seconds: float = 5.0,
    **settings: Any,
) -> Iterator[Replica]:
    """One replica, closed at the end. ``settings`` are those of intents."""
    ledger = Ledger(dsn, max_size=4, timeout_seconds=database_seconds)
    brokers = Brokers(deployments, bounds or PATIENT)
    ledger.open()
    try:
        verbs = make_verbs(ledger, brokers, verb_settings or VerbSettings())
        yield Replica(ledger, brokers, verbs, IntentSettings(**settings))
    finally:
        brokers.close()
        ledger.close()


@dataclass
class Acting:
    """The pipeline, and replicas of the action API on its database and broker."""

    pipeline: Pipeline
    settings: DeploymentSettings

    @contextmanager
    def replica(self, **more: Any) -> Iterator[Replica]:
        with replica(self.pipeline.dsn("celerytrail_actions"), self.settings, **more) as made:
            yield made

    def with_settings(self, **more: Any) -> Acting:
        return Acting(self.pipeline, replace(self.settings, **more))

    def publish(self, canvas: dict[str, Any], **environ: str) -> dict[str, Any]:
        (said,) = self.pipeline.run("publish_canvas.py", json.dumps(canvas), **environ)
        return said

    def task(self, task_id: str) -> dict[str, Any] | None:
        rows = self.pipeline.rows(
            "SELECT * FROM celerytrail_views.tasks WHERE task_id = %s", task_id
        )
        return rows[0] if rows else None

    def wait_for(self, task_id: str, *states: str) -> dict[str, Any]:
        """Return the row of a task as soon as it has one of the states."""

        def there() -> dict[str, Any] | None:
            row = self.task(task_id)
            return row if row is not None and row["state"] in states else None

        return wait_until(there, f"task {task_id} is {' or '.join(states)}")  # type: ignore[return-value]

    def actions(self, action_id: Any) -> list[dict[str, Any]]:
        return self.pipeline.rows(
            "SELECT phase, verb, actor, target, detail FROM celerytrail.actions"
            " WHERE intent_id = %s ORDER BY batch_id",
            action_id,
        )

    def break_numbers(self, *numbers: int) -> None:
        """Make ``moody.pay`` fail for these numbers, and for no others."""
        self._beside("broken").write_text(json.dumps(numbers))

    def let_go(self) -> None:
        """End every ``moody.wait``."""
        self._beside("go").touch()

    def _beside(self, suffix: str) -> Path:
        record = self.pipeline.record
        return record.with_name(f"{record.name}.{suffix}")

    def ran(self, task_id: str) -> list[dict[str, Any]]:
        return [line for line in self.pipeline.recorded() if line["id"] == task_id]


def orders(broker_url: str, **more: Any) -> DeploymentSettings:
    """The settings of the pipeline's deployment."""
    return DeploymentSettings(ORDERS, broker_url, **{"allow_plain": True, **more})
