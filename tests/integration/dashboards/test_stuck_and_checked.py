"""What the dashboards and alerts say of runs that hang, and of looks at the read model."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.sql.maintain import Bounds, maintain_once
from celerytrail.sql.read_model import rebuild_read_model
from tests.grafana.alert_evaluation import Alert, evaluate, provisioned_rule
from tests.grafana.button import actions_of
from tests.grafana.data_source import dashboard
from tests.integration.dashboards.recorded_shop import AT, RecordedShop
from tests.span_rows import SHOP, span_row, task_rows

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

STUCK = "celerytrail-runs-stuck"
DIFFERS = "celerytrail-read-model-differs"
HISTORY = 20
"""So many good runs of a task have to be known."""


@pytest.fixture
def shop(migrated: MigratedDatabase, ledger: Ledger) -> RecordedShop:
    return RecordedShop(migrated, ledger)


def hanging(shop: RecordedShop) -> None:
    """A task with a history of runs of a millisecond, and two runs of it that began ten minutes ago."""
    for number in range(HISTORY):
        shop.ran(f"good {number}", at=AT - timedelta(minutes=50))
    shop.ran("hangs", steps=3)
    shop.ran("hangs too", steps=3, at=AT + timedelta(minutes=1), worker="celery@other")
    # Nothing is known of what this one usually takes.
    shop.ran("rare", steps=3, task_name="shop.rare")


def fired(uid: str, shop: RecordedShop) -> list[Alert]:
    return evaluate(provisioned_rule(uid), shop.grafana)


def test_runs_that_hang_are_listed_with_the_task_and_its_button(shop: RecordedShop) -> None:
    assert shop.panel("overview", "Stuck runs") == []
    hanging(shop)
    stream = uuid.uuid5(uuid.NAMESPACE_OID, "the other worker")
    now = datetime.now(timezone.utc)
    shop.write(span_row(1, "worker_ready", stream=stream, at=now, worker="celery@other"))
    first, second = shop.panel("overview", "Stuck runs")
    assert (first["task_id"], second["task_id"]) == ("hangs", "hangs too")
    assert first["usual"] == pytest.approx(0.001)
    assert first["running"] > second["running"] > 500
    assert (first["worker"], first["worker_is"]) == ("celery@host", "never heard")
    assert (second["worker"], second["worker_is"]) == ("celery@other", "heard")
    assert shop.panel("overview", "Stuck runs", worker="celery@other") == [
        {**second, "running": pytest.approx(second["running"], abs=60)}
    ]
    assert shop.panel("overview", "Stuck runs", service="billing") == []

    buttons = [
        action["title"]
        for title, action in actions_of(dashboard("celerytrail-overview"))
        if title == "Stuck runs"
    ]
    assert buttons == ["Terminate"]


def test_runs_that_hang_are_one_alert_for_each_task_until_they_end(shop: RecordedShop) -> None:
    hanging(shop)
    (alert,) = fired(STUCK, shop)
    assert alert.value == 2
    assert alert.labels == {
        "task": "shop.pay",
        "namespace": SHOP.namespace,
        "service": SHOP.service,
        "environment": SHOP.environment,
    }
    for task_id in ("hangs", "hangs too"):
        reported = uuid.uuid5(uuid.NAMESPACE_OID, f"the end of {task_id}")
        ended = AT + timedelta(minutes=2)
        shop.write(task_rows(task_id=task_id, stream=reported, at=ended)[-1])
    assert fired(STUCK, shop) == []
    assert shop.panel("overview", "Stuck runs") == []


def test_an_old_run_whose_end_never_came_stops_the_alert_and_stays_in_the_list(
    shop: RecordedShop,
) -> None:
    hanging(shop)
    shop.database.run(
        "UPDATE celerytrail.runs SET started_at = started_at - interval '8 days' WHERE finished_at IS NULL"
    )
    assert fired(STUCK, shop) == []
    assert len(shop.panel("overview", "Stuck runs")) == 2


def test_looks_at_the_read_model_are_listed_those_that_found_something_first(
    shop: RecordedShop,
) -> None:
    assert shop.panel("audit", "Self-checks and rebuilds") == []
    assert shop.panel("audit", "Read model checked") == []
    shop.ran("one")
    every_time = Bounds(check_seconds=0, check_sample=400)

    def look() -> None:
        assert maintain_once(shop.database.dsn("maintainer"), lambda done: None, every_time)

    look()
    (age,) = shop.panel("audit", "Read model checked")
    assert 0 <= age["seconds"] < 600
    assert fired(DIFFERS, shop) == []

    shop.database.run("UPDATE celerytrail.tasks SET state = 'failed' WHERE task_id = 'one'")
    look()
    assert shop.panel("audit", "Read model checked") == [{"seconds": -1}]
    (alert,) = fired(DIFFERS, shop)
    assert alert.value == 1
    with shop.database.connect() as connection:
        rebuild_read_model(connection, repair=False)
        assert rebuild_read_model(connection).rows == 1
        rebuild_read_model(connection)
    rows = shop.panel("audit", "Self-checks and rebuilds")
    assert [(row["what"], row["found"], row["different"]) for row in rows] == [
        ("rebuild", "repaired", 1),
        ("rebuild --check", "differs", 1),
        ("self-check", "differs", 1),
        ("rebuild", "as the ledger has it", 0),
        ("self-check", "as the ledger has it", 0),
    ]
    repaired, _, sampled, *_ = rows
    assert (repaired["first"], repaired["run_by"]) == ("1 of tasks", "postgres")
    assert sampled["first"] == "state is failed, and the ledger says succeeded"
    assert sampled["task_id"] == "one"
    # It says nothing of now that another sample found nothing: others were taken.
    look()
    assert shop.panel("audit", "Read model checked") == [{"seconds": -1}]


def test_only_the_owner_says_what_a_rebuild_found(shop: RecordedShop) -> None:
    for role in ("sink", "grafana", "maintainer", "verifier", "actions"):
        with (
            shop.database.connect(role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(
                "INSERT INTO celerytrail.rebuilds (repaired, spans, actions, different, differing, seconds)"
                " VALUES (true, 1, 1, 0, '{}', 1)"
            )
