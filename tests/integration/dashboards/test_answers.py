"""What the dashboards say of tasks, workers, actions and the chain that the ledger holds."""

from __future__ import annotations

import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from celerytrail.exporter.deployment import Deployment
from tests.grafana.alert_evaluation import evaluate, provisioned_rule
from tests.grafana.button import actions_of
from tests.grafana.data_source import all_dashboards, panels_of
from tests.integration.dashboards.recorded_shop import AT, RecordedShop
from tests.span_rows import SHOP, span_row

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

MINUTE = timedelta(minutes=1)
ELSEWHERE = Deployment("", "billing", "")


@pytest.fixture
def shop(migrated: MigratedDatabase, ledger: Ledger) -> RecordedShop:
    return RecordedShop(migrated, ledger)


def now() -> datetime:
    return datetime.now(timezone.utc)


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["task_id"] for row in rows}


def test_tables_name_the_columns_that_their_queries_return(shop: RecordedShop) -> None:
    shop.ran("one", end="failed", payloads={"args": "[1]"})
    wrong = []
    for uid, dashboard in all_dashboards().items():
        for panel in panels_of(dashboard):
            if panel["type"] not in ("table", "stat"):
                continue
            named = [
                override["matcher"]["options"]
                for override in panel["fieldConfig"]["overrides"]
                if override["matcher"]["id"] == "byName"
            ]
            values = {v["name"]: "one" for v in dashboard["templating"]["list"]}
            returned = shop.grafana.ask(panel["targets"][0]["rawSql"], values).columns
            if panel["type"] == "table" and sorted(named) != sorted(returned):
                wrong.append((uid, panel["title"], set(named) ^ set(returned)))
            if panel["type"] == "stat" and not set(named) <= set(returned):
                wrong.append((uid, panel["title"], set(named) - set(returned)))
    assert wrong == []


def test_the_list_shows_a_task_as_it_stands(shop: RecordedShop) -> None:
    shop.ran("paid")
    shop.ran("lost-money", end="failed", at=AT + MINUTE, group_id="g", root_group_id="g")
    newest, oldest = shop.panel("tasks", "Newest tasks")
    assert newest["task_id"] == "lost-money"
    assert newest["state"] == "failed"
    assert newest["exception_class"] == "builtins.ValueError"
    assert newest["workflow_id"] == "g"
    assert oldest["workflow_id"] == "paid"
    assert oldest["queue_wait"] == pytest.approx(0.002)
    assert oldest["runtime"] == pytest.approx(0.001)
    assert (oldest["namespace"], oldest["service"], oldest["environment"]) == (
        SHOP.namespace,
        SHOP.service,
        SHOP.environment,
    )


def test_variables_choose(shop: RecordedShop) -> None:
    shop.ran("here", queue="orders", task_name="shop.pay")
    shop.ran("there", queue="it's", task_name="shop.mail", deployment=ELSEWHERE)
    shop.ran("waits", queue="orders", steps=1)

    def chosen(**values: Any) -> set[str]:
        return ids(shop.panel("tasks", "Newest tasks", **values))

    assert chosen() == {"here", "there", "waits"}
    assert chosen(queue=["orders"]) == {"here", "waits"}
    assert chosen(queue=["it's", "nothing"]) == {"there"}
    assert chosen(queue="' OR true --") == set()
    assert chosen(task="shop.mail") == {"there"}
    assert chosen(state=["sent", "failed"]) == {"waits"}
    assert chosen(service="billing") == {"there"}
    # A deployment without namespace has a name in the menu, and an empty text in links.
    assert chosen(namespace="(none)") == {"there"}
    assert chosen(namespace="") == {"there"}
    assert chosen(environment=["(none)", SHOP.environment]) == {"here", "there", "waits"}
    assert chosen(worker="celery@host") == {"here", "there"}


def test_a_text_is_searched_as_it_is(shop: RecordedShop) -> None:
    awkward = "O'Brien 100%_\\"
    shop.ran("args", payloads={"args": json.dumps([awkward])})
    shop.ran("kwargs", payloads={"kwargs": '{"name": "MIXED case"}'})
    shop.ran("raised", end="failed", payloads={"exception": '"no such teapot"'})
    shop.ran("plain", payloads={"args": '["OBrien 100"]'})

    def found(text: str, **values: Any) -> set[str]:
        return ids(shop.panel("tasks", "Newest tasks", search=text, **values))

    assert found(awkward) == {"args"}
    assert found("100%_") == {"args"}
    assert found("mixed CASE") == {"kwargs"}
    assert found("teapot") == {"raised"}
    assert found("valueerror") == {"raised"}
    assert found("shop.pay") == {"args", "kwargs", "raised", "plain"}
    assert found("%") == {"args"}
    assert found("nothing of it") == set()
    assert found("teapot", state="succeeded") == set()


def test_a_text_is_found_that_json_writes_in_another_way(shop: RecordedShop) -> None:
    shop.ran("path", payloads={"args": json.dumps(["C:\\Temp\\new"])})
    shop.ran("quoted", payloads={"kwargs": json.dumps({"note": 'say "Hi" to O\'Brien'})})
    shop.ran("raised", end="failed", payloads={"exception": json.dumps('no "C:\\Temp"')})
    shop.ran("words", payloads={"args": json.dumps(["straße", "日本"], ensure_ascii=False)})

    def found(text: str) -> set[str]:
        return ids(shop.panel("tasks", "Newest tasks", search=text))

    assert found("c:\\temp") == {"path", "raised"}
    assert found("temp\\new") == {"path"}
    assert found('say "hi" to o\'brien') == {"quoted"}
    # What is shown as JSON is found as it is shown.
    assert found('{"note": "say') == {"quoted"}
    assert found("C:\\\\Temp\\\\new") == {"path"}
    assert found("straße") == found("日本") == {"words"}


def test_a_task_id_is_found_however_old_it_is(shop: RecordedShop) -> None:
    shop.ran("long ago", at=AT - timedelta(days=3))
    shop.ran("new")
    assert ids(shop.panel("tasks", "Newest tasks")) == {"new"}
    assert ids(shop.panel("tasks", "Newest tasks", search="long ago")) == {"long ago"}


HAY = """
    INSERT INTO celerytrail.tasks (namespace, service, environment, task_id, state, inferred,
        state_day, state_key, attempts, updated_at)
    SELECT 'acme', 'shop', 'test', 'hay ' || i, 'succeeded', false, current_date, '', 1, now()
    FROM generate_series(%s, %s) i
"""


def test_names_are_searched_in_the_newest_thousand(shop: RecordedShop) -> None:
    shop.ran("needle", at=AT - timedelta(hours=1), task_name="shop.needle_work")
    shop.database.run(HAY % (1, 999))
    assert ids(shop.panel("tasks", "Newest tasks", search="e_work")) == {"needle"}
    shop.database.run(HAY % (1000, 1000))
    assert ids(shop.panel("tasks", "Newest tasks", search="e_work")) == set()


def test_arguments_are_searched_in_the_whole_time_range(shop: RecordedShop) -> None:
    shop.ran("sharp", at=AT - timedelta(hours=1), payloads={"args": '["Needle"]'})
    shop.ran("elsewhere", deployment=ELSEWHERE, payloads={"args": '["needle"]'})
    shop.ran("out of range", at=AT - timedelta(days=3), payloads={"args": '["needle"]'})
    shop.database.run(HAY % (1, 1200))

    def found(**values: Any) -> set[str]:
        return ids(shop.panel("tasks", "Newest tasks", search="needle", **values))

    assert found() == {"sharp", "elsewhere"}
    assert found(service=SHOP.service) == {"sharp"}
    assert found(state=["failed"]) == set()


def test_an_erased_argument_is_not_found(shop: RecordedShop) -> None:
    shop.ran("erased", payloads={"args": '["needle"]'})
    shop.database.run("SET ROLE celerytrail_owner; DELETE FROM celerytrail.payloads")
    assert ids(shop.panel("tasks", "Newest tasks", search="needle")) == set()


def test_counts_by_state(shop: RecordedShop) -> None:
    shop.ran("a")
    shop.ran("b", end="failed")
    shop.ran("c", end="revoked")
    shop.ran("d", steps=1)
    shop.ran("e", steps=3)
    shop.ran("f", end="lost")
    (counts,) = shop.panel("tasks", "Tasks by state")
    assert counts == {
        "waiting": 1,
        "started": 1,
        "retried": 0,
        "succeeded": 1,
        "failed": 1,
        "lost or refused": 1,
        "revoked or purged": 1,
    }


def test_a_ratio_counts_what_came_to_an_end(shop: RecordedShop) -> None:
    assert shop.panel("overview", "Failure ratio") == [{"failed": None}]
    for number in range(3):
        shop.ran(f"fine {number}")
    shop.ran("failed", end="failed")
    shop.ran("again", end="retried")
    shop.ran("stopped", end="revoked")
    assert shop.panel("overview", "Failure ratio") == [{"failed": 0.25}]
    (throughput,) = shop.panel("overview", "Throughput")
    # Five came to an end within six hours: one was sent again.
    assert float(throughput["per minute"]) == pytest.approx(5 / 360, rel=0.01)


def test_failures_lead_to_their_workflow(shop: RecordedShop) -> None:
    shop.ran("member", end="failed", group_id="g", root_group_id="g", root_id="r")
    shop.ran("fine", group_id="g", root_group_id="g", root_id="r")
    (failure,) = shop.panel("overview", "Latest failures")
    assert failure["task_id"] == "member"
    assert failure["workflow_id"] == "g"
    (by_task,) = shop.panel("overview", "Failures by task")
    assert (by_task["failed"], by_task["ratio"]) == (1, 0.5)
    assert by_task["newest"] == "builtins.ValueError"
    assert shop.panel("overview", "Workflows failed") == [{"failed": 1}]


def is_the_age_of(moment: datetime, seconds: float) -> bool:
    """Say whether something was so old a moment ago."""
    return 0 <= (now() - moment).total_seconds() - seconds < 60


def test_the_oldest_message_is_one_that_is_due(shop: RecordedShop) -> None:
    assert shop.panel("overview", "Oldest message") == [{"age": None}]
    shop.ran("later", steps=1, at=AT - MINUTE, eta=now() + timedelta(hours=1))
    assert shop.panel("overview", "Oldest message") == [{"age": None}]
    shop.ran("due", steps=1)
    (oldest,) = shop.panel("overview", "Oldest message")
    assert is_the_age_of(AT, oldest["age"])
    (queue,) = shop.panel("overview", "Queues")
    assert (queue["queue"], queue["waiting"], queue["seen_depth"]) == ("orders", 1, "1")


def test_a_message_whose_sender_has_no_agent_waits_since_it_was_received(
    shop: RecordedShop,
) -> None:
    shop.write(span_row(1, "received", at=AT, task_id="one", task_name="shop.pay", queue="orders"))
    (oldest,) = shop.panel("overview", "Oldest message")
    (queue,) = shop.panel("overview", "Queues")
    assert is_the_age_of(AT, oldest["age"])
    assert queue["waiting"] == 1
    assert is_the_age_of(AT, queue["oldest"])


def test_what_a_button_sends_is_text_in_its_query(shop: RecordedShop) -> None:
    """Grafana formats any other type: 1,234 for a number, a local time for a timestamp."""
    checked = set()
    for uid, opened in all_dashboards().items():
        values = {v["name"]: "one" for v in opened["templating"]["list"]}
        for panel in panels_of(opened):
            for title, action in actions_of({"panels": [panel]}):
                frame = shop.grafana.ask(panel["targets"][0]["rawSql"], values)
                kinds = dict(zip(frame.columns, frame.types, strict=True))
                sent = [action["confirmation"], *dict(action["fetch"]["queryParams"]).values()]
                fields = set(re.findall(r"\$\{__data\.fields\.(\w+)\}", " ".join(sent)))
                assert {kinds[field] for field in fields} == {"text"}, (uid, title, kinds)
                checked.add((uid, action["title"]))
    assert {title for _, title in checked} == {
        "Retry", "Cancel", "Terminate", "Retry whole chord", "Purge",
    }  # fmt: skip


def test_a_worker_that_takes_nothing_is_stalled(shop: RecordedShop) -> None:
    shop.heartbeat("busy@one", "mail,orders", now())
    shop.heartbeat("silent@two", "orders", now())
    shop.heartbeat("other@three", "letters", now())
    shop.heartbeat("gone@four", "orders", now() - timedelta(minutes=5))
    assert shop.panel("overview", "Workers") == [{"consuming": 3, "stalled": 0}]
    shop.ran("waits", steps=1)
    shop.ran("taken", at=now() - MINUTE, worker="busy@one")
    # Of those whose queue has waited, one took something and one did not.
    assert shop.panel("overview", "Workers") == [{"consuming": 2, "stalled": 1}]


def test_what_is_missing_is_said_with_its_numbers(shop: RecordedShop) -> None:
    stream = uuid.uuid4()
    shop.write(*(span_row(n, "worker_heartbeat", stream=stream, at=AT) for n in (1, 2, 4, 8)))
    assert shop.panel("overview", "Events missing") == [{"missing": 4, "dropped": 0}]
    (row,) = shop.panel("audit", "Processes with events missing, or gone without a goodbye")
    assert (row["missing"], row["gaps"], row["last_seq"]) == (4, "3, 5-7", 8)
    (counts,) = shop.panel("audit", "Processes and their events")
    assert counts == {"live": 1, "ended": 0, "unterminated": 0, "missing": 4, "dropped": 0}


def test_who_was_not_heard_of_for_longest_stands_first(shop: RecordedShop) -> None:
    def beat(name: str, step: str, at: datetime, **said: object) -> uuid.UUID:
        stream = uuid.uuid4()
        spool = {"celerytrail.spool.bytes": 70, "celerytrail.version": "0.1.0", **said}
        shop.write(
            span_row(1, step, stream=stream, at=at, worker=name, attributes=json.dumps(spool))
        )
        return stream

    beat("orders@one", "worker_heartbeat", now() - MINUTE)
    beat("orders@one", "worker_heartbeat", now() - 3 * MINUTE, **{"celerytrail.version": "old"})
    trouble = {"celerytrail.delivery.error": "refused 401", "celerytrail.spool.lag_ms": 2500}
    beat("shipper@one", "shipper_heartbeat", now() - 5 * MINUTE, **trouble)
    ended = beat("left@two", "worker_heartbeat", now())
    shop.write(span_row(2, "stream_closed", stream=ended, at=now(), worker="left@two"))
    rows = shop.panel("audit", "Agents and shippers")
    assert [(r["worker"], r["version"], r["delivery_error"], r["lag"]) for r in rows] == [
        ("shipper@one", "0.1.0", "refused 401", 2.5),
        ("orders@one", "0.1.0", None, None),
    ]
    assert 300 <= rows[0]["silent"] < 600
    assert 60 <= rows[1]["silent"] < 300


def verified(
    shop: RecordedShop,
    status: str,
    *,
    whole: bool = True,
    mode: str = "full",
    to_n: int = 1,
    chain: int = 0,
) -> None:
    with shop.database.connect("verifier") as connection:
        connection.execute(
            "SELECT celerytrail.record_verification(%s, %s, 0, %s, sha256(''), %s, %s, 1, 0.1, %s)",
            (mode, chain, to_n, status, '{"fault": "row changed", "detail": "block 7"}', whole),
        )


def test_the_chain_is_as_good_as_its_newest_full_verification(shop: RecordedShop) -> None:
    def age(uid: str = "overview") -> Any:
        ((value,),) = (row.values() for row in shop.panel(uid, "Chain verified"))
        return value

    shop.ran("one")
    assert age() is None
    assert shop.panel("audit", "Chains")[0]["status"] == "never verified"
    verified(shop, "broken")
    assert age() == -1
    assert shop.panel("audit", "Chains")[0]["status"] == "broken"
    verified(shop, "ok")
    assert 0 <= age() < 60
    assert age("audit") >= 0
    assert shop.panel("audit", "Chains")[0]["status"] == "ok"
    verified(shop, "internal", whole=False)
    assert age() == -1
    found = [row["status"] for row in shop.panel("audit", "Verifications")]
    # Faults first, the newest of them first.
    assert found == ["guards altered", "broken", "ok"]
    assert shop.panel("audit", "Verifications")[1]["first_bad"] == "row changed: block 7"
    (left,) = shop.panel("audit", "Blocks not verified yet")
    assert left["blocks"] == shop.database.value("SELECT n FROM celerytrail.chain_head") - 1


@pytest.mark.parametrize(
    ("found", "whole", "status"), [("broken", True, "broken"), ("ok", False, "guards altered")]
)
def test_panels_and_alert_agree_on_a_fault_that_a_quick_verification_does_not_see(
    shop: RecordedShop, found: str, whole: bool, status: str
) -> None:
    def told() -> tuple[Any, Any, set[str]]:
        ((age,),) = (row.values() for row in shop.panel("overview", "Chain verified"))
        (chain,) = shop.panel("audit", "Chains")
        alerts = evaluate(provisioned_rule("celerytrail-chain-not-verified"), shop.grafana)
        return age, chain["status"], {alert.labels["reason"] for alert in alerts}

    shop.ran("one")
    verified(shop, found, whole=whole)
    # It looks at what is new only, and that is in order.
    verified(shop, "ok", mode="incremental")
    assert told() == (-1, status, {status})
    verified(shop, "ok")
    age, *others = told()
    assert age >= 0
    assert others == ["ok", set()]


def test_one_chain_of_several_that_was_not_verified_is_not_hidden_by_the_others(
    shop: RecordedShop,
) -> None:
    def told() -> tuple[Any, list[Any], int, list[tuple[str, str]]]:
        ((age,),) = (row.values() for row in shop.panel("overview", "Chain verified"))
        chains = [(row["chain"], row["status"]) for row in shop.panel("audit", "Chains")]
        (left,) = shop.panel("audit", "Blocks not verified yet")
        alerts = evaluate(provisioned_rule("celerytrail-chain-not-verified"), shop.grafana)
        named = [(alert.labels["chain"], alert.labels["reason"]) for alert in alerts]
        return age, chains, left["blocks"], named

    shop.ran("one")
    verified(shop, "ok")
    shop.database.run(
        "SELECT celerytrail.choose_chain(2); UPDATE celerytrail.principals SET chain = 2"
    )
    shop.ran("two")
    assert told() == (None, [(0, "ok"), (2, "never verified")], 1, [("2", "never verified")])
    verified(shop, "broken", chain=2)
    assert told() == (-1, [(0, "ok"), (2, "broken")], 1, [("2", "broken")])
    verified(shop, "ok", chain=2)
    age, *others = told()
    assert age >= 0
    assert others == [[(0, "ok"), (2, "ok")], 0, []]
    shop.database.run(
        "ALTER TABLE celerytrail.chain_head DISABLE TRIGGER ALL;"
        "DELETE FROM celerytrail.chain_head WHERE chain = 2"
    )
    assert told() == (-1, [(0, "ok"), (2, "gone")], 0, [("2", "gone")])


@pytest.mark.parametrize(
    ("status", "compared", "shown", "against", "reasons"),
    [
        ("ok", ("checkpoint", 1, None), "ok", "checkpoint, block 1", set()),
        ("ok", ("heads", 1, None), "ok", "kept head, block 1", set()),
        ("internal", (None, None, None), "consistent in itself", "nothing", set()),
        ("internal", ("heads", None, None), "consistent in itself", "no block of it was kept", set()),
        ("internal", ("checkpoint", None, None), "consistent in itself", "no block of it was kept", {"in no checkpoint"}),
        ("internal", ("checkpoint", 1, "cannot read /c"), "not compared", "cannot read /c", {"not compared"}),
        ("broken", ("checkpoint", 1, "cannot read /c"), "broken", "cannot read /c", {"broken", "not compared"}),
    ],
)  # fmt: skip
def test_each_verification_says_against_what(
    shop: RecordedShop,
    status: str,
    compared: tuple[str | None, int | None, str | None],
    shown: str,
    against: str,
    reasons: set[str],
) -> None:
    shop.ran("one")
    with shop.database.connect("verifier") as connection:
        connection.execute(
            "SELECT celerytrail.record_verification('full', 0, 0, 1, sha256(''), %s, NULL, 1, 0.1, true,"
            " compared_with => %s, anchor_n => %s, anchor_time => now(), trouble => %s)",
            (status, *compared),
        )
    for title in ("Chains", "Verifications"):
        (row,) = shop.panel("audit", title)
        assert (row["status"], row["against"]) == (shown, against)
    alerts = evaluate(provisioned_rule("celerytrail-chain-not-verified"), shop.grafana)
    assert {alert.labels["reason"] for alert in alerts} == reasons
    verified(shop, "ok")
    assert [row["status"] for row in shop.panel("audit", "Chains")] == ["ok"]


def test_a_broken_verification_verified_nothing(shop: RecordedShop) -> None:
    shop.ran("one")
    shop.ran("two")
    verified(shop, "ok", to_n=1)
    verified(shop, "broken", to_n=2)
    head = shop.database.value("SELECT n FROM celerytrail.chain_head")
    (chain,) = shop.panel("audit", "Chains")
    (left,) = shop.panel("audit", "Blocks not verified yet")
    assert (chain["verified_to"], chain["unverified"], left["blocks"]) == (1, head - 1, head - 1)


def test_the_task_says_all_of_its_attempts(shop: RecordedShop) -> None:
    shop.ran("twice", end="retried", attempt=0, at=AT)
    shop.ran("twice", end="failed", attempt=1, at=AT + MINUTE)
    (summary,) = shop.panel("task", "Task", task_id="twice")
    assert (summary["state"], summary["attempts"], summary["runs"]) == ("failed", 2, 2)
    runs = shop.panel("task", "Runs", task_id="twice")
    assert [(run["attempt"], run["state"]) for run in runs] == [(1, "retried"), (2, "failed")]
    bars = shop.panel("task", "Waits and runs", task_id="twice")
    assert [(bar["run"], bar["state"]) for bar in bars] == [
        ("attempt 1", "waiting"),
        ("attempt 1", "retried"),
        ("attempt 2", "waiting"),
        ("attempt 2", "failed"),
    ]
    assert all(bar["time"] < bar["timeend"] for bar in bars)
    (details,) = shop.panel("task", "What it is", task_id="twice")
    assert details["zoom_from"] < AT.timestamp() * 1000 < details["zoom_to"]


def test_the_waterfall_of_a_task_has_one_root(shop: RecordedShop) -> None:
    other = Deployment("", "other", "")
    for attempt, end in enumerate(("retried", "retried", "failed")):
        # The sends of a retry hang below the run before, or below whatever sent the task.
        shop.ran("twice", end=end, attempt=attempt, at=AT + attempt * MINUTE)
    shop.ran("twice", at=AT - MINUTE, deployment=other)
    bars = shop.panel("task", "Waterfall", task_id="twice")
    root, *rest = bars
    assert [bar for bar in bars if not bar["parentSpanID"]] == [root]
    ids_of_bars = {bar["spanID"] for bar in bars}
    assert len(ids_of_bars) == len(bars)
    assert {bar["parentSpanID"] for bar in rest} <= ids_of_bars
    assert (root["operationName"], root["statusCode"]) == ("task shop.pay", 2)
    assert {bar["serviceTags"] for bar in bars if "other" in bar["serviceTags"]} == set()
    for bar in bars:
        assert isinstance(bar["startTime"], float)
        assert bar["startTime"] >= root["startTime"]
        assert bar["startTime"] + bar["duration"] <= root["startTime"] + root["duration"] + 0.001
    (older,) = [
        bar
        for bar in shop.panel("task", "Waterfall", task_id="twice", service=["other"])
        if not bar["parentSpanID"]
    ]
    assert older["serviceName"] == "other"


def test_a_task_of_which_nothing_is_known_has_no_waterfall(shop: RecordedShop) -> None:
    assert shop.panel("task", "Waterfall", task_id="nobody") == []


def test_a_message_that_came_twice_has_two_rows(shop: RecordedShop) -> None:
    shop.ran("doubled", end="lost", at=AT)
    second = b"\x09" * 8
    shop.write(
        *(
            span_row(
                500 + number,
                step,
                at=AT + MINUTE * number,
                stream=uuid.uuid4(),
                task_id="doubled",
                task_name="shop.pay",
                retries=0,
                run_id=second,
                **({"runtime_us": 5} if step == "succeeded" else {"queue_wait_us": 7}),
            )
            for number, step in enumerate(("started", "succeeded"), start=1)
        )
    )
    bars = shop.panel("task", "Waits and runs", task_id="doubled")
    assert {bar["run"] for bar in bars} == {"attempt 1", "attempt 1, run 2"}


def test_a_task_that_nobody_took_waits_on_the_timeline(shop: RecordedShop) -> None:
    shop.ran("waits", steps=1)
    (bar,) = shop.panel("task", "Waits and runs", task_id="waits")
    assert (bar["state"], bar["run"]) == ("waiting", "attempt 1")
    assert bar["timeend"] > AT + 9 * MINUTE
    assert shop.panel("task", "Runs", task_id="waits") == []


def test_texts_are_shown_without_their_escapes(shop: RecordedShop) -> None:
    shop.ran(
        "failed",
        end="failed",
        payloads={
            "args": '["a\\nb", "\\"c\\""]',
            "kwargs": "{}",
            "exception": '"say \\"no\\" to \\\\n"',
            "traceback": '"Traceback:\\n  File \\"x.py\\"\\nValueError: C:\\\\new"',
        },
    )
    shown = shop.panel("task", "Arguments, exception, result", task_id="failed")
    assert {row["what"]: row["content"] for row in shown} == {
        "args": '["a\\nb", "\\"c\\""]',
        "kwargs": "{}",
        "exception": 'say "no" to \\n',
    }
    (traceback,) = shop.panel("task", "Traceback", task_id="failed")
    assert traceback["body"] == 'Traceback:\n  File "x.py"\nValueError: C:\\new'


def test_the_group_of_a_member_and_of_a_body(shop: RecordedShop) -> None:
    group = {"group_id": "g", "root_group_id": "g", "chord_body_id": "body"}
    shop.ran("header one", **group)
    shop.ran("header two", end="failed", **group)
    shop.write(span_row(300, "group", at=AT, stream=uuid.uuid4(), **group))
    shop.ran("body", root_group_id="g")
    (of_member,) = shop.panel("task", "Its chord or group", task_id="header two")
    assert (of_member["part"], of_member["members"], of_member["failed"]) == ("member", "2", 1)
    (of_body,) = shop.panel("task", "Its chord or group", task_id="body")
    assert (of_body["part"], of_body["group_id"]) == ("body", "g")
    shop.ran("alone")
    assert shop.panel("task", "Its chord or group", task_id="alone") == []


def test_who_did_what(shop: RecordedShop) -> None:
    shop.ran("failed", end="failed")
    shop.act("refused", "terminate", {"task_id": "failed"}, {"code": "not_allowed"})
    shop.act("intent", "retry", {"task_id": "failed"})
    shop.act(
        "outcome",
        "retry",
        {"task_id": "failed"},
        {
            "state": "succeeded",
            "message": "sent again",
            "tasks": [{"task_id": "failed", "result": "sent", "new_task_id": "second"}],
        },
    )
    shop.ran("second", at=AT + MINUTE)
    done = shop.panel("task", "Who did what to it", task_id="failed")
    assert [(row["verb"], row["phase"], row["result"]) for row in done] == [
        ("retry", "outcome", "sent"),
        ("retry", "intent", None),
        ("terminate", "refused", "not_allowed"),
    ]
    assert done[0]["new_task_id"] == "second"
    (details,) = shop.panel("task", "What it is", task_id="failed")
    assert details["retried_as"] == "second"
    (details,) = shop.panel("task", "What it is", task_id="second")
    assert details["retry_of"] == "failed"

    audit = shop.panel("audit", "Actions and refusals")
    assert [(row["verb"], row["phase"], row["result"], row["target"]) for row in audit] == [
        ("retry", "outcome", "succeeded", "failed"),
        ("retry", "intent", "begun", "failed"),
        ("terminate", "refused", "not_allowed", "failed"),
    ]
    assert audit[0]["message"] == "sent again"
    assert shop.panel("audit", "Actions") == [{"begun": 1, "refused": 1}]
    series = {row["metric"]: row["value"] for row in shop.panel("audit", "Actions over time")}
    assert series == {"retry": 1, "refused: not_allowed": 1}
    assert shop.panel("audit", "Actions and refusals", service="billing") == []


def test_menus_offer_what_is_there(shop: RecordedShop) -> None:
    shop.heartbeat("celery@host", "letters, orders", now())
    for name in ("shop.a", "shop.b", "shop.b", "shop.it's"):
        shop.ran(f"{name} {uuid.uuid4()}", task_name=name)
    shop.ran("elsewhere", deployment=ELSEWHERE, queue="invoices", task_name="billing.run")
    variables = all_dashboards()["celerytrail-tasks"]["templating"]["list"]

    def offered(name: str) -> list[str]:
        (query,) = [v["query"] for v in variables if v["name"] == name]
        rows = shop.grafana.ask(query, {}).dicts()
        assert all(row["__text"] == row["__value"] for row in rows)
        return [row["__value"] for row in rows]

    assert offered("namespace") == ["(none)", SHOP.namespace]
    assert offered("service") == ["billing", SHOP.service]
    assert offered("environment") == ["(none)", SHOP.environment]
    assert offered("task") == ["billing.run", "shop.a", "shop.b", "shop.it's"]
    assert offered("queue") == ["invoices", "letters", "orders"]
    assert offered("worker") == ["celery@host"]


def test_bars_over_time_are_per_minute(shop: RecordedShop) -> None:
    shop.ran("one")
    shop.ran("two", end="failed")
    rows = shop.panel("overview", "Tasks by state")
    assert {row["metric"]: float(row["value"]) for row in rows} == {"succeeded": 60, "failed": 60}
    (waits,) = shop.panel("overview", "Queue wait and runtime")
    assert waits["wait p95"] == pytest.approx(0.002)
    assert waits["runtime p95"] == pytest.approx(0.001)
    (p95,) = shop.panel("overview", "Queue wait p95")
    assert p95["p95"] == pytest.approx(0.002)
    (slowest,) = shop.panel("overview", "Slowest tasks")
    assert (slowest["task_name"], slowest["runs"]) == ("shop.pay", 2)


def test_a_queue_says_how_long_its_tasks_had_waited(shop: RecordedShop) -> None:
    # Written as they are: a hundred tasks with waits of 1, 2, .. 100 seconds, and one of another queue.
    shop.database.run(
        """
        INSERT INTO celerytrail.tasks (namespace, service, environment, task_id, state, inferred, queue,
            state_day, state_key, attempts, updated_at, started_at, queue_wait_us)
        SELECT 'acme', 'shop', 'test', i::text, 'succeeded', false,
            CASE WHEN i = 0 THEN 'other' ELSE 'orders' END, current_date, '', 1,
            now() - interval '1 minute', now() - interval '1 minute', i * 1000000
        FROM generate_series(0, 100) i
        """
    )
    shop.ran("unknown wait", queue="orders", steps=1)
    orders, other = sorted(shop.panel("overview", "Queues"), key=lambda row: row["queue"])
    assert (orders["queue"], orders["begun"], orders["waiting"]) == ("orders", 100, 1)
    assert orders["wait_p95"] == pytest.approx(95, rel=0.05)
    assert (other["begun"], other["wait_p95"]) == (1, 0)
