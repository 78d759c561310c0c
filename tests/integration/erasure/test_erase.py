"""`celerytrail erase`: what goes, what stays, what the chain says, and that nothing comes back."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.attributes import PAYLOAD_COLUMNS, PAYLOAD_KINDS
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.ledger import Ledger, Written
from celerytrail.sql.erase_command import erase_command
from celerytrail.sql.erasure import Actor, Selection, erase, eraser, open_erasures
from tests.integration.erasure.erasable_ledger import (
    KINDS,
    assert_clean,
    captured,
    erased,
    found_anywhere,
    kinds_of,
    phases,
    run_erase,
    salt_of,
    store,
)
from tests.integration.sql.intents import Intents
from tests.span_rows import NOON, task_rows, with_columns

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TASK = "0b8f6c1e-7f0c-4a55-9d0a-1d2b3c4d5e6f"
OTHER = "other-task"
SHOP = ("--namespace", "acme", "--service", "shop", "--environment", "test")
NAMES = [column.name for column in PAYLOAD_COLUMNS]
INSERT = (
    f"INSERT INTO celerytrail.payloads ({', '.join(NAMES)}) VALUES"
    f" ({', '.join(['%s'] * len(NAMES))})"
).encode()
BEGIN = (
    "SELECT celerytrail.begin_erasure(%s, 'bob', 'operator', NULL, %s, NULL, NULL, NULL,"
    " NULL, NULL, NULL, NULL, celerytrail.erasable_kinds())"
)


def equivocation(task_id: str, seq: int, word: str) -> tuple[object, ...]:
    """A row with the number of another, which goes into the quarantine with what it says."""
    row = task_rows(seq, task_id=task_id)[0]
    return with_columns(row, attributes=json.dumps({"celery.args": word}), host="elsewhere")


def test_nothing_of_an_erased_task_is_left_in_any_table(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    store(ledger, migrated, captured(TASK, 1), captured(OTHER, 11))
    with migrated.connect("actions") as connection:
        intents = Intents(connection)
        begun = intents.begin(
            target=json.dumps({"task_id": TASK}),
            reason="canary-reason",
            idempotency_key="k",
            request_hash=b"canary-hash",
        )
        assert intents.finish(begun.intent_id)
    for task_id, seq, word in ((TASK, 1, "canary-quarantine"), (OTHER, 11, "stays-quarantine")):
        written = ledger.write_spans(migrated.token, [equivocation(task_id, seq, word)])
        assert written.equivocations == 1
    needles: list[str | bytes] = [f"canary-{kind}-{TASK}" for kind in KINDS]
    needles += ["canary-reason", "canary-quarantine", "canary-hash"]
    needles += [salt_of(kind, TASK) for kind in KINDS]
    assert len(needles) == 2 * len(PAYLOAD_KINDS) + 3
    for needle in needles:
        assert found_anywhere(migrated, needle), needle

    told = erased(migrated, "--task", TASK)

    assert told["erased"]["tasks"] == 1
    assert told["erased"]["counts"] == {
        "payloads": len(KINDS),
        "action_reasons": 1,
        "intents": 1,
        "quarantine": 1,
    }
    for needle in needles:
        assert found_anywhere(migrated, needle) == set(), needle
    for kind in KINDS:
        places = {f"celerytrail.payloads_{NOON:%Y%m%d}"}
        if kind in ("args", "kwargs", "exception"):
            places.add("celerytrail.searchable")
        assert found_anywhere(migrated, f"canary-{kind}-{OTHER}") == places
    assert found_anywhere(migrated, "stays-quarantine") == {"celerytrail.quarantine"}
    assert_clean(migrated)


def test_a_short_argument_cannot_be_guessed_afterwards(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """The rows of the ledger commit to it, so whoever has the salt can try what it may have been."""
    store(ledger, migrated, captured(TASK, 1))
    (stored,) = migrated.rows(
        "SELECT salt, commitment, body FROM celerytrail.payloads WHERE kind = 'args'"
    )
    salt, commitment, body = (bytes(value) for value in stored)
    assert commit("args", salt, body) == commitment
    erased(migrated, "--task", TASK, "--kind", "args")
    assert found_anywhere(migrated, commitment)
    assert found_anywhere(migrated, salt) == set()
    assert kinds_of(migrated, TASK) == set(KINDS) - {"args"}


def test_the_chain_says_who_erased_which_tasks_before_and_after(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    store(ledger, migrated, captured(TASK, 1), captured(OTHER, 11))
    erased(migrated, "--task", TASK, "--task", OTHER, "--reason", "ticket 12")
    assert phases(migrated, "erase") == [("intent", "ann"), ("progress", "ann"), ("outcome", "ann")]
    (intent,) = migrated.rows(
        "SELECT target, recorded_by, action_id = intent_id FROM celerytrail.actions WHERE phase = 'intent'"
    )
    assert intent[0]["count"] == 2
    assert intent[0]["select"] == {"ids": 2}
    assert intent[1:] == ("celerytrail_maintainer", True)
    (progress,) = migrated.rows("SELECT detail FROM celerytrail.actions WHERE phase = 'progress'")
    assert progress[0]["tasks"] == [
        {"task_id": TASK, "result": "erased"},
        {"task_id": OTHER, "result": "erased"},
    ]
    (outcome,) = migrated.rows("SELECT detail FROM celerytrail.actions WHERE phase = 'outcome'")
    assert outcome[0]["counts"]["payloads"] == 2 * len(KINDS)
    assert migrated.rows(
        "SELECT verb, result, reason FROM celerytrail_views.task_actions WHERE task_id = %s", TASK
    ) == [("erase", "erased", "ticket 12")]


def test_an_erasures_own_reason_goes_by_its_action(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    store(ledger, migrated, captured(TASK, 1))
    first = erased(migrated, "--task", TASK, "--reason", "canary-why")["erased"]["erasure_id"]
    erased(migrated, "--task", TASK, "--reason", "again")
    assert found_anywhere(migrated, "canary-why") == {"celerytrail.action_reasons"}
    told = erased(migrated, "--action", first)
    assert told["erased"]["counts"] == {"action_reasons": 1}
    assert found_anywhere(migrated, "canary-why") == set()
    assert found_anywhere(migrated, "again")
    assert_clean(migrated)


def test_a_payload_that_comes_late_is_refused_and_counted(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    task, other = captured(TASK, 1), captured(OTHER, 11)
    store(ledger, migrated, task, other)
    erased(migrated, "--task", TASK, "--kind", "args", "--kind", "kwargs")
    again = [*task.payloads.values(), *other.payloads.values()]
    assert ledger.write_payloads(migrated.token, again) == Written(
        known=2 * len(KINDS) - 2,
        refused=2,
        refusals=("payloads of tasks whose payloads were erased",),
    )
    assert kinds_of(migrated, TASK) == set(KINDS) - {"args", "kwargs"}
    assert found_anywhere(migrated, f"canary-args-{TASK}") == set()
    # Another deployment's task of the same id is another task.
    token = migrated.new_token(Deployment("acme", "bank", "test"), "bank")
    foreign = tuple("bank" if value == "shop" else value for value in task.payloads["args"])
    assert ledger.write_payloads(token, [foreign]).inserted == 1


def test_a_task_nobody_has_heard_of_can_be_erased_ahead(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    assert erased(migrated, "--task", TASK)["erased"]["tasks"] == 0
    assert erased(migrated, "--task", TASK, *SHOP)["erased"]["tasks"] == 1
    task = captured(TASK, 1)
    assert ledger.write_payloads(migrated.token, [*task.payloads.values()]).refused == len(KINDS)
    assert ledger.write_spans(migrated.token, task.spans).inserted == len(task.spans)


def test_a_payload_that_is_being_written_is_waited_for(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """A sink that looked before the mark and commits after it would bring the payload back."""
    task = captured(TASK, 1)
    ledger.write_spans(migrated.token, task.spans)
    with (
        migrated.connect("sink", autocommit=False) as sink,
        migrated.connect("maintainer") as connection,
    ):
        sink.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        sink.execute(INSERT, task.payloads["args"])
        connection.execute("SET lock_timeout = '100ms'")
        erasure_id = uuid.uuid4()
        connection.execute(BEGIN, [erasure_id, [TASK]])
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute("SELECT celerytrail.mark_erased(%s, 10)", [erasure_id])
        sink.commit()
        assert kinds_of(migrated, TASK) == {"args"}
        connection.execute("SELECT celerytrail.mark_erased(%s, 10)", [erasure_id])
        sink.execute("SELECT celerytrail.authenticate(%s)", [migrated.token])
        with pytest.raises(psycopg.errors.SerializationFailure, match="erased at this moment"):
            sink.execute(INSERT, task.payloads["kwargs"])
        sink.rollback()
    assert erased(migrated, "--resume")["finished"][0]["counts"]["payloads"] == 1
    assert kinds_of(migrated, TASK) == set()


def test_filters(migrated: MigratedDatabase, ledger: Ledger) -> None:
    old = NOON - timedelta(days=3)
    ship = {"task_name": "shop.ship"}
    store(
        ledger,
        migrated,
        captured("old", 1, at=old),
        captured("old-ship", 11, at=old, **ship),
        captured("new", 21),
        captured("new-ship", 31, **ship),
    )
    # A payload alone: its spans are on their way.
    waiting = captured("waiting", 41, at=old).payloads["args"]
    assert ledger.write_payloads(migrated.token, [waiting]).inserted == 1

    def would(*arguments: str) -> tuple[int, int]:
        result = run_erase(migrated, "--dry-run", *arguments)
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        return told["tasks"], told["payloads"]

    each = len(KINDS)
    assert would("--older-than-days", "2") == (3, 2 * each + 1)
    assert would("--older-than-days", "2", "--kind", "args") == (3, 3)
    assert would("--task-name", "shop.ship") == (2, 2 * each)
    assert would("--task-name", "shop.ship", "--older-than-days", "2") == (1, each)
    assert would("--state", "failed") == (4, 4 * each)
    assert would("--state", "succeeded") == (0, 0)
    assert would("--service", "shop") == (5, 4 * each + 1)
    assert would("--service", "bank") == (0, 0)
    assert would("--from", f"{NOON:%Y-%m-%d}") == (2, 2 * each)
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0

    assert erased(migrated, "--older-than-days", "2")["erased"]["tasks"] == 3
    assert would("--older-than-days", "2") == (0, 0)
    assert migrated.rows("SELECT DISTINCT task_id FROM celerytrail.payloads ORDER BY 1") == [
        ("new",),
        ("new-ship",),
    ]
    assert ledger.write_payloads(migrated.token, [waiting]).refused == 1
    assert_clean(migrated)


def test_doing_it_twice_changes_nothing_more(migrated: MigratedDatabase, ledger: Ledger) -> None:
    store(ledger, migrated, captured(TASK, 1))
    erased(migrated, "--task", TASK)
    before = migrated.rows("SELECT kinds FROM celerytrail.erased_tasks")
    told = erased(migrated, "--task", TASK)
    assert told["erased"]["counts"]["payloads"] == 0
    assert migrated.rows("SELECT kinds FROM celerytrail.erased_tasks") == before
    assert migrated.value("SELECT count(*) FROM celerytrail.erasure_targets") == 0
    assert erased(migrated, "--resume") == {"finished": [], "erased": None}


def test_kinds_that_are_erased_one_after_the_other_add_up(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    task = captured(TASK, 1)
    store(ledger, migrated, task)
    erased(migrated, "--task", TASK, "--kind", "args")
    erased(migrated, "--task", TASK, "--kind", "result")
    assert migrated.rows("SELECT kinds FROM celerytrail.erased_tasks") == [(["args", "result"],)]
    assert ledger.write_payloads(migrated.token, [*task.payloads.values()]).refused == 2


def test_several_deployments_are_several_blocks(migrated: MigratedDatabase, ledger: Ledger) -> None:
    token = migrated.new_token(Deployment("acme", "bank", "test"), "bank")
    task = captured(TASK, 1)
    store(ledger, migrated, task)
    rows = [
        tuple("bank" if value == "shop" else value for value in row)
        for row in task.payloads.values()
    ]
    assert ledger.write_payloads(token, rows).inserted == len(KINDS)
    assert erased(migrated, "--task", TASK)["erased"]["tasks"] == 2
    assert migrated.rows(
        "SELECT service FROM celerytrail.actions WHERE phase = 'progress' ORDER BY 1"
    ) == [("bank",), ("shop",)]


def test_ids_of_any_shape_and_length_fit_into_the_chain(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    ids = tuple('"\\é' + "x" * 900 + str(number) for number in range(1500))
    with eraser(migrated.dsn("maintainer")) as connection:
        selection = Selection(("args",), ids, "acme", "shop", "test")
        assert erase(connection, selection, Actor("ann")).tasks == len(ids)
    assert migrated.value("SELECT max(octet_length(detail::text)) FROM celerytrail.actions") < 2**20
    assert run_erase(migrated, "--task", "\x01", *SHOP).exit_code == 0
    assert_clean(migrated)


def test_only_the_maintainer_may(migrated: MigratedDatabase, ledger: Ledger) -> None:
    store(ledger, migrated, captured(TASK, 1))
    for role in ("sink", "actions", "grafana", "verifier"):
        result = run_erase(migrated, "--task", TASK, role=role)
        assert result.exit_code == 1
        assert "permission denied" in str(result.exception) + result.output
    with migrated.connect("maintainer") as connection:
        for function in ("erase_from_payloads", "erase_everywhere"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT celerytrail.{function}('{{}}', '{{}}')".encode())
        for table in ("erased_tasks", "erasures", "erasure_targets", "payloads"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM celerytrail.{table}".encode())
    assert kinds_of(migrated, TASK) == set(KINDS)
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say what"),
        (["--task", TASK, "--state", "failed"], "or by a filter"),
        (["--task", "  "], "no task id"),
        (["--task", TASK, "--kind", "salt"], "--kind salt: there are args"),
        (["--to", "2020-01-01", "--older-than-days", "1"], "exclude each other"),
        (["--action", "11111111-2222-3333-4444-555555555555", "--task", TASK], "stands alone"),
        (["--to", "2999-01-01"], "ends now at the latest"),
        (["--task", "\udcff"], "'--task': is not text in UTF-8"),
        (["--service", "\udcff"], "'--service': is not text in UTF-8"),
        (["--state", "failed", "--reason", "\udcff"], "'--reason': is not text in UTF-8"),
        (["--state", "failed", "--actor", "\udcff"], "'--actor': is not text in UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused(
    migrated: MigratedDatabase, arguments: list[str], said: str
) -> None:
    result = run_erase(migrated, *arguments)
    assert result.exit_code in (1, 2)
    assert said in str(result.exception) + result.output
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0


@pytest.mark.parametrize(
    ("content", "tasks", "said"),
    [
        # As editors and spreadsheets write it.
        (b"\xef\xbb\xbf" + TASK.encode() + b"\r\n", 1, ""),
        (f"{TASK}\n\n  {TASK}  \n".encode(), 1, ""),
        (TASK.encode("utf-16"), 0, "--tasks-from: what it names is not text in UTF-8"),
        (b"a\0b\n", 0, "holds a NUL character"),
        (b"\n", 0, "no task id"),
    ],
    ids=["mark", "spaces", "utf-16", "nul", "empty"],
)
def test_a_file_of_ids(
    migrated: MigratedDatabase,
    ledger: Ledger,
    tmp_path: Path,
    content: bytes,
    tasks: int,
    said: str,
) -> None:
    """An id that is misread is a task that nobody erases."""
    store(ledger, migrated, captured(TASK, 1))
    file = tmp_path / "ids.txt"
    file.write_bytes(content)
    result = run_erase(migrated, "--tasks-from", str(file))
    assert result.exit_code == (0 if tasks else 2), result.output
    assert said in result.output
    assert kinds_of(migrated, TASK) == (set() if tasks else set(KINDS))


def test_nobody_is_asked_where_nobody_is(migrated: MigratedDatabase, ledger: Ledger) -> None:
    store(ledger, migrated, captured(TASK, 1))
    arguments = ["--dsn", migrated.dsn("maintainer"), "--task", TASK]
    result = CliRunner().invoke(erase_command, arguments)
    assert result.exit_code == 2
    assert "add --yes" in result.output
    assert kinds_of(migrated, TASK) == set(KINDS)


def test_the_kinds_are_those_of_the_contract(migrated: MigratedDatabase) -> None:
    kinds = migrated.value("SELECT celerytrail.erasable_kinds()")
    assert sorted(kinds) == sorted([*KINDS, "reason"])


def test_a_new_place_is_reached_by_its_function_alone(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    store(ledger, migrated, captured(TASK, 1))
    migrated.run(
        "SET ROLE celerytrail_owner;"
        "CREATE TABLE celerytrail.more_words (task_id text, words text);"
        f"INSERT INTO celerytrail.more_words VALUES ('{TASK}', 'canary-words');"
        "CREATE FUNCTION celerytrail.erase_from_more_words(tasks celerytrail.task_key[], kinds text[])"
        " RETURNS int8 LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$"
        " WITH gone AS (DELETE FROM celerytrail.more_words s USING unnest($1) k"
        " WHERE s.task_id = k.task_id RETURNING 1) SELECT count(*) FROM gone $$"
    )
    assert erased(migrated, "--task", TASK)["erased"]["counts"]["more_words"] == 1
    assert found_anywhere(migrated, "canary-words") == set()


def test_what_was_broken_off_is_finished_by_the_next_run(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    tasks = [captured(f"task-{number}", 1 + 10 * number) for number in range(5)]
    store(ledger, migrated, *tasks)
    with eraser(migrated.dsn("maintainer")) as connection:
        erasure_id = uuid.uuid4()
        connection.execute(BEGIN, [erasure_id, [task.task_id for task in tasks]])
        connection.execute("SELECT celerytrail.mark_erased(%s, 3)", [erasure_id])
        connection.execute("SELECT celerytrail.erase_marked(%s, 2)", [erasure_id])
        (left,) = open_erasures(connection)
        assert (left.actor, left.remaining) == ("bob", 3)
    told = erased(migrated, "--task", "task-0")
    assert told["finished"][0]["tasks"] == 5
    assert migrated.value("SELECT count(*) FROM celerytrail.payloads") == 0
    assert phases(migrated, "erase") == [
        ("intent", "bob"),
        ("progress", "bob"),
        ("progress", "ann"),
        ("progress", "bob"),
        ("outcome", "bob"),
        ("intent", "ann"),
        ("progress", "ann"),
        ("outcome", "ann"),
    ]
    (outcome,) = migrated.rows(
        "SELECT detail FROM celerytrail.actions WHERE phase = 'outcome' AND actor = 'bob'"
    )
    assert outcome[0]["continued_by"] == "ann"
    assert outcome[0]["counts"]["payloads"] == 5 * len(KINDS)
    assert_clean(migrated)


_STEP = st.tuples(
    st.sampled_from(["write", "erase"]),
    st.sampled_from(["a", "b", "c"]),
    st.sets(st.sampled_from(KINDS), min_size=1),
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(_STEP, min_size=1, max_size=8))
def test_in_any_order_only_what_was_not_erased_is_there(
    migrated: MigratedDatabase, ledger: Ledger, steps: list[tuple[str, str, set[str]]]
) -> None:
    prefix = uuid.uuid4().hex
    tasks = {name: captured(f"{prefix}-{name}", 1) for name in "abc"}
    erased_kinds: set[tuple[str, str]] = set()
    there: set[tuple[str, str]] = set()
    with eraser(migrated.dsn("maintainer")) as connection:
        for what, name, kinds in steps:
            named = {(name, kind) for kind in kinds}
            if what == "write":
                rows = [tasks[name].payloads[kind] for kind in sorted(kinds)]
                written = ledger.write_payloads(migrated.token, rows)
                assert written.refused == len(named & erased_kinds)
                there |= named - erased_kinds
            else:
                selection = Selection(
                    tuple(sorted(kinds)), (tasks[name].task_id,), "acme", "shop", "test"
                )
                counts = erase(connection, selection, Actor("ann")).counts
                assert counts["payloads"] == len(named & there)
                erased_kinds |= named
                there -= named
    stored = migrated.rows(
        "SELECT task_id, kind FROM celerytrail.payloads WHERE task_id LIKE %s", f"{prefix}%"
    )
    assert {(task_id[-1], kind) for task_id, kind in stored} == there
