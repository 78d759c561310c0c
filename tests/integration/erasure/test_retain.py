"""`celerytrail retain`: whole days go, announced and said; what is left is verified, written to and rebuilt."""

from __future__ import annotations

import json
import uuid
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.erasure import Actor
from celerytrail.sql.maintain import Bounds, Done, maintain_once
from celerytrail.sql.read_model import rebuild_read_model
from celerytrail.sql.retain_command import retain
from celerytrail.sql.retention import (
    DroppedByAnother,
    announce,
    drop_day,
    old_days,
    retainer,
    wait_for_checkpoint,
)
from celerytrail.sql.snapshot import snapshot
from celerytrail.sql.verification import DroppedDay, Verdict
from celerytrail.sql.verify import verify_ledger
from tests.chain.chained_ledger import append_action
from tests.integration.erasure.erasable_ledger import (
    KINDS,
    assert_clean,
    captured,
    erased,
    phases,
    store,
)
from tests.integration.sql.intents import Intents
from tests.span_rows import NOON, SHOP, span_row, task_rows

if TYPE_CHECKING:
    from datetime import datetime

    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

TODAY = NOON.date()


def days_ago(days: int) -> datetime:
    return NOON - timedelta(days=days)


def stream(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def run_retain(database: MigratedDatabase, *arguments: str, role: str = "maintainer") -> Result:
    given = ["--dsn", database.dsn(role), "--actor", "ann", "--yes", "--json", *arguments]
    return CliRunner().invoke(retain, given)


def retained(database: MigratedDatabase, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    result = run_retain(database, *arguments)
    assert result.exit_code == exit_code, result.output + repr(result.exception)
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def a_week(ledger: Ledger, database: MigratedDatabase) -> None:
    """One task a day for six days, in order of age today to 5 days ago, with its payloads."""
    for days in range(6):
        store(
            ledger,
            database,
            captured(
                f"task-{days}", 1, at=days_ago(days), stream=stream(days + 1), group_id=f"g{days}"
            ),
        )


def partitions(database: MigratedDatabase) -> set[str]:
    rows = database.rows(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent IN ('celerytrail.spans'::regclass, 'celerytrail.leaf_groups'::regclass,"
        " 'celerytrail.payloads'::regclass) AND c.relname ~ '_[0-9]{8}$'"
    )
    return {name for (name,) in rows}


def names(day: date) -> set[str]:
    return {f"{parent}_{day:%Y%m%d}" for parent in ("spans", "leaf_groups", "payloads")}


def test_old_days_go_and_the_rest_is_verified(migrated: MigratedDatabase, ledger: Ledger) -> None:
    a_week(ledger, migrated)
    before = partitions(migrated)
    gone = [days_ago(days).date() for days in (5, 4, 3)]
    told = retained(migrated, "--days", "2")

    assert [day["day"] for day in told["dropped"]] == [day.isoformat() for day in gone]
    assert [(day["groups"], day["rows"]) for day in told["dropped"]] == [(1, 4)] * 3
    assert before - partitions(migrated) == set().union(*(names(day) for day in gone))
    assert migrated.value("SELECT retained_from FROM celerytrail.horizon") == days_ago(2).date()
    assert phases(migrated, "retention") == [("intent", "ann"), ("outcome", "ann")] * 3
    found = verify_ledger(migrated.dsn("verifier"))
    assert (found.bad, found.verdict) == ((), Verdict.INTERNAL)
    for reading in found.readings:
        assert reading.dropped == tuple(DroppedDay(day.isoformat(), 1, 4, "ann") for day in gone)
    assert told["forgotten"]["tasks"] == 3
    assert told["forgotten"]["runs"] == 3
    assert told["forgotten"]["groups"] == 3
    for table, key in (("tasks", "task_id"), ("runs", "task_id"), ("groups", "group_id")):
        kept = {key for (key,) in migrated.rows(f"SELECT {key} FROM celerytrail.{table}")}
        prefix = "g" if table == "groups" else "task-"
        assert kept == {f"{prefix}{days}" for days in range(3)}, table
    # Numbers of what was dropped are nowhere else.
    assert migrated.value("SELECT count(*) FROM celerytrail.streams") == 6
    assert retained(migrated, "--days", "2")["dropped"] == []
    assert migrated.value("SELECT count(*) FROM celerytrail.actions WHERE verb = 'retention'") == 6


def test_what_comes_late_is_refused_and_counted(migrated: MigratedDatabase, ledger: Ledger) -> None:
    a_week(ledger, migrated)
    retained(migrated, "--days", "2")
    late = captured("late", 1, at=days_ago(4), stream=stream(99))
    written = ledger.write_payloads(migrated.token, [*late.payloads.values()])
    assert (written.inserted, written.refused) == (0, len(KINDS))
    assert written.refusals == ("payloads of days that retention dropped",)
    written = ledger.write_spans(migrated.token, late.spans)
    assert (written.inserted, written.refused) == (0, len(late.spans))
    # A sink that has seen the day's partition, and one that has not.
    again = captured("task-4", 1, at=days_ago(4), stream=stream(5))
    assert ledger.write_spans(migrated.token, again.spans).known == len(again.spans)
    fresh = Ledger(migrated.dsn("sink"), timeout_seconds=20)
    fresh.open()
    try:
        rows = [*late.payloads.values(), *captured("now", 1).payloads.values()]
        written = fresh.write_payloads(migrated.token, rows)
    finally:
        fresh.close()
    assert (written.inserted, written.refused) == (len(KINDS), len(KINDS))
    assert_clean(migrated)


def test_a_rebuild_afterwards_gives_the_same_tasks(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    purged = {"purged": [{"task_id": "purged", "send_id": "", "sent_unix_nano": "0"}]}
    where = {"namespace": SHOP.namespace, "service": SHOP.service, "environment": SHOP.environment}
    append_action(migrated, "purge", phase="outcome", detail=json.dumps(purged), **where)
    # An event whose clock is impossible stays, so its task does.
    strange = span_row(
        1, "sent", at=days_ago(9000), day="-infinity", task_id="strange", task_name="shop.pay",
        stream=stream(50), marks="clock",
    )  # fmt: skip
    assert ledger.write_spans(migrated.token, [strange]).inserted == 1
    # As is one that has an event before and one after.
    rows = task_rows(1, task_id="long", at=days_ago(4), stream=stream(51))
    rows[3] = task_rows(1, task_id="long", at=days_ago(1), stream=stream(51))[3]
    assert ledger.write_spans(migrated.token, rows).inserted == 4
    retained(migrated, "--days", "2")
    kept = migrated.rows("SELECT task_id FROM celerytrail.tasks ORDER BY 1")
    assert kept == [("long",), ("purged",), ("strange",), ("task-0",), ("task-1",), ("task-2",)]
    before = migrated.read_model()
    with migrated.connect() as connection:
        rebuild_read_model(connection)
    after = migrated.read_model()
    # What is left of a task with events on both sides is what its events that are left say.
    for table in before:
        kept_rows = [row for row in before[table] if ",long," not in row[0]]
        assert [row for row in after[table] if ",long," not in row[0]] == kept_rows, table
        assert len(after[table]) == len(before[table])


def test_a_purge_of_days_before_does_not_come_back(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    purged = {"purged": [{"task_id": "purged", "send_id": "", "sent_unix_nano": "0"}]}
    where = {"namespace": SHOP.namespace, "service": SHOP.service, "environment": SHOP.environment}
    append_action(migrated, "purge", phase="outcome", detail=json.dumps(purged), **where)
    retained(migrated, "--days", "2")
    migrated.run("UPDATE celerytrail.horizon SET retained_from = current_date + 1")
    # As if it had been forgotten; a row that reaches back is left as it is.
    migrated.run("DELETE FROM celerytrail.tasks WHERE task_id = 'purged'")
    with migrated.connect() as connection:
        rebuild_read_model(connection)
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks WHERE task_id = 'purged'") == 0
    assert migrated.value("SELECT count(*) FROM celerytrail.task_actions") == 1


def test_days_that_are_not_over_for_a_day_are_refused(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    result = run_retain(migrated, "--days", "0")
    assert result.exit_code == 2
    with migrated.connect("maintainer") as maintainer:
        for days in (1, 0, -1, -3):
            for call in ("announce_day_drop(%s, 'x', 'y', NULL)", "drop_day(%s, true)"):
                with pytest.raises(psycopg.Error, match="celerytrail: day") as error:
                    maintainer.execute(
                        f"SELECT celerytrail.{call}".encode(), [days_ago(days).date()]
                    )
                assert error.value.sqlstate == "CT010"
        with pytest.raises(psycopg.Error, match="was not announced"):
            maintainer.execute("SELECT celerytrail.drop_day(%s, true)", [days_ago(5).date()])
        told = retained(migrated, "--days", "1")
    assert [day["day"] for day in told["dropped"]] == [
        days_ago(days).date().isoformat() for days in (5, 4, 3, 2)
    ]
    assert_clean(migrated)


def test_a_dry_run_changes_nothing(migrated: MigratedDatabase, ledger: Ledger) -> None:
    a_week(ledger, migrated)
    told = retained(migrated, "--days", "3", "--dry-run")
    assert [(day["day"], day["rows"]) for day in told["days"]] == [
        (days_ago(days).date().isoformat(), 4) for days in (5, 4)
    ]
    assert told["dropped"] == []
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0


def test_a_day_that_was_announced_is_finished_by_the_next_run(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """A run that was killed between the two leaves the announcement and a clean ledger."""
    a_week(ledger, migrated)
    day = days_ago(4).date()
    with migrated.connect("maintainer") as maintainer:
        maintainer.execute(
            "SELECT celerytrail.announce_day_drop(%s, 'bob', 'operator', 'why')", [day]
        )
    assert verify_ledger(migrated.dsn("verifier")).bad == ()
    # However many days are kept by now.
    told = retained(migrated, "--days", "30")
    assert [found["day"] for found in told["dropped"]] == [day.isoformat()]
    assert phases(migrated, "retention") == [("intent", "bob"), ("outcome", "bob")]
    assert_clean(migrated)


def test_a_run_that_was_killed_before_it_forgot_is_finished(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    day = days_ago(5).date()
    with migrated.connect("maintainer") as maintainer:
        maintainer.execute(
            "SELECT celerytrail.announce_day_drop(%s, 'bob', 'operator', NULL)", [day]
        )
        maintainer.execute("SELECT celerytrail.drop_day(%s, false)", [day])
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks") == 6
    told = retained(migrated, "--days", "30")
    assert told["forgotten"]["tasks"] == 1
    assert migrated.value("SELECT count(*) FROM celerytrail.tasks") == 5
    assert retained(migrated, "--days", "30")["forgotten"] == {}


def checkpoint(database: MigratedDatabase, *, published: str = "ok") -> None:
    """Record a checkpoint of the chain as it is, as the checkpointer's role does."""
    with database.connect("checkpointer") as checkpointer:
        checkpointer.execute(
            "SELECT celerytrail.record_checkpoint(now(), 1, 'key', (SELECT json_agg(json_build_object("
            "'chain', h.chain, 'n', h.n, 'hash', encode(h.hash, 'hex'))) FROM celerytrail.chain_head h),"
            " 'note', json_build_object('file', %s::text), NULL)",
            [published],
        )


def test_where_checkpoints_are_made_one_has_to_cover_the_announcement(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    checkpoint(migrated)
    # A head that is signed again, but does not reach the announcement, and one that went nowhere.
    told = retained(migrated, "--days", "4", "--checkpoint-seconds", "0", exit_code=3)
    assert "is `celerytrail checkpoint` running" in told["unfinished"]
    assert told["dropped"] == []
    checkpoint(migrated, published="refused 503")
    assert retained(migrated, "--days", "4", "--checkpoint-seconds", "0", exit_code=3)["unfinished"]
    with migrated.connect("maintainer") as maintainer, pytest.raises(psycopg.Error) as error:
        maintainer.execute("SELECT celerytrail.drop_day(%s, false)", [days_ago(5).date()])
    assert error.value.sqlstate == "CT011"
    checkpoint(migrated)
    told = retained(migrated, "--days", "4", "--checkpoint-seconds", "0")
    assert [day["day"] for day in told["dropped"]] == [days_ago(5).date().isoformat()]
    assert phases(migrated, "retention") == [("intent", "ann"), ("outcome", "ann")]
    # And without one, when somebody says so, which the chain repeats.
    told = retained(migrated, "--days", "3", "--without-checkpoint")
    assert [day["day"] for day in told["dropped"]] == [days_ago(4).date().isoformat()]
    said = migrated.rows(
        "SELECT detail ->> 'checkpoint' FROM celerytrail.actions WHERE phase = 'outcome' ORDER BY batch_id"
    )
    assert said == [("published",), ("waiting",)]
    assert_clean(migrated)


def test_an_open_transaction_of_a_reader_stops_neither_ingest_nor_retention_for_good(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    with migrated.connect("grafana", autocommit=False) as idle:
        # On a slow machine it stays for longer than its role may by itself.
        idle.execute("SET idle_in_transaction_session_timeout = 0")
        idle.execute("SELECT count(*) FROM celerytrail_views.spans").fetchall()
        idle.execute("SELECT count(*) FROM celerytrail_views.payloads").fetchall()
        told = retained(migrated, "--days", "4", "--lock-seconds", "0", exit_code=3)
        assert "somebody read" in told["unfinished"]
        assert ledger.write_spans(migrated.token, task_rows(200)).inserted == 4
    assert len(retained(migrated, "--days", "4")["dropped"]) == 1
    assert_clean(migrated)


def test_a_day_is_not_dropped_under_a_verification(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    """Its snapshot still says that the day is there."""
    a_week(ledger, migrated)
    with snapshot(migrated.dsn("verifier")):
        told = retained(migrated, "--days", "4", "--lock-seconds", "0", exit_code=3)
        assert "is a verification or a dump running" in told["unfinished"]
        assert ledger.write_spans(migrated.token, task_rows(200)).inserted == 4
    assert len(retained(migrated, "--days", "4")["dropped"]) == 1


def test_a_day_that_another_run_dropped_meanwhile_is_no_failure(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    with retainer(migrated.dsn("maintainer")) as one, retainer(migrated.dsn("maintainer")) as other:
        first = old_days(one, 2)[0].day
        announce(one, first, Actor("ann"))
        assert drop_day(other, first) is not None
        for call in (
            lambda: announce(one, first, Actor("ann")),
            lambda: wait_for_checkpoint(one, first, 0),
            lambda: drop_day(one, first),
        ):
            with pytest.raises(DroppedByAnother):
                call()
        # What may not be dropped, or was not announced, is one as ever.
        with pytest.raises(psycopg.Error, match="was not announced"):
            drop_day(one, days_ago(4).date())
        with pytest.raises(psycopg.Error, match="only whole UTC days before yesterday"):
            announce(one, days_ago(1).date(), Actor("ann"))


def test_rows_with_an_impossible_clock_stay_and_their_payloads_go(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    strange = captured("strange", 1, at=days_ago(9000), stream=stream(50), day="-infinity")
    items = [
        tuple("-infinity" if value == days_ago(9000).date() else value for value in row)
        for row in strange.payloads.values()
    ]
    assert ledger.write_payloads(migrated.token, items).inserted == len(KINDS)
    assert ledger.write_spans(migrated.token, strange.spans).inserted == len(strange.spans)
    migrated.run(
        "ALTER TABLE celerytrail.payloads DISABLE TRIGGER forbid_change;"
        "UPDATE celerytrail.payloads SET received_at = received_at - interval '4 days' WHERE day = '-infinity';"
        "ALTER TABLE celerytrail.payloads ENABLE ALWAYS TRIGGER forbid_change"
    )
    assert retained(migrated, "--days", "2")["forgotten"]["payloads_of_no_day"] == len(KINDS)
    assert migrated.value("SELECT count(*) FROM celerytrail.spans WHERE day = '-infinity'") == 4
    assert_clean(migrated)


def test_marks_of_erasures_go_with_the_days_they_are_for(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    erased(migrated, "--task", "task-5")
    erased(migrated, "--task", "task-1")
    migrated.run("UPDATE celerytrail.erased_tasks SET erased_at = erased_at - interval '4 days'")
    assert retained(migrated, "--days", "2")["forgotten"]["marks"] == 1
    assert migrated.rows("SELECT task_id FROM celerytrail.erased_tasks") == [("task-1",)]
    late = captured("task-5", 1, at=days_ago(5), stream=stream(6)).payloads
    assert ledger.write_payloads(migrated.token, [*late.values()]).refused == len(KINDS)


def test_the_maintainer_drops_one_day_a_round(migrated: MigratedDatabase, ledger: Ledger) -> None:
    a_week(ledger, migrated)
    said: list[list[str]] = []
    for _ in range(3):
        done: list[Done] = []
        assert maintain_once(migrated.dsn("maintainer"), done.append, Bounds(retain_days=3)), done
        said.append([one.message for one in done if one.step == "retention"])
    first, second = (days_ago(days).date() for days in (5, 4))
    assert said[0][:2] == [
        f"announced that {first} will be dropped: 4 events",
        f"dropped {first}: 4 events of 1 blocks",
    ]
    assert said[1][:2] == [
        f"announced that {second} will be dropped: 4 events",
        f"dropped {second}: 4 events of 1 blocks",
    ]
    assert said[0][2].startswith("the read model forgot ")
    assert "1 tasks" in said[0][2]
    assert said[2] == []
    assert phases(migrated, "retention")[0] == ("intent", "celerytrail maintain")
    assert maintain_once(migrated.dsn("maintainer"), done.append)
    assert migrated.value("SELECT count(*) FROM celerytrail.day_drops") == 2
    assert_clean(migrated)


def test_the_maintainer_waits_for_a_checkpoint_over_rounds(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    a_week(ledger, migrated)
    checkpoint(migrated)
    done: list[Done] = []
    for _ in range(2):
        assert maintain_once(migrated.dsn("maintainer"), done.append, Bounds(retain_days=4)), done
    assert [one.message for one in done if one.step == "retention"] == [
        f"announced that {days_ago(5).date()} will be dropped: 4 events"
    ]
    checkpoint(migrated)
    assert maintain_once(migrated.dsn("maintainer"), done.append, Bounds(retain_days=4)), done
    assert migrated.value("SELECT dropped_at IS NOT NULL FROM celerytrail.day_drops")


def test_only_the_maintainer_may(migrated: MigratedDatabase, ledger: Ledger) -> None:
    a_week(ledger, migrated)
    for role in ("sink", "actions", "grafana", "verifier", "checkpointer"):
        result = run_retain(migrated, "--days", "2", role=role)
        assert result.exit_code == 1
        assert "permission denied" in str(result.exception) + result.output
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0


@pytest.mark.parametrize("verb", ["erase", "retention"])
def test_the_action_api_cannot_claim_that_something_was_dropped(
    migrated: MigratedDatabase, ledger: Ledger, verb: str
) -> None:
    """A verifier excuses a day that is gone by such an action."""
    a_week(ledger, migrated)
    target = json.dumps({"day": days_ago(4).date().isoformat()})
    with migrated.connect("actions") as actions:
        append = "SELECT celerytrail.append_action(gen_random_uuid(), 'done', %s, 'x', 'y', target => %s)"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            actions.execute(append, [verb, target])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            Intents(actions).begin(verb=verb, target=target)
    assert migrated.value("SELECT count(*) FROM celerytrail.actions") == 0
