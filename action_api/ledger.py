"""The action API's side of the ledger: intents, outcomes, refusals, and what is known of tasks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg import errors
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from celerytrail.action_api.action import ActionRequest, Outcome, Plan
from celerytrail.action_api.actor import Actor
from celerytrail.action_api.errors import ActionApiError, ConfigError, Unavailable
from celerytrail.action_api.rows import (
    ApiToken,
    Begun,
    ExpiredIntent,
    IntentState,
    StoredMessage,
    TaskRow,
)
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.connection import TCP_BOUNDS, parse_dsn
from celerytrail.sql.errors import DatabaseUnreachable, SqlError
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries

Connection = psycopg.Connection[TupleRow]
Row = DictRow
T = TypeVar("T")

MAX_ATTEMPTS = 3
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)


class LedgerRefused(ActionApiError):
    """The database is not as designed, or refused a row: nothing was written, and nothing done."""

    status = 500
    code = "ledger_refused"


class Ledger:
    """A pool of connections of the role celerytrail_actions; safe to use from several threads.

    Every method raises Unavailable when the database does not answer in time, and LedgerRefused
    when it does and will not have what was asked.
    """

    def __init__(
        self, dsn: str, *, min_size: int = 1, max_size: int = 8, timeout_seconds: float = 5.0
    ) -> None:
        """Prepare a pool that connects in the background after ``open``.

        ``timeout_seconds`` bounds each wait: for a connection, for a lock, and twice that for a
        statement. Raises ConfigError for a DSN that is none.
        """
        milliseconds = max(1, int(timeout_seconds * 1000))
        try:
            parameters = parse_dsn(dsn)
        except DatabaseUnreachable as exc:
            raise ConfigError(str(exc)) from exc
        parameters.setdefault("connect_timeout", max(2, int(timeout_seconds)))
        parameters.setdefault("tcp_user_timeout", 2 * milliseconds)
        for name, value in TCP_BOUNDS.items():
            parameters.setdefault(name, value)
        parameters["client_encoding"] = "UTF8"
        parameters["application_name"] = "celerytrail action-api"
        parameters["options"] = (
            f"{parameters.get('options') or ''} -c lock_timeout={milliseconds}"
            f" -c statement_timeout={2 * milliseconds}"
            f" -c idle_in_transaction_session_timeout={4 * milliseconds}"
            " -c default_transaction_isolation=read\\ committed"
        ).strip()
        self._queries = queries("actions")
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            "",
            kwargs=parameters,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout_seconds,
            reconnect_timeout=timeout_seconds,
            open=False,
            name="celerytrail-actions",
        )

    def open(self) -> None:
        """Start connecting; returns at once, whether or not the database is there."""
        self._pool.open(wait=False)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def ready(self) -> None:
        """Return when an action could be written down now."""

        try:
            self._transaction(require_schema)
        except SqlError as exc:
            raise LedgerRefused(str(exc)) from exc

    def guards(self) -> list[str]:
        """Return the catalog objects that are not as designed, each named; empty when all is well."""

        def look(connection: Connection) -> list[str]:
            return [str(row[0]) for row in connection.execute(queries("guards")["wrong"])]

        return self._transaction(look)

    def authenticate_api_token(self, token_hash: bytes) -> ApiToken | None:
        """Return whom a token speaks for, given its SHA-256; None when it is not valid."""
        row = self._row("authenticate_api_token", {"token_hash": token_hash})
        if row is None:
            return None
        return ApiToken(
            str(row["token_id"]),
            row["name"],
            Deployment(row["namespace"], row["service"], row["environment"]),
            frozenset(row["scopes"] or ()),
        )

    def begin_intent(
        self,
        intent_id: UUID,
        request: ActionRequest,
        plan: Plan,
        *,
        request_hash: bytes,
        holder: str,
        lease_seconds: float,
        recent_seconds: float,
    ) -> Begun:
        """Write the intent, unless the same thing was asked for already; committed on return."""
        row = self._one(
            "begin_intent",
            {
                **_deployment(plan.deployment),
                **_actor(request.actor),
                "intent_id": intent_id,
                "verb": request.verb,
                "request_id": request.request_id,
                # A login can be changed by its owner, and a token's name be given again.
                "target": _json({**plan.target, "subject": request.actor.subject}),
                "target_key": plan.target_key,
                "idempotency_key": request.idempotency_key,
                "request_hash": request_hash,
                "reason": request.reason,
                "holder": holder,
                "lease_seconds": lease_seconds,
                "recent_seconds": recent_seconds,
            },
        )
        return Begun(row["result"], row["intent_id"], row["state"], row["outcome"], row["actor"])

    def renew_lease(self, intent_id: UUID, holder: str, lease_seconds: float) -> bool:
        """Hold an intent for longer; false when it is finished, or another's by now."""
        values = {"intent_id": intent_id, "holder": holder, "lease_seconds": lease_seconds}
        return bool(self._value("renew_lease", values))

    def progress_intent(self, intent_id: UUID, holder: str, detail: Mapping[str, Any]) -> bool:
        """Write a row of phase ``progress``; false as for ``renew_lease``."""
        values = {"intent_id": intent_id, "holder": holder, "detail": _json(detail)}
        return bool(self._value("progress_intent", values))

    def finish_intent(self, intent_id: UUID, holder: str, outcome: Outcome) -> bool:
        """Write the outcome; false when there is one, or the intent is another's by now."""
        values = {
            "intent_id": intent_id,
            "holder": holder,
            "state": outcome.state,
            "outcome": _json(outcome_document(outcome)),
        }
        return bool(self._value("finish_intent", values))

    def take_expired_intents(self, holder: str, lease_seconds: float) -> list[ExpiredIntent]:
        """Take over every open intent whose lease ran out; nobody else gets the same ones."""
        rows = self._rows(
            "take_expired_intents", {"holder": holder, "lease_seconds": lease_seconds}
        )
        return [
            ExpiredIntent(
                row["intent_id"],
                row["verb"],
                Deployment(row["namespace"], row["service"], row["environment"]),
                row["target"] or {},
                row["target_key"],
                row["actor"],
                (row["now"] - row["created_at"]).total_seconds(),
                tuple(row["progress"] or ()),
            )
            for row in rows
        ]

    def intent_state(self, intent_id: UUID) -> IntentState | None:
        """Return where an intent stands, None for one that is not known."""
        row = self._row("intent_state", {"intent_id": intent_id})
        if row is None:
            return None
        deployment = Deployment(
            row.pop("namespace") or "", row.pop("service") or "", row.pop("environment") or ""
        )
        return IntentState(deployment, **row)

    def append_refusal(
        self,
        *,
        verb: str,
        actor: str,
        actor_kind: str,
        role: str | None = None,
        deployment: Deployment | None = None,
        request_id: str | None = None,
        target: Mapping[str, Any] | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> UUID:
        """Write down that something was asked for and refused; return the id of the row."""
        action_id = uuid4()
        self._value(
            "append_refusal",
            {
                "action_id": action_id,
                "verb": verb,
                "actor": actor,
                "actor_kind": actor_kind,
                "role": role,
                "namespace": deployment.namespace if deployment else None,
                "service": deployment.service if deployment else None,
                "environment": deployment.environment if deployment else None,
                "request_id": request_id,
                "target": None if target is None else _json(target),
                "detail": None if detail is None else _json(detail),
            },
        )
        return action_id

    def message_for_retry(self, deployment: Deployment, task_id: str) -> StoredMessage | None:
        """Return the newest message of a task; None when none was ever committed to."""
        row = self._row("message_for_retry", {**_deployment(deployment), "task_id": task_id})
        if row is None:
            return None
        return StoredMessage(
            body=row["body"],
            salt=row["salt"],
            commitment=row["commitment"],
            retries=row["retries"],
            stream_id=row["stream_id"],
            seq=row["seq"],
            withheld=row["withheld"],
            span_commitment=row["span_commitment"],
            deployment=Deployment(
                row["payload_namespace"] or "",
                row["payload_service"] or "",
                row["payload_environment"] or "",
            ),
            task_id=row["payload_task_id"],
            block_fault=row["block_fault"],
            verification=row["verification"],
        )

    def task(self, deployment: Deployment, task_id: str) -> TaskRow | None:
        """Return a task of a deployment, None for one that was never heard of."""
        row = self._row("task", {**_deployment(deployment), "task_id": task_id})
        return None if row is None else TaskRow(**row)

    def group_members(self, deployment: Deployment, group_id: str, most: int) -> list[TaskRow]:
        """Return at most ``most`` tasks of a group, those that were sent first before the others."""
        values = {**_deployment(deployment), "group_id": group_id, "most": most}
        return [TaskRow(**row) for row in self._rows("group_members", values)]

    def known_tasks(self, deployment: Deployment, task_ids: Iterable[str]) -> dict[str, str]:
        """Return the state of each of these tasks that the ledger has heard of."""
        values = {**_deployment(deployment), "task_ids": list(task_ids)}
        return {row["task_id"]: row["state"] for row in self._rows("known_tasks", values)}

    def known_queues(self, deployment: Deployment) -> list[str]:
        """Return the queues that tasks went to lately or that workers read from, sorted."""
        return [row["queue"] for row in self._rows("known_queues", _deployment(deployment))]

    def queue_is_known(self, deployment: Deployment, queue: str) -> bool:
        """Say whether any task went to a queue, or any worker reads from it."""
        return bool(self._value("queue_is_known", {**_deployment(deployment), "queue": queue}))

    def oldest_waiting_seconds(self, deployment: Deployment, queue: str) -> float | None:
        """Return the age of the oldest task of a queue that no worker was seen to take."""
        age = self._value("oldest_waiting", {**_deployment(deployment), "queue": queue})
        return None if age is None else max(0.0, float(age))

    def waiting_sample(self, deployment: Deployment, queue: str, most: int) -> list[Row]:
        """Return task_id and task_name of some tasks that wait in a queue, oldest first."""
        values = {**_deployment(deployment), "queue": queue, "most": most}
        return self._rows("waiting_sample", values)

    def live_workers(self, deployment: Deployment) -> list[str]:
        """Return the workers that said within five minutes that they run."""
        return [row["worker"] for row in self._rows("live_workers", _deployment(deployment))]

    def _value(self, name: str, values: Mapping[str, Any]) -> Any:
        return next(iter(self._one(name, values).values()))

    def _one(self, name: str, values: Mapping[str, Any]) -> Row:
        row = self._row(name, values)
        if row is None:
            raise LedgerRefused(f"the database gave no answer to {name}: run `celerytrail migrate`")
        return row

    def _row(self, name: str, values: Mapping[str, Any]) -> Row | None:
        def fetch(connection: Connection) -> Row | None:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(self._queries[name], values).fetchone()

        return self._transaction(fetch)

    def _rows(self, name: str, values: Mapping[str, Any]) -> list[Row]:
        def fetch(connection: Connection) -> list[Row]:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(self._queries[name], values).fetchall()

        return self._transaction(fetch)

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                with self._pool.connection() as connection:
                    return work(connection)
            except _AGAIN as exc:
                if attempt == MAX_ATTEMPTS:
                    raise Unavailable("the database is busy: ask again") from exc
            except (PoolTimeout, PoolClosed, TooManyRequests) as exc:
                raise Unavailable(f"no connection to the database: {exc}") from exc
            except (psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.DataError) as exc:
                raise LedgerRefused(
                    f"the ledger refused it: {_said(exc)}. Run `celerytrail migrate --check`."
                ) from exc
            except psycopg.Error as exc:
                if exc.sqlstate is not None and exc.sqlstate.startswith("CT"):
                    raise LedgerRefused(f"the ledger refused it: {_said(exc)}") from exc
                raise Unavailable(f"the database cannot be used now: {_said(exc)}") from exc
        raise AssertionError("unreachable")


def outcome_document(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the ledger keeps it: message, tasks, and the verb's own detail."""
    return {
        **outcome.detail,
        "message": outcome.message,
        "tasks": [
            {
                "task_id": task.task_id,
                "result": task.result,
                "new_task_id": task.new_task_id,
                "message": task.message,
            }
            for task in outcome.tasks
        ],
    }


def _deployment(deployment: Deployment) -> dict[str, str]:
    return {
        "namespace": deployment.namespace,
        "service": deployment.service,
        "environment": deployment.environment,
    }


def _actor(actor: Actor) -> dict[str, str]:
    return {"actor": actor.label, "actor_kind": actor.kind, "role": actor.role.name.lower()}


def _json(value: Any) -> str:
    # Postgres' json takes no NUL and no lone surrogate; both may come from a caller.
    return json.dumps(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def _said(exc: psycopg.Error) -> str:
    # Not the detail: it quotes values of the row.
    return (exc.diag.message_primary or str(exc)).strip().split("\n")[0]
