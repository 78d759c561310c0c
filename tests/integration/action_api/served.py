"""A served action API with two organisations and two deployments."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.tokens import create_api_token, create_token, token_hash
from tests.action_api_process import ActionApiProcess, ApiAnswer
from tests.integration.action_api.grafana_identity import ISSUER, KeyServer, person
from tests.span_rows import SHOP, task_rows

SECRET_1 = "secret-of-the-first-organisation"
SECRET_2 = "secret-of-the-second-organisation"
BANK = Deployment("acme", "bank", "test")
SHOP_PARAMETERS = {"namespace": "acme", "service": "shop", "environment": "test"}
BANK_PARAMETERS = {"namespace": "acme", "service": "bank", "environment": "test"}
RETRY = "/v1/operator/retry"
PURGE = "/v1/admin/purge"

_CONFIG = """
[[deployment]]
namespace = "acme"
service = "shop"
environment = "test"
broker_url = "{broker_url}"
allow_plain = true

[[deployment]]
namespace = "acme"
service = "bank"
environment = "test"
broker_url = "redis://127.0.0.1:{other_broker}/0"

[[grafana]]
org_id = 1
issuer = "{issuer}"
jwks_url = "{jwks_url}"
proxy_secret_file = "secret-1"
[[grafana.right]]
role = "operator"
deployment = "acme/shop/test"
[[grafana.right]]
role = "admin"
deployment = "acme/shop/test"
verbs = ["purge"]

[[grafana]]
org_id = 2
issuer = "{issuer}"
jwks_url = "{jwks_url}"
proxy_secret = "{secret_2}"
[[grafana.right]]
role = "admin"
deployment = "acme/bank/test"

[limits]
{limits}
"""

MANY = """requests_per_minute_per_actor = 100000
refusals_per_minute_per_actor = 10000
unauthenticated_refusals_per_minute = 10000
broker_seconds = 10
"""
"""Bounds that a machine which does more does not reach."""


@dataclass
class Served:
    """The processes of one action API, and what it wrote."""

    admin_dsn: str
    dsn: str
    directory: Path
    valkey: EmbeddedValkey
    key_server: KeyServer
    other_broker: socket.socket
    api: ActionApiProcess

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def refusal(self, answer: ApiAnswer) -> Mapping[str, Any]:
        """Return the one row that the ledger has of a request that was refused."""
        rows = self.rows(
            "SELECT verb, actor, actor_kind, role, namespace, service, environment, target, detail,"
            " batch_id IN (SELECT batch_id FROM celerytrail.chain) AS chained"
            " FROM celerytrail.actions WHERE phase = 'refused' AND request_id = %s",
            answer.json()["request_id"],
        )
        names = "verb actor actor_kind role namespace service environment target detail chained"
        (row,) = rows
        return dict(zip(names.split(), row, strict=True))

    def actions(self) -> int:
        """Return how many rows say that something was begun or done."""
        return int(
            self.rows("SELECT count(*) FROM celerytrail.actions WHERE phase <> 'refused'")[0][0]
        )

    def api_token(self, name: str, *scopes: str, deployment: Deployment = SHOP) -> str:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            return create_api_token(
                connection,
                name=name,
                namespace=deployment.namespace,
                service=deployment.service,
                environment=deployment.environment,
                scopes=scopes,
                expires_in_days=1,
            ).token

    def connections_to_other_broker(self) -> int:
        """Return how many connections arrived at the broker of the second deployment, and end them."""
        found = 0
        while True:
            try:
                self.other_broker.accept()[0].close()
            except BlockingIOError:
                return found
            found += 1

    def another(self, directory: Path, limits: str = MANY, *arguments: str) -> ActionApiProcess:
        """Return one more process over the same database and settings, not started yet."""
        return ActionApiProcess(self.dsn, directory, self.config(directory, limits), arguments)

    def config(self, directory: Path, limits: str) -> str:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "secret-1").write_text(f"{SECRET_1}\n")
        return _CONFIG.format(
            broker_url=self.valkey.url,
            other_broker=self.other_broker.getsockname()[1],
            issuer=ISSUER,
            jwks_url=self.key_server.url,
            secret_2=SECRET_2,
            limits=limits,
        )


def alice(role: str = "Admin") -> dict[str, str]:
    """Return the headers of somebody of the first organisation."""
    return person("alice", role, 1, SECRET_1)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def fill(server: EmbeddedPostgres, name: str) -> None:
    """Write one task of each deployment, as the sink does."""
    ledger = Ledger(server.dsn(name, "celerytrail_sink"), max_size=2, timeout_seconds=20)
    ledger.open()
    try:
        for deployment in (SHOP, BANK):
            with psycopg.connect(server.dsn(name), autocommit=True) as connection:
                made = create_token(
                    connection,
                    name=deployment.service,
                    namespace=deployment.namespace,
                    service=deployment.service,
                    environment=deployment.environment,
                )
            rows = task_rows(
                task_id=f"task-of-{deployment.service}",
                stream=uuid.uuid4(),
                deployment=deployment,
                at=datetime.now(timezone.utc),
            )
            assert ledger.write_spans(token_hash(made.token), rows).inserted == len(rows)
    finally:
        ledger.close()
