"""How a workflow stands, and what failed first, in cases that no worker makes on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.dashboards.recorded_shop import RecordedShop
from tests.integration.dashboards.timed_tasks import TimedTasks

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]


@pytest.fixture
def tasks(migrated: MigratedDatabase, ledger: Ledger) -> TimedTasks:
    """An empty shop, to record workflows in."""
    return TimedTasks(RecordedShop(migrated, ledger))


def workflow(tasks: TimedTasks, workflow_id: str) -> dict[str, Any]:
    with psycopg.connect(tasks.shop.database.dsn("grafana"), row_factory=dict_row) as connection:
        (row,) = connection.execute(
            "SELECT * FROM celerytrail_views.workflows WHERE workflow_id = %s", [workflow_id]
        ).fetchall()
    return row


def state(tasks: TimedTasks, workflow_id: str) -> tuple[str, str]:
    row = workflow(tasks, workflow_id)
    return row["kind"], row["state"]


def just_now(tasks: TimedTasks, *task_ids: str) -> None:
    """Let tasks have ended at this moment, so that nothing has to have followed yet."""
    tasks.shop.database.rows(
        "UPDATE celerytrail.tasks SET finished_at = now(), updated_at = now() WHERE task_id = ANY (%s) RETURNING 1",
        [*task_ids],
    )


def culprit(tasks: TimedTasks, workflow_id: str) -> str | None:
    found = workflow(tasks, workflow_id)["culprit_task_id"]
    return None if found is None else str(found)


def links(tasks: TimedTasks, known: int, length: int, *, first: str = "a", **more: Any) -> None:
    """Record the first links of a chain, each a second long and sent by the one before."""
    for number in range(known):
        tasks.task(
            f"{first}{number}",
            number,
            number + 0.5,
            number + 1,
            root_id=f"{first}0",
            parent_id=f"{first}{number - 1}" if number else None,
            chain_length=0 if number else length,
            chain_left=length - number if number else 0,
            **more,
        )


def test_a_chain_whose_next_link_was_never_sent_broke_off(tasks: TimedTasks) -> None:
    links(tasks, 2, 4)
    row = workflow(tasks, "a0")
    assert (row["kind"], row["state"], row["finished_at"] is None) == ("chain", "broken off", False)
    assert (row["members"], row["succeeded"], row["needs_attention"]) == (2, 2, False)


@pytest.mark.parametrize(
    ("known", "at_first", "later"),
    [
        # The next link may be on its way.
        (1, "running", "broken off"),
        (3, "running", "broken off"),
        (4, "succeeded", "succeeded"),
    ],
)
def test_a_chain_of_four_is_done_with_four(
    tasks: TimedTasks, known: int, at_first: str, later: str
) -> None:
    links(tasks, known, 4)
    assert state(tasks, "a0") == ("chain", later)
    just_now(tasks, f"a{known - 1}")
    assert state(tasks, "a0") == ("chain", at_first)


def test_links_that_send_more_than_the_next_do_not_break_it_off(tasks: TimedTasks) -> None:
    links(tasks, 3, 3)
    for number in range(2):
        tasks.task(f"more{number}", 1.5, 2, 3, parent_id="a1", root_id="a0")
    assert state(tasks, "a0") == ("chain", "succeeded")


@pytest.mark.parametrize("known", [1, 2])
def test_what_a_link_sent_besides_is_not_the_link_that_was_never_sent(
    tasks: TimedTasks, known: int
) -> None:
    links(tasks, known, 3)
    last = f"a{known - 1}"
    tasks.task("other", 1.5, 2, 3, parent_id=last, root_id="a0")
    tasks.task("others", 2.5, 3, 4, parent_id="other", root_id="a0")
    # Another chain, of which the last is that, too.
    tasks.task("b0", 1.5, 2, 3, parent_id="other", root_id="a0", chain_length=2)
    tasks.task("b1", 3, 4, 5, parent_id="b0", root_id="a0", chain_left=1)
    assert state(tasks, "a0") == ("chain", "broken off")


def test_a_link_that_another_took_the_place_of_is_followed(tasks: TimedTasks) -> None:
    links(tasks, 3, 3)
    # Of the two parents, the link before it and itself, the greater is kept.
    tasks.task("a1", 1.6, 1.7, 1.8, attempt=1, parent_id="a1", root_id="a0", chain_left=2)
    assert state(tasks, "a0") == ("chain", "succeeded")


def test_a_chord_in_a_chain_counts_by_what_follows(tasks: TimedTasks) -> None:
    chord = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    links(tasks, 1, 3)
    tasks.group("g", kind="chord", size=1, chord_body_id="body")
    tasks.task("h0", 1, 2, 3, parent_id="a0", root_id="a0", **chord)
    assert state(tasks, "a0") == ("chain", "broken off")
    tasks.task("body", 3, 4, 5, root_group_id="g", parent_id="h0", root_id="a0")
    assert state(tasks, "a0") == ("chain", "succeeded")


def test_a_chain_goes_on_in_a_group_which_is_a_workflow_of_its_own(tasks: TimedTasks) -> None:
    links(tasks, 1, 2)
    assert state(tasks, "a0") == ("chain", "broken off")
    tasks.task("m", 1, 2, 3, parent_id="a0", root_id="a0", group_id="g", root_group_id="g")
    assert state(tasks, "a0") == ("chain", "succeeded")
    assert state(tasks, "g") == ("group", "succeeded")


def test_a_chain_that_fails_at_its_first_link_is_a_chain(tasks: TimedTasks) -> None:
    tasks.task("a0", 0, 1, 2, end="failed", chain_length=3)
    assert state(tasks, "a0") == ("chain", "failed")


def test_a_chain_of_a_group_that_broke_off_is_told(tasks: TimedTasks) -> None:
    group = {"group_id": "g", "root_group_id": "g"}
    links(tasks, 2, 2, first="a", **group)
    links(tasks, 1, 2, first="b", **group)
    assert state(tasks, "g") == ("group", "broken off")
    tasks.task("b1", 1, 2, 3, parent_id="b0", root_id="b0", chain_left=1, **group)
    assert state(tasks, "g") == ("group", "succeeded")


def test_the_order_of_arrival_says_nothing(tasks: TimedTasks) -> None:
    tasks.task("a0", None, 1, 2)
    tasks.task("a1", 2, 3, 4, parent_id="a0", root_id="a0", chain_left=2)
    assert state(tasks, "a0") == ("chain", "succeeded")
    # What the publisher said comes last.
    tasks.task("a0", 0, chain_length=3)
    assert state(tasks, "a0") == ("chain", "broken off")


CHORD = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}


def test_a_chord_of_which_a_header_is_not_known_is_not_done(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", size=3, chord_body_id="body")
    for number in range(2):
        tasks.task(f"h{number}", 0, 1, 2, **CHORD)
    tasks.shop.database.run("UPDATE celerytrail.tasks SET updated_at = now()")
    assert state(tasks, "g") == ("chord", "running")
    tasks.shop.database.run(
        "UPDATE celerytrail.tasks SET updated_at = now() - interval '10 minutes'"
    )
    row = workflow(tasks, "g")
    assert (row["state"], row["needs_attention"]) == ("body never ran", True)


def test_a_chord_of_unknown_size_runs_its_body_or_never(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", chord_body_id="body")
    tasks.task("h0", 0, 1, 2, **CHORD)
    assert state(tasks, "g") == ("chord", "body never ran")
    tasks.task("body", 3, 4, 5, root_group_id="g", parent_id="h0")
    assert state(tasks, "g") == ("chord", "succeeded")


def test_a_chord_whose_body_broke_off_its_chain(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", size=1, chord_body_id="body")
    tasks.task("h0", 0, 1, 2, **CHORD)
    tasks.task("body", 2, 3, 4, root_group_id="g", parent_id="h0", chain_length=2)
    assert state(tasks, "g") == ("chord", "broken off")
    tasks.task("next", 4, 5, 6, root_group_id="g", parent_id="body", chain_left=1)
    assert state(tasks, "g") == ("chord", "succeeded")


def test_a_chord_in_a_chord_whose_inner_body_never_ran(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", size=2, chord_body_id="body")
    tasks.group("i", kind="chord", size=2, chord_body_id="inner", root_group_id="g")
    inner = {"group_id": "i", "root_group_id": "g", "chord_body_id": "inner"}
    tasks.task("x0", 0, 1, 2, **inner)
    tasks.task("x1", 0, 1, 2, **inner)
    tasks.task("h0", 0, 1, 2, **CHORD)
    assert state(tasks, "g") == ("chord", "body never ran")
    tasks.task("inner", 2, 3, 4, parent_id="x1", **CHORD)
    just_now(tasks, "inner")
    assert state(tasks, "g") == ("chord", "running")
    tasks.task("body", 4, 5, 6, parent_id="inner", root_group_id="g")
    assert state(tasks, "g") == ("chord", "succeeded")


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (("succeeded", "ignored"), "succeeded"),
        (("succeeded", "failed"), "partially failed"),
        (("failed", "failed"), "failed"),
        (("succeeded", "retried"), "running"),
        (("revoked", "succeeded"), "partially failed"),
        (("lost", "expired"), "failed"),
    ],
)
def test_a_group_is_as_its_members(tasks: TimedTasks, ends: tuple[str, str], expected: str) -> None:
    for number, end in enumerate(ends):
        tasks.task(f"m{number}", 0, 1, 2, end=end, group_id="g", root_group_id="g")
    assert state(tasks, "g") == ("group", expected)


GROUP = {"group_id": "g", "root_group_id": "g"}


def test_of_failures_beside_each_other_the_first_is_the_culprit(tasks: TimedTasks) -> None:
    tasks.task("m0", 0, 1, 5, end="failed", **GROUP)
    tasks.task("m1", 0, 1, 3, end="failed", **GROUP)
    tasks.task("m2", 0, 1, 2, **GROUP)
    assert culprit(tasks, "g") == "m1"
    # At the same microsecond it is the same one every time.
    tasks.task("m3", 0, 1, 3, end="failed", **GROUP)
    assert culprit(tasks, "g") == "m1"


def test_who_fails_because_of_what_it_sent_is_not_the_culprit(tasks: TimedTasks) -> None:
    tasks.task("p", 0, 1, 9, end="failed", root_id="p")
    tasks.task("c", 2, 3, 8, end="failed", root_id="p", parent_id="p")
    tasks.task("leaf", 4, 5, 7, end="failed", root_id="p", parent_id="c")
    assert culprit(tasks, "p") == "leaf"


def test_a_child_that_was_terminated_is_the_culprit_of_its_parent(tasks: TimedTasks) -> None:
    tasks.task("p", 0, 1, 9, end="failed", root_id="p")
    tasks.task("c", 2, 3, 8, end="revoked", root_id="p", parent_id="p")
    assert culprit(tasks, "p") == "c"


def test_retries_that_ran_out_count_from_their_end(tasks: TimedTasks) -> None:
    tasks.task("m0", 0, 1, 2, end="retried", **GROUP)
    tasks.task("m0", 2, 3, 9, end="failed", attempt=1, **GROUP)
    tasks.task("m1", 0, 1, 5, end="failed", **GROUP)
    assert culprit(tasks, "g") == "m1"


def test_what_only_says_that_a_chord_failed_is_not_the_culprit(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", size=2, chord_body_id="body")
    tasks.task("h0", 0, 1, 5, end="failed", **CHORD)
    tasks.task("h1", 0, 1, 2, **CHORD)
    tasks.task("body", 0, None, 3, end="failed", root_group_id="g",
               exception_class="celery.exceptions.ChordError")  # fmt: skip
    assert culprit(tasks, "g") == "h0"


def test_a_body_that_fails_by_itself_may_be_the_culprit(tasks: TimedTasks) -> None:
    """Of two chords in a group the body of one fails before a header of the other."""
    for name in ("i", "k"):
        tasks.group(name, kind="chord", size=1, chord_body_id=f"body {name}", root_group_id="g")
    one = {"group_id": "i", "root_group_id": "g", "chord_body_id": "body i"}
    tasks.task("x", 0, 1, 2, **one)
    tasks.task("body i", 2, 3, 4, end="failed", parent_id="x", **GROUP)
    tasks.task("y", 0, 1, 6, end="failed", **{**one, "group_id": "k", "chord_body_id": "body k"})
    assert culprit(tasks, "g") == "body i"


def test_a_body_after_a_failed_header_is_not_the_culprit(tasks: TimedTasks) -> None:
    tasks.group("g", kind="chord", size=1, chord_body_id="body")
    tasks.task("h0", 0, 1, 2, end="failed", **CHORD)
    tasks.task("body", 0, None, 2, end="failed", root_group_id="g", exception_class="KeyError")
    assert culprit(tasks, "g") == "h0"


def test_what_an_operator_ended_is_the_culprit_only_where_nothing_else_failed(
    tasks: TimedTasks,
) -> None:
    tasks.task("m0", 0, 1, 2, end="revoked", **GROUP)
    tasks.task("m1", 0, 1, 9, end="failed", **GROUP)
    assert culprit(tasks, "g") == "m0"
    tasks.shop.act("outcome", "cancel", {"task_id": "m0"}, {"state": "succeeded"})
    assert culprit(tasks, "g") == "m1"
