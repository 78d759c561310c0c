"""The tasks that benchmarks ask for are real ones: chained, whole, skewed, and every question has an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from celerytrail.sql.verify import verify_ledger
from tests.bench.budget import Figure, percentile
from tests.bench.filled_ledger import DAYS, Filled, fill
from tests.bench.ledger_queries import ASKED, ask

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASKS = 1500


@pytest.fixture
def filled(migrated: MigratedDatabase) -> Filled:
    return fill(migrated.dsn("sink"), migrated.token, TASKS)


def test_what_is_filled_is_a_whole_ledger(migrated: MigratedDatabase, filled: Filled) -> None:
    assert filled.tasks >= TASKS
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks") == filled.tasks
    assert migrated.value("SELECT count(*) FROM celerytrail.spans") == filled.spans
    assert migrated.value("SELECT count(*) FROM celerytrail.payloads") == filled.payloads
    assert migrated.value("SELECT sum(missing) FROM celerytrail_views.streams") == 0
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks WHERE finished_at IS NULL") == 0
    assert migrated.value("SELECT count(*) FROM celerytrail.spans WHERE marks IS NOT NULL") == 0
    # The mean of a Pareto distribution wanders; its four events a task do not.
    assert 4 <= filled.spans / filled.tasks < 5
    assert verify_ledger(migrated.dsn("verifier")).bad == ()
    with_text = "SELECT count(*) FROM celerytrail.searchable WHERE kind = 'args'"
    assert filled.tasks / 2 < migrated.value(with_text) < filled.tasks


def test_it_is_skewed_over_all_its_days(migrated: MigratedDatabase, filled: Filled) -> None:
    hot, rare = migrated.rows(
        "SELECT max(n), count(*) FILTER (WHERE n <= 3) FROM"
        " (SELECT count(*) AS n FROM celerytrail.tasks GROUP BY task_name) AS names"
    )[0]
    assert hot > filled.tasks / 10
    assert rare > 50
    days = "SELECT count(DISTINCT (first_sent_at AT TIME ZONE 'UTC')::date) FROM celerytrail.tasks"
    # Of so few tasks a large chord is those of two days: which dates go without depends on the time of day.
    assert DAYS * 4 / 5 <= migrated.value(days) <= DAYS + 1
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks WHERE attempts > 1") > 10
    assert migrated.value("SELECT count(*) FROM celerytrail.groups WHERE kind = 'chord'") > 2
    bodies = "SELECT bool_and(body_seen) FROM celerytrail_views.chords"
    assert migrated.value(bodies) is True


def test_the_same_seed_gives_the_same_tasks(migrated: MigratedDatabase, filled: Filled) -> None:
    made = migrated.rows(
        "SELECT task_id, task_name, state, runtime_us FROM celerytrail.tasks ORDER BY 1"
    )
    migrated.run("TRUNCATE celerytrail.tasks, celerytrail.streams")
    another = migrated.new_token(name="again")
    again = fill(migrated.dsn("sink"), another, TASKS)
    assert again.tasks == filled.tasks
    assert made == migrated.rows(
        "SELECT task_id, task_name, state, runtime_us FROM celerytrail.tasks ORDER BY 1"
    )


def test_every_question_is_asked(migrated: MigratedDatabase, filled: Filled) -> None:
    figures = ask(migrated.dsn("grafana"), filled, 1)
    assert len(figures) == 3 * sum(len(one.ranges) for one in ASKED)
    assert [figure.what for figure in figures if figure.value <= 0] == []


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [(5, True, "aim"), (10, True, "met"), (10.1, True, "missed"),
     (10, False, "aim"), (5, False, "met"), (4.9, False, "missed")],
)  # fmt: skip
def test_a_figure_says_whether_its_budget_is_met(value: float, at_most: bool, verdict: str) -> None:
    budget, aim = (10.0, 5.0) if at_most else (5.0, 10.0)
    figure = Figure("what", value, "ms", budget, aim, at_most=at_most)
    assert figure.verdict == verdict
    assert figure.line().endswith(verdict)
    assert Figure("what", value, "ms").verdict == ""


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3, 1, 2], 0.95) == 3
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([7], 0.5) == 7
