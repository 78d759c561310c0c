"""Intents: two of anything do one thing, under a lease that the database's clock ends."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from celerytrail.sql.outside_verifier import verify_outside
from tests.integration.sql.intents import Intents

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

EXPIRE = "UPDATE celerytrail.intents SET lease_until = clock_timestamp() - interval '1 second'"


@contextmanager
def replica(database: MigratedDatabase) -> Iterator[Intents]:
    with database.connect("actions") as connection:
        yield Intents(connection)


def phases(database: MigratedDatabase) -> list[tuple[Any, ...]]:
    return database.rows(
        "SELECT phase, detail ->> 'state' FROM celerytrail.actions ORDER BY batch_id"
    )


def test_an_action_is_an_intent_progress_and_one_outcome_in_the_chain(
    migrated: MigratedDatabase,
) -> None:
    with replica(migrated) as one, replica(migrated) as other:
        begun = one.begin(reason="the payment came later: é")
        assert (begun.result, begun.state, begun.outcome) == ("new", "open", None)
        intent_id = begun.intent_id
        assert phases(migrated) == [("intent", None)]
        assert one.state(intent_id).state == "open"
        assert not other.progress(intent_id, {"a": 1})
        assert not other.finish(intent_id)
        assert not other.renew(intent_id)
        assert one.progress(intent_id, {"about_to_send": "new-1"})
        assert one.renew(intent_id)
        tasks = [{"task_id": "task-1", "result": "sent", "new_task_id": "new-1", "message": "é"}]
        assert one.finish(intent_id, "succeeded", message="sent", tasks=tasks, bytes=17)
        for late in (one, other):
            assert not late.finish(intent_id, "failed", message="late")
            assert not late.progress(intent_id, {})
            assert not late.renew(intent_id)
        ended = one.state(intent_id)
        assert (ended.state, ended.verb, ended.actor) == ("succeeded", "retry", "grafana:1:ann")
        assert ended.outcome == {"message": "sent", "tasks": tasks, "bytes": 17}
        assert ended.finished_at >= ended.created_at
    assert phases(migrated) == [("intent", None), ("progress", None), ("outcome", "succeeded")]
    rows = migrated.rows(
        "SELECT DISTINCT a.intent_id, a.actor, a.actor_kind, a.role, a.service, a.request_id,"
        " a.recorded_by FROM celerytrail_views.actions a"
    )
    assert rows == [
        (intent_id, "grafana:1:ann", "grafana", "operator", "shop", "request-1", "celerytrail_actions")
    ]  # fmt: skip
    assert verify_outside(migrated.dsn("verifier")).bad == ()


def test_a_second_click_is_told_of_the_first(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one, replica(migrated) as other:
        first = one.begin()
        second = other.begin(actor="grafana:1:bob")
        assert (second.result, second.intent_id, second.state, second.actor) == (
            "duplicate",
            first.intent_id,
            "open",
            "grafana:1:ann",
        )
        one.finish(first.intent_id, "succeeded", message="sent")
        third = other.begin(actor="grafana:1:bob")
        assert (third.result, third.state, third.outcome) == (
            "duplicate",
            "succeeded",
            {"message": "sent"},
        )
        # Not the same: another verb, attempt, deployment.
        for different in (
            {"verb": "cancel"},
            {"target_key": "task/task-1/1"},
            {"environment": "live"},
        ):
            assert other.begin(**different).result == "new"
    assert phases(migrated).count(("intent", None)) == 4


@pytest.mark.parametrize(("state", "result"), [("failed", "new"), ("partial", "duplicate"), ("unknown", "duplicate")])  # fmt: skip
def test_only_where_nothing_was_done_may_it_be_tried_at_once(
    migrated: MigratedDatabase, state: str, result: str
) -> None:
    with replica(migrated) as one:
        first = one.begin()
        one.finish(first.intent_id, state, message="so it ended")
        assert one.begin().result == result


def test_what_is_not_recent_any_more_does_not_stand_in_the_way(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        first = one.begin()
        one.finish(first.intent_id)
        assert one.begin().result == "duplicate"
        migrated.run(
            "UPDATE celerytrail.intents SET finished_at = finished_at - interval '61 seconds'"
        )
        assert one.begin().result == "new"
        migrated.run("UPDATE celerytrail.intents SET created_at = created_at - interval '1 day'")
        # However long it takes, an open one does.
        assert one.begin().result == "duplicate"


def test_a_key_of_idempotency_is_of_one_request_of_one_actor(migrated: MigratedDatabase) -> None:
    asked = {"idempotency_key": "k" * 128, "request_hash": b"h" * 32}
    with replica(migrated) as one:
        first = one.begin(**asked)
        again = one.begin(**asked)
        assert (again.result, again.intent_id) == ("same_key", first.intent_id)
        one.finish(first.intent_id, "failed", message="no broker")
        again = one.begin(**asked)
        assert (again.result, again.state, again.outcome) == (
            "same_key",
            "failed",
            {"message": "no broker"},
        )
        other = one.begin(**asked | {"request_hash": b"i" * 32}, target_key="task/task-2/0")
        assert (other.result, other.intent_id) == ("key_conflict", first.intent_id)
        assert one.begin(**asked, actor="token:nightly").result == "new"
        assert one.begin(**asked, environment="live").result == "new"


def test_an_id_is_used_once(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        intent_id = one.begin().intent_id
        with pytest.raises(psycopg.errors.UniqueViolation):
            one.begin(intent_id, target_key="task/task-2/0")


@pytest.mark.parametrize("with_key", [False, True])
def test_of_many_at_once_one_is_new(migrated: MigratedDatabase, with_key: bool) -> None:
    """Eight replicas, ten times each: no error, and never two that both think they are the one."""
    width, rounds = 8, 10
    barrier = threading.Barrier(width)

    def work(number: int) -> list[str]:
        results = []
        with replica(migrated) as mine:
            for turn in range(rounds):
                asked: dict[str, Any] = {}
                if with_key:
                    asked = {"idempotency_key": f"k{turn}", "request_hash": b"h"}
                barrier.wait(30)
                begun = mine.begin(target_key=f"task/{turn}/0", **asked)
                results.append(begun.result)
                # Every second ends as failed, while others are still asking.
                if begun.result == "new" and turn % 2 and not with_key:
                    assert mine.finish(begun.intent_id, "failed", message="no broker")
        return results

    with ThreadPoolExecutor(width) as pool:
        everything = list(pool.map(work, range(width)))
    others = "same_key" if with_key else "duplicate"
    for turn in range(rounds):
        told = sorted(results[turn] for results in everything)
        if turn % 2 and not with_key:
            assert set(told) <= {"new", "duplicate"}
        else:
            assert told == sorted(["new"] + [others] * (width - 1))
    intents = migrated.value("SELECT count(*) FROM celerytrail.intents")
    assert intents == phases(migrated).count(("intent", None))
    assert intents == sum(results.count("new") for results in everything)
    assert verify_outside(migrated.dsn("verifier")).bad == ()


def test_one_who_waits_for_a_transaction_that_fails_takes_its_place(
    migrated: MigratedDatabase,
) -> None:
    with (
        migrated.connect("actions", autocommit=False) as slow,
        replica(migrated) as quick,
        ThreadPoolExecutor(1) as pool,
    ):
        assert Intents(slow).begin().result == "new"
        waiting = pool.submit(quick.begin)
        slow.rollback()
        assert waiting.result(30).result == "new"
    assert phases(migrated) == [("intent", None)]


def test_a_living_lease_is_never_taken(migrated: MigratedDatabase) -> None:
    """A third replica starts while one works and another was killed."""
    with replica(migrated) as living, replica(migrated) as dead, replica(migrated) as third:
        works = living.begin(lease_seconds=1.0, target_key="task/a/0").intent_id
        assert living.renew(works)
        left = dead.begin(target_key="task/b/0", target=json.dumps({"task_id": "b"})).intent_id
        for number in range(3):
            dead.progress(left, {"number": number})
        assert third.take_expired() == []
        migrated.run(EXPIRE + f" WHERE intent_id = '{left}'")
        (taken,) = third.take_expired()
        assert (taken.intent_id, taken.verb, taken.target_key, taken.actor) == (
            left,
            "retry",
            "task/b/0",
            "grafana:1:ann",
        )
        assert (taken.namespace, taken.service, taken.environment) == ("acme", "shop", "test")
        assert taken.target == {"task_id": "b"}
        assert taken.progress == [{"number": 0}, {"number": 1}, {"number": 2}]
        assert third.take_expired() == []
        # Whoever was only slow has lost it.
        assert not dead.renew(left)
        assert not dead.progress(left, {})
        assert not dead.finish(left)
        assert third.finish(left, "unknown", message="its worker was killed")
        assert living.finish(works)
    assert migrated.rows("SELECT state FROM celerytrail.intents ORDER BY target_key") == [
        ("succeeded",),
        ("unknown",),
    ]


def test_a_lease_that_ran_out_is_the_holders_until_it_is_taken(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one, replica(migrated) as other:
        intent_id = one.begin().intent_id
        migrated.run(EXPIRE)
        assert one.renew(intent_id)
        assert other.take_expired() == []


def test_an_expired_intent_is_taken_by_one(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        for number in range(20):
            one.begin(target_key=f"task/{number}/0")
    migrated.run(EXPIRE)
    barrier = threading.Barrier(4)

    def take(_: int) -> list[uuid.UUID]:
        with replica(migrated) as mine:
            barrier.wait(30)
            return [row.intent_id for row in mine.take_expired()]

    with ThreadPoolExecutor(4) as pool:
        taken = [intent for found in pool.map(take, range(4)) for intent in found]
    assert len(taken) == len(set(taken)) == 20


def test_old_intents_go_and_open_ones_stay(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        for number in range(3):
            begun = one.begin(target_key=f"task/{number}/0")
            if number:
                one.finish(begun.intent_id)
        migrated.run(
            "UPDATE celerytrail.intents SET created_at = created_at - interval '40 days',"
            " finished_at = finished_at - interval '31 days'"
        )
        one.begin(target_key="task/3/0")
        left = "SELECT target_key, state FROM celerytrail.intents ORDER BY 1"
        assert migrated.rows(left) == [("task/0/0", "open"), ("task/3/0", "open")]
    assert len(phases(migrated)) == 6


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lease_seconds": 0.5}, "lease"),
        ({"lease_seconds": 601.0}, "lease"),
        ({"lease_seconds": float("nan")}, "lease"),
        ({"recent_seconds": -1.0}, "recent"),
        ({"recent_seconds": float("inf")}, "recent"),
        ({"idempotency_key": "k" * 129, "request_hash": b"h"}, "idempotency key"),
        ({"idempotency_key": "", "request_hash": b"h"}, "idempotency key"),
        ({"idempotency_key": "k"}, "hash of its request"),
        ({"reason": "r" * 2001}, "reason"),
        ({"target_key": ""}, "target key"),
        ({"target_key": "k" * 513}, "target key"),
        ({"verb": "v" * 65}, "verb"),
        ({"actor": "a" * 513}, "512"),
        ({"request_id": "é" * 257}, "512"),
        ({"service": ""}, "deployment"),
        ({"namespace": None}, "deployment"),
        ({"holder": ""}, "holder"),
        ({"target": json.dumps(["x" * 1_048_576])}, "1048576"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_is_out_of_bounds_is_refused_by_name(
    migrated: MigratedDatabase, wrong: dict[str, Any], said: str
) -> None:
    with replica(migrated) as one:
        with pytest.raises(psycopg.DatabaseError, match=said) as caught:
            one.begin(**wrong)
        assert caught.value.sqlstate == "CT007"
    assert migrated.value("SELECT count(*) FROM celerytrail.intents") == 0
    assert phases(migrated) == []


def test_the_longest_of_everything_fits(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        longest = dict.fromkeys(("actor", "namespace", "service", "environment", "target_key"), "é" * 256)  # fmt: skip
        begun = one.begin(
            **longest,
            verb="v" * 64,
            idempotency_key="k" * 128,
            request_hash=b"h" * 64,
            reason="é" * 2000,
        )
        assert begun.result == "new"
        assert one.progress(begun.intent_id, {"x": "y" * 1_000_000})
        assert one.finish(begun.intent_id, message="y" * 1_000_000)


def test_an_outcome_is_an_object_that_can_be_read_again(migrated: MigratedDatabase) -> None:
    with replica(migrated) as one:
        intent_id = one.begin().intent_id
        for state, outcome in (
            ("open", "{}"),
            ("succeeded", "[]"),
            ("succeeded", '{"message": "\\u0000"}'),
            ("succeeded", json.dumps({"message": "x" * 1_048_576})),
        ):
            with pytest.raises(psycopg.DatabaseError) as caught:
                one.connection.execute(
                    "SELECT celerytrail.finish_intent(%s, %s, %s, %s)",
                    [intent_id, one.holder, state, outcome],
                )
            assert caught.value.sqlstate == "CT007"
        assert one.state(intent_id).state == "open"
        assert one.finish(intent_id)
