"""What the dashboard Failures says: kinds of failures, how often, since when, and who was hit."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from celerytrail.exporter.deployment import Deployment
from tests.grafana.data_source import dashboard
from tests.integration.dashboards.recorded_shop import AT, RecordedShop
from tests.span_rows import INDEX, task_rows, with_columns

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase
    from tests.integration.dashboards.shapes import Shapes

pytest_plugins = ["tests.databases", "tests.integration.dashboards.shapes"]

TEAPOT, BANK = "7ea9071234567890", "ba27ba27ba27ba27"
ELSEWHERE = Deployment("acme", "billing", "test")
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shop(migrated: MigratedDatabase, ledger: Ledger) -> RecordedShop:
    """An empty shop, to record failures in."""
    return RecordedShop(migrated, ledger)


def failed(
    shop: RecordedShop,
    task_id: str,
    fingerprint: str = TEAPOT,
    at: datetime = AT,
    end: str = "failed",
    **columns: Any,
) -> None:
    rows = task_rows(shop.written + 1, task_id=task_id, at=at, end=end, **columns)
    shop.written += len(rows)
    said = json.dumps({"celery.exception.fingerprint": fingerprint})
    shop.write(
        *(with_columns(row, attributes=said) if row[INDEX["step"]] == end else row for row in rows)
    )


def kinds(shop: RecordedShop, **values: Any) -> list[dict[str, Any]]:
    return shop.panel("failures", "Kinds of failures", **values)


def test_a_kind_is_counted_with_its_tasks_and_workflows(shop: RecordedShop) -> None:
    failed(shop, "one", end="retried")
    failed(shop, "one", at=AT + MINUTE, attempt=1)
    failed(shop, "two", at=AT + 2 * MINUTE, task_name="shop.mail", root_id="one")
    failed(shop, "three", BANK, at=AT + 3 * MINUTE, root_group_id="g", group_id="g")
    shop.ran("four")
    teapot, bank = kinds(shop)
    assert (teapot["fingerprint"], teapot["failed"], teapot["retried"]) == (TEAPOT, 2, 1)
    assert (teapot["tasks"], teapot["workflows"], teapot["task_id"]) == (2, 1, "two")
    assert (teapot["task_name"], teapot["exception_class"]) == (
        "shop.mail, ...",
        "builtins.ValueError",
    )
    second = timedelta(milliseconds=3)
    assert (teapot["first_seen"], teapot["last_seen"]) == (AT + second, AT + 2 * MINUTE + second)
    assert (bank["fingerprint"], bank["failed"], bank["tasks"], bank["workflows"]) == (
        BANK,
        1,
        1,
        1,
    )

    (counts,) = shop.panel("failures", "Failures")
    assert counts == {
        "failed": 3, "retried": 1, "kinds": 2, "new kinds": 2, "tasks": 3, "workflows": 2,
    }  # fmt: skip


def test_what_was_seen_before_the_time_range_is_known(shop: RecordedShop) -> None:
    failed(shop, "long ago", at=AT - 5 * DAY)
    failed(shop, "now")
    failed(shop, "new", BANK)
    found = {row["fingerprint"]: row for row in kinds(shop)}
    assert (found[TEAPOT]["novelty"], found[TEAPOT]["failed"]) == ("known", 1)
    assert found[TEAPOT]["first_seen"].date() == (AT - 5 * DAY).date()
    assert found[BANK]["novelty"] == "new"
    (counts,) = shop.panel("failures", "Failures")
    assert (counts["kinds"], counts["new kinds"]) == (2, 1)


def test_the_variables_choose(shop: RecordedShop) -> None:
    failed(shop, "one", queue="it's")
    failed(shop, "two", BANK, task_name="shop.mail")
    assert [row["fingerprint"] for row in kinds(shop, queue=["it's"])] == [TEAPOT]
    assert [row["fingerprint"] for row in kinds(shop, task=["shop.mail"])] == [BANK]
    assert [row["fingerprint"] for row in kinds(shop, fingerprint=BANK)] == [BANK]
    assert kinds(shop, fingerprint="o'brien") == []
    assert kinds(shop, service=["billing"]) == []
    (counts,) = shop.panel("failures", "Failures", fingerprint=BANK)
    assert (counts["failed"], counts["kinds"]) == (1, 1)


def test_the_tasks_of_a_kind_stand_as_they_are_now(shop: RecordedShop) -> None:
    failed(shop, "again", end="retried")
    shop.ran("again", at=AT + MINUTE, attempt=1)
    failed(shop, "ended", at=AT + 2 * MINUTE)
    failed(shop, "other", BANK)
    rows = shop.panel("failures", "Tasks that failed so", fingerprint=TEAPOT)
    assert [(row["task_id"], row["state"], row["failures"]) for row in rows] == [
        ("ended", "failed", 1),
        ("again", "succeeded", 1),
    ]
    assert {row["task_id"] for row in shop.panel("failures", "Tasks that failed so")} == {
        "again", "ended", "other",
    }  # fmt: skip
    chosen = shop.panel("failures", "Tasks that failed so", state=["succeeded"])
    assert [row["task_id"] for row in chosen] == ["again"]


def test_they_are_drawn_over_time_by_kind(shop: RecordedShop) -> None:
    for number in range(12):
        for again in range(12 - number):
            failed(shop, f"task {number} {again}", f"{number:016x}")
    found: dict[str, float] = {}
    for row in shop.panel("failures", "Failures over time"):
        found[row["metric"]] = found.get(row["metric"], 0) + row["value"]
    assert len(found) == 2, "the beginnings of these fingerprints are one"
    assert found["others"] > 0


def test_the_link_of_a_fingerprint_chooses_it(shop: RecordedShop) -> None:
    (table,) = [
        panel
        for panel in dashboard("celerytrail-failures")["panels"]
        if panel["title"] == "Kinds of failures"
    ]
    (links,) = [
        one["value"]
        for override in table["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "fingerprint"
        for one in override["properties"]
        if one["id"] == "links"
    ]
    assert "var-fingerprint=${__data.fields.fingerprint:percentencode}" in links[0]["url"]


def test_real_failures_of_one_fault_are_one_kind(shapes: Shapes) -> None:
    found = {
        (row["exception_class"], row["task_name"]): row
        for row in shapes.grafana.panel("celerytrail-failures", "Kinds of failures", {})
    }
    # A chord's, a group's, a chain's and a single task's check: number 30 or 2, the fault is one.
    check = found["ValueError", "shapes.check"]
    assert (check["failed"], check["tasks"]) == (43, 43)
    assert check["workflows"] == 4
    again = found["ConnectionError", "shapes.again"]
    assert (again["failed"], again["retried"]) == (0, 1)
    (culprit,) = shapes.panel("What failed first", "failed")
    assert culprit["fingerprint"] == check["fingerprint"]
    words = shapes.rows("SELECT f::text FROM celerytrail.failures f WHERE f::text ~ 'is wrong'")
    assert words == []
