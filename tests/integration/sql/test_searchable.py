"""Excerpts of payloads: they come and go with the payload, and hold nothing of a sealed body."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors

from celerytrail.exporter.sink.ledger import Ledger
from tests.span_rows import NOON, payload_row

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

EXCERPTS = "SELECT task_id, kind, excerpt FROM celerytrail.searchable ORDER BY 1, 2"


def delete_payloads(database: MigratedDatabase, where: str) -> None:
    database.run(f"SET ROLE celerytrail_owner; DELETE FROM celerytrail.payloads WHERE {where}")


def test_shown_text_has_an_excerpt_and_nothing_else_has(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_payloads(
        migrated.token,
        [
            payload_row("t", "args", b'["Order 4711"]'),
            payload_row("t", "kwargs", b"{}"),
            payload_row("t", "exception", '"ValueError: é"'.encode()),
            payload_row("t", "traceback", b'"Traceback"'),
            payload_row("t", "result", b'"result"'),
            payload_row("t", "stamps", b'{"stamp": 1}'),
            payload_row("t", "body", b"\x01\x01sealed"),
        ],
    )
    assert migrated.rows(EXCERPTS) == [
        ("t", "args", '["order 4711"]'),
        ("t", "exception", '"valueerror: é"'),
    ]


def test_an_excerpt_is_bounded_in_characters(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_payloads(migrated.token, [payload_row("t", "args", ("é" * 5000).encode())])
    assert migrated.rows(EXCERPTS) == [("t", "args", "é" * 512)]


def test_a_payload_that_comes_again_has_one_excerpt(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    again = payload_row("t", "args", b'["again"]')
    for rows in ([again], [again], [again, payload_row("u", "args", b'["new"]')]):
        ledger.write_payloads(migrated.token, rows)
    assert migrated.rows(EXCERPTS) == [("t", "args", '["again"]'), ("u", "args", '["new"]')]


def test_an_excerpt_goes_with_its_payload_and_no_other(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_payloads(
        migrated.token,
        [
            payload_row("t", "args", b'["first"]'),
            payload_row("t", "args", b'["second"]'),
            payload_row("u", "kwargs", b'{"k": 1}'),
        ],
    )
    delete_payloads(migrated, "convert_from(body, 'UTF8') = '[\"first\"]'")
    assert migrated.rows(EXCERPTS) == [("t", "args", '["second"]'), ("u", "kwargs", '{"k": 1}')]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    written=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["args", "kwargs", "exception", "result", "body"]),
            st.integers(0, 3),
            st.integers(-1, 1),
        ),
        max_size=12,
    ),
    removed=st.sets(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["args", "body"]))),
)
def test_what_triggers_keep_is_what_a_rebuild_makes(
    migrated: MigratedDatabase,
    ledger: Ledger,
    written: list[tuple[str, str, int, int]],
    removed: set[tuple[str, str]],
) -> None:
    for task, kind, number, day in written:
        row = payload_row(task, kind, f'["{number}"]'.encode(), at=NOON + timedelta(days=day))
        ledger.write_payloads(migrated.token, [row])
    for task, kind in sorted(removed):
        delete_payloads(migrated, f"task_id = '{task}' AND kind = '{kind}'")
    every = "SELECT s::text FROM celerytrail.searchable s ORDER BY 1"
    kept = migrated.rows(every)
    made = migrated.value("SELECT celerytrail.rebuild_searchable(NULL)")
    assert migrated.rows(every) == kept
    assert made == len(kept)


def test_a_rebuild_of_a_day_leaves_the_others(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_payloads(
        migrated.token,
        [
            payload_row("t", "args", b'["today"]'),
            payload_row("u", "args", b'["yesterday"]', at=NOON - timedelta(days=1)),
        ],
    )
    migrated.run("UPDATE celerytrail.searchable SET excerpt = 'lost'")
    assert migrated.value("SELECT celerytrail.rebuild_searchable(%s)", NOON.date()) == 1
    assert migrated.rows(EXCERPTS) == [("t", "args", '["today"]'), ("u", "args", "lost")]


@pytest.mark.parametrize(
    ("erase", "kept"),
    [
        ("ARRAY['t'], NULL", {"u args"}),
        ("ARRAY['t', 'u'], ARRAY['args']", {"t kwargs"}),
        ("ARRAY['t', 'u', 'v'], NULL", set()),
        ("ARRAY[]::text[], NULL", {"t args", "t kwargs", "u args"}),
    ],
)
def test_the_maintainer_erases_by_task_and_kind(
    migrated: MigratedDatabase, ledger: Ledger, erase: str, kept: set[str]
) -> None:
    ledger.write_payloads(
        migrated.token,
        [
            payload_row("t", "args", b'["one"]'),
            payload_row("t", "kwargs", b'{"k": 1}'),
            payload_row("u", "args", b'["two"]'),
        ],
    )
    with migrated.connect("maintainer") as maintainer:
        foreign = maintainer.execute(
            f"SELECT celerytrail.erase_searchable('acme', 'other', 'test', {erase})".encode()
        ).fetchone()
        erased = maintainer.execute(
            f"SELECT celerytrail.erase_searchable('acme', 'shop', 'test', {erase})".encode()
        ).fetchone()
    assert foreign == (0,)
    assert erased == (3 - len(kept),)
    assert {f"{task} {kind}" for task, kind, _ in migrated.rows(EXCERPTS)} == kept


def test_too_many_tasks_at_once_are_refused(migrated: MigratedDatabase) -> None:
    with (
        migrated.connect("maintainer") as maintainer,
        pytest.raises(errors.Error, match="10001 tasks at once") as refused,
    ):
        maintainer.execute(
            b"SELECT celerytrail.erase_searchable('', '', '', array_fill('t'::text, ARRAY[10001]), NULL)"
        )
    assert refused.value.sqlstate == "CT007"


def test_excerpts_of_dropped_days_are_trimmed_oldest_first(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ledger.write_payloads(
        migrated.token,
        [
            payload_row(f"{age}", "args", b'["old"]', at=NOON - timedelta(days=age))
            # Of the first there is no partition: it is in the one that is never dropped.
            for age in (99, 3, 2, 1, 0)
        ],
    )
    migrated.rows(
        "UPDATE celerytrail.horizon SET retained_from = %s RETURNING 1", NOON.date() - timedelta(1)
    )

    def trim(at_most: int) -> tuple[int, list[str]]:
        with migrated.connect("maintainer") as maintainer:
            row = maintainer.execute(
                b"SELECT celerytrail.trim_searchable(%s)", [at_most]
            ).fetchone()
        assert row is not None
        return row[0], [task for task, _, _ in migrated.rows(EXCERPTS)]

    assert trim(1) == (1, ["0", "1", "2", "99"])
    assert trim(10) == (1, ["0", "1", "99"])
    assert trim(10) == (0, ["0", "1", "99"])


@pytest.mark.parametrize("role", ["sink", "actions", "grafana", "verifier"])
@pytest.mark.parametrize(
    "call", ["erase_searchable('', '', '', '{}', NULL)", "trim_searchable(1)", "rebuild_searchable(NULL)"]
)  # fmt: skip
def test_nobody_else_may_change_them(migrated: MigratedDatabase, role: str, call: str) -> None:
    with migrated.connect(role) as session, pytest.raises(errors.InsufficientPrivilege):
        session.execute(f"SELECT celerytrail.{call}".encode())


def test_only_grafana_reads_them(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_payloads(migrated.token, [payload_row("t", "args", b'["text"]')])
    for role in ("sink", "actions", "verifier", "maintainer"):
        for name in ("celerytrail.searchable", "celerytrail_views.searchable"):
            with migrated.connect(role) as session, pytest.raises(errors.InsufficientPrivilege):
                session.execute(f"SELECT excerpt FROM {name}".encode())
    with migrated.connect("grafana") as grafana:
        found = grafana.execute(b"SELECT excerpt FROM celerytrail_views.searchable").fetchall()
        assert found == [('["text"]',)]
        with pytest.raises(errors.InsufficientPrivilege):
            grafana.execute(b"SELECT commitment FROM celerytrail.searchable")
