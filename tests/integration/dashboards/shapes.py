"""Workflows of many shapes, run once by real workers; each test that changes anything gets a copy.

Used through ``pytest_plugins``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Json

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import Pipeline
from tests.grafana.data_source import DataSource
from tests.waiting import wait_until

STATES = {"failed": 43, "ignored": 1, "sent": 1, "succeeded": 109}
"""How the tasks of ``publish_shapes.py`` end; the one that is only sent has a queue that nobody reads."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """A database with the workflows of ``publish_shapes.py`` by their names."""

    postgres: EmbeddedPostgres
    database: str
    flows: Mapping[str, Mapping[str, Any]]

    @property
    def grafana(self) -> DataSource:
        return DataSource(self.postgres.dsn(self.database, "celerytrail_grafana"))

    def id_of(self, name: str) -> str:
        """Return the id of a workflow: its group, else the task that it began with."""
        flow = self.flows[name]
        return str(flow["group"] or flow["ids"][0])

    def panel(self, title: str, name: str, ref: str = "A", **values: Any) -> list[dict[str, Any]]:
        """Return the rows of a panel of the dashboard Workflow, opened for a workflow."""
        return self.grafana.panel(
            "celerytrail-workflow", title, {"workflow_id": self.id_of(name), **values}, ref
        )

    def workflow(self, name: str) -> dict[str, Any]:
        (row,) = self.rows(
            "SELECT * FROM celerytrail_views.workflows WHERE workflow_id = %s", self.id_of(name)
        )
        return row

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        with psycopg.connect(
            self.postgres.dsn(self.database), autocommit=True, row_factory=dict_row
        ) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def retried(
        self, pairs: Mapping[str, str], verb: str = "retry", target: str = "", result: str = "sent"
    ) -> None:
        """Record a retry of tasks as others, by the functions that the action API calls."""
        intent_id = uuid.uuid4()
        tasks = [
            {"task_id": old, "result": result, "new_task_id": new, "message": ""}
            for old, new in pairs.items()
        ]
        with psycopg.connect(
            self.postgres.dsn(self.database, "celerytrail_actions"), autocommit=True
        ) as connection:
            begun = connection.execute(
                "SELECT result FROM celerytrail.begin_intent(%s, %s, 'grafana:1:ann', 'grafana', 'operator', 'shop',"
                " 'orders', 'test', NULL, %s, %s, NULL, NULL, 'it was the weather', 'a test', 30, 0)",
                (
                    intent_id,
                    verb,
                    Json({"group_id": target} if target else {"task_id": next(iter(pairs))}),
                    target or next(iter(pairs)),
                ),
            ).fetchone()
            assert begun == ("new",)
            connection.execute(
                "SELECT celerytrail.finish_intent(%s, 'a test', 'succeeded', %s)",
                (intent_id, Json({"message": "sent", "tasks": tasks})),
            )

    def time_passes(self, name: str, interval: str) -> None:
        """Let a workflow have happened longer ago, as far as the read model knows."""
        workflow_id = self.id_of(name)
        self.rows(
            "UPDATE celerytrail.tasks SET finished_at = finished_at - %s::interval, updated_at = updated_at - %s::interval"
            " WHERE coalesce(root_group_id, root_id, task_id) = %s",
            interval, interval, workflow_id,
        )  # fmt: skip
        self.rows(
            "UPDATE celerytrail.groups SET updated_at = updated_at - %s::interval WHERE group_id = %s",
            interval, workflow_id,
        )  # fmt: skip

    def failed_ids(self, name: str) -> Sequence[str]:
        rows = self.rows(
            "SELECT task_id FROM celerytrail_views.workflow_members WHERE workflow_id = %s AND failed ORDER BY finished_at",
            self.id_of(name),
        )
        return [row["task_id"] for row in rows]

    @contextmanager
    def copied(self) -> Iterator[Shapes]:
        """Copy the database, for a test that changes it."""
        name = f"{self.database}_{uuid.uuid4().hex[:6]}"
        self.postgres.create_database(name, self.database)
        try:
            yield Shapes(self.postgres, name, self.flows)
        finally:
            self.postgres.drop_database(name)


@pytest.fixture(scope="session")
def shapes(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shapes]:
    """The workflows, run to their ends; tests only read it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    directory = tmp_path_factory.mktemp("shapes")
    postgres.create_database(name)
    try:
        with EmbeddedValkey(directory / "valkey") as valkey:
            pipeline = Pipeline(postgres, name, valkey.url, directory / "pipeline")
            try:
                pipeline.prepare()
                worker = pipeline.start_worker("--include", "shapes")
                flows = {flow["name"]: flow for flow in pipeline.run("publish_shapes.py")}
                wait_until(
                    lambda: (
                        {
                            row["state"]: row["count"]
                            for row in pipeline.rows(
                                "SELECT state, count(*) FROM celerytrail.tasks GROUP BY state"
                            )
                        }
                        == STATES
                    ),
                    "every task has ended",
                )
                pipeline.stop_and_store(worker)
            finally:
                # All of it: a database with sessions cannot be copied.
                pipeline.close()
        yield Shapes(postgres, name, flows)
    finally:
        postgres.drop_database(name)


@pytest.fixture
def own_shapes(shapes: Shapes) -> Iterator[Shapes]:
    """A copy of the workflows' database."""
    with shapes.copied() as copy:
        yield copy
