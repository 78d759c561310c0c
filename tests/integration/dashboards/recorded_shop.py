"""A shop as the sink records it, written through the sink's own ledger, ten minutes ago."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS
from celerytrail.exporter.deployment import Deployment
from tests.grafana.data_source import DataSource
from tests.span_rows import INDEX, SHOP, Row, payload_row, span_row, task_rows, with_columns

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

AT = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=10)


@dataclass
class RecordedShop:
    """Writes what happened, and asks as Grafana does."""

    database: MigratedDatabase
    ledger: Ledger
    written: int = 0

    @property
    def grafana(self) -> DataSource:
        return DataSource(self.database.dsn("grafana"))

    def panel(self, uid: str, title: str, **values: Any) -> list[dict[str, Any]]:
        """Return the rows of a panel."""
        return self.grafana.panel(f"celerytrail-{uid}", title, values)

    def ran(
        self,
        task_id: str,
        *,
        end: str = "succeeded",
        at: datetime = AT,
        attempt: int = 0,
        steps: int = 4,
        payloads: dict[str, str] | None = None,
        deployment: Deployment = SHOP,
        **columns: Any,
    ) -> None:
        """Record one attempt of a task: the first ``steps`` of sent, received, started and its end.

        ``payloads`` are what is kept of it, by kind, as JSON texts.
        """
        stream = uuid.uuid5(uuid.NAMESPACE_OID, deployment.label)
        rows = task_rows(
            self.written + 1,
            task_id=task_id,
            stream=stream,
            at=at,
            end=end,
            attempt=attempt,
            deployment=deployment,
            **columns,
        )[:steps]
        self.written += len(rows)
        kept = {
            kind: payload_row(
                task_id,
                kind,
                text.encode(),
                at=at,
                retries=attempt,
                # Not a real commitment: a view finds a payload by it, and that is all that matters here.
                commitment=hashlib.sha256(f"{task_id}/{attempt}/{kind}/{text}".encode()).digest(),
                namespace=deployment.namespace,
                service=deployment.service,
                environment=deployment.environment,
            )
            for kind, text in (payloads or {}).items()
        }
        rows = [_committing(row, kept) for row in rows]
        token = (
            self.database.token
            if deployment == SHOP
            else self.database.new_token(deployment, name=uuid.uuid4().hex)
        )
        if kept:
            self.ledger.write_payloads(token, list(kept.values()))
        self.ledger.write_spans(token, rows)

    def write(self, *rows: Row) -> None:
        """Record spans of the shop as they are."""
        self.ledger.write_spans(self.database.token, list(rows))

    def heartbeat(self, worker: str, queues: str, at: datetime) -> None:
        """Record that a worker is there and consumes."""
        stream = uuid.uuid5(uuid.NAMESPACE_OID, worker)
        self.write(
            span_row(
                1,
                "worker_ready",
                stream=stream,
                at=at,
                worker=worker,
                attributes=json.dumps({"celery.queues": queues, "celery.concurrency": 2}),
            )
        )

    def act(self, phase: str, verb: str, target: Any, detail: Any = None) -> None:
        """Record an action by the function that the action API calls."""
        with self.database.connect("actions") as connection:
            connection.execute(
                "SELECT celerytrail.append_action(action_id => %s, phase => %s, verb => %s, actor => 'ann',"
                " actor_kind => 'grafana', role => 'operator', namespace => %s, service => %s,"
                " environment => %s, target => %s, detail => %s)",
                (
                    uuid.uuid4(),
                    phase,
                    verb,
                    SHOP.namespace,
                    SHOP.service,
                    SHOP.environment,
                    json.dumps(target),
                    json.dumps(detail or {}),
                ),
            )


def _committing(row: Row, kept: dict[str, Row]) -> Row:
    """Return the row with its commitments replaced by those of what is kept."""
    said = row[INDEX["commitments"]]
    if said is None:
        return row
    place = [column.name for column in PAYLOAD_COLUMNS].index("commitment")
    mine = {
        kind: kept[kind][place].hex() if kind in kept else value
        for kind, value in json.loads(said).items()
    }
    return with_columns(row, commitments=json.dumps(mine))
