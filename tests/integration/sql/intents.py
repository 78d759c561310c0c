"""Calls of the functions of intents, as the action API makes them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

Connection = psycopg.Connection[tuple[Any, ...]]

LEASE_SECONDS = 30.0


@dataclass(frozen=True)
class Intents:
    """One replica of the action API: a session of its role, and its name as holder."""

    connection: Connection
    holder: str = field(default_factory=lambda: f"replica-{uuid.uuid4().hex[:8]}")

    def begin(self, intent_id: uuid.UUID | None = None, **chosen: Any) -> Any:
        """Begin a retry of task-1 of the shop by ann; ``chosen`` replaces what it would have."""
        given = {
            "intent_id": intent_id or uuid.uuid4(),
            "verb": "retry",
            "actor": "grafana:1:ann",
            "actor_kind": "grafana",
            "role": "operator",
            "namespace": "acme",
            "service": "shop",
            "environment": "test",
            "request_id": "request-1",
            "target": json.dumps({"task_id": "task-1"}),
            "target_key": "task/task-1/0",
            "idempotency_key": None,
            "request_hash": None,
            "reason": None,
            "holder": self.holder,
            "lease_seconds": LEASE_SECONDS,
            "recent_seconds": 60.0,
        }
        unknown = chosen.keys() - given.keys()
        assert not unknown, unknown
        given |= chosen
        names = ", ".join(f"{name} => %({name})s" for name in given)
        return self._one(f"SELECT * FROM celerytrail.begin_intent({names})", given)

    def renew(self, intent_id: uuid.UUID, lease_seconds: float = LEASE_SECONDS) -> bool:
        return self._call("renew_lease", intent_id, self.holder, lease_seconds)

    def progress(self, intent_id: uuid.UUID, detail: Any) -> bool:
        return self._call("progress_intent", intent_id, self.holder, json.dumps(detail))

    def finish(self, intent_id: uuid.UUID, state: str = "succeeded", **outcome: Any) -> bool:
        return self._call("finish_intent", intent_id, self.holder, state, json.dumps(outcome))

    def take_expired(self, lease_seconds: float = LEASE_SECONDS) -> list[Any]:
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(
                "SELECT * FROM celerytrail.take_expired_intents(%s, %s)",
                [self.holder, lease_seconds],
            )
            return cursor.fetchall()

    def state(self, intent_id: uuid.UUID) -> Any:
        return self._one("SELECT * FROM celerytrail.intent_state(%s)", [intent_id])

    def _call(self, function: str, *arguments: object) -> bool:
        marks = ", ".join(["%s"] * len(arguments))
        row = self._one(f"SELECT celerytrail.{function}({marks}) AS done", list(arguments))
        assert isinstance(row.done, bool)
        return row.done

    def _one(self, query: str, parameters: Any) -> Any:
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            cursor.execute(query.encode(), parameters)
            return cursor.fetchone()
