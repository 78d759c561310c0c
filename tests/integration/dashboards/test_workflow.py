"""What the dashboard Workflow says of workflows that real workers ran."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.grafana.button import actions_of, click
from tests.grafana.data_source import dashboard
from tests.integration.dashboards.recorded_shop import AT, RecordedShop
from tests.span_rows import INDEX, nanoseconds, task_rows, with_columns

if TYPE_CHECKING:
    from celerytrail.exporter.sink.ledger import Ledger
    from tests.databases import MigratedDatabase
    from tests.integration.dashboards.shapes import Shapes

pytest_plugins = ["tests.databases", "tests.integration.dashboards.shapes"]

Row = dict[str, Any]


def tags_of(bar: Row) -> dict[str, Any]:
    return {tag["key"]: tag["value"] for tag in json.loads(bar["tags"])}


def check_tree(bars: list[Row]) -> Row:
    """Check that bars are one tree with one id each and times that can be drawn; return the root."""
    by_id = {bar["spanID"]: bar for bar in bars}
    assert len(by_id) == len(bars) > 0
    (root,) = [bar for bar in bars if not bar["parentSpanID"]]
    assert {bar["traceID"] for bar in bars} == {root["traceID"]}
    for bar in bars:
        assert isinstance(bar["startTime"], float)
        assert isinstance(bar["duration"], float)
        assert bar["duration"] >= 0
        assert bar["serviceName"]
        above, steps = bar, 0
        while above["parentSpanID"]:
            above = by_id[above["parentSpanID"]]
            steps += 1
            assert steps < 20, "a circle"
        assert above is root
        for reference in json.loads(bar["references"]):
            assert reference["traceID"] == root["traceID"]
            assert reference["spanID"] in by_id
        assert all(entry["timestamp"] >= root["startTime"] for entry in json.loads(bar["logs"]))
    return root


def test_a_chord_with_a_nested_group_and_a_retry_is_one_tree(shapes: Shapes) -> None:
    flow = shapes.flows["nested"]
    bars = shapes.panel("Waterfall", "nested")
    root = check_tree(bars)
    assert root["operationName"].startswith("chord ")

    steps = {bar["spanID"]: tags_of(bar).get("step") for bar in bars}
    tasks = {bar["spanID"]: tags_of(bar).get("task_id") for bar in bars}
    everybody = {*flow["ids"], flow["body"]}
    assert len(flow["ids"]) == 20
    assert set(tasks.values()) - {None} == everybody
    # One is sent, waits and runs twice; nothing of the ledger is left out but what is drawn as a point.
    assert Counter(steps.values()) == {
        None: 1,
        "sent": 22,
        "started": 22,
        "succeeded": 21,
        "retried": 1,
    }
    received = [entry for bar in bars for entry in json.loads(bar["logs"])]
    assert Counter(entry["name"] for entry in received) == {"received": 22}

    waits = [bar for bar in bars if steps[bar["spanID"]] == "started"]
    assert all(bar["operationName"].startswith("wait ") for bar in waits)
    stored = shapes.rows(
        "SELECT encode(span_id, 'hex') AS id, queue_wait_us FROM celerytrail.spans WHERE step = 'started' AND task_id = ANY (%s)",
        list(everybody),
    )
    drawn = {bar["spanID"]: bar["duration"] for bar in waits}
    for row in stored:
        assert drawn[row["id"]] == pytest.approx(row["queue_wait_us"] / 1000, abs=0.01)

    (again,) = [
        task for task, count in Counter(tasks[bar["spanID"]] for bar in waits).items() if count == 2
    ]
    attempts = [
        bar for bar in bars if tasks[bar["spanID"]] == again and steps[bar["spanID"]] == "sent"
    ]
    assert [bar["parentSpanID"] for bar in attempts] == [root["spanID"]] * 2
    assert attempts[1]["operationName"].endswith("attempt 2")

    (body,) = [
        bar
        for bar in bars
        if tasks[bar["spanID"]] == flow["body"] and steps[bar["spanID"]] == "sent"
    ]
    assert body["parentSpanID"] == root["spanID"]
    followed = {tasks[reference["spanID"]] for reference in json.loads(body["references"])}
    assert followed == set(flow["ids"])
    assert {steps[reference["spanID"]] for reference in json.loads(body["references"])} == {
        "succeeded"
    }


def test_chords_inside_of_a_chord_are_branches_with_bodies_of_their_own(shapes: Shapes) -> None:
    bars = shapes.panel("Waterfall", "chords")
    root = check_tree(bars)
    by_id = {bar["spanID"]: bar for bar in bars}
    inner = [bar for bar in bars if "group" in tags_of(bar)]
    assert [bar["parentSpanID"] for bar in inner] == [root["spanID"]] * 3
    sends = [bar for bar in bars if tags_of(bar).get("step") == "sent"]
    below = Counter(
        (
            by_id[bar["parentSpanID"]] is root,
            tags_of(bar)["task"],
            len(json.loads(bar["references"])),
        )
        for bar in sends
    )
    assert below == {
        (False, "ordinary.add", 0): 6,
        (False, "ordinary.total", 2): 3,
        (True, "ordinary.total", 3): 1,
    }


@pytest.mark.parametrize(
    "name", ["failed", "skipped", "group", "chain", "spawn", "single", "waiting"]
)
def test_every_shape_is_one_tree(shapes: Shapes, name: str) -> None:
    bars = shapes.panel("Waterfall", name)
    check_tree(bars)
    members = {row["task_id"] for row in shapes.panel("Members", name)}
    assert {tags_of(bar).get("task_id") for bar in bars} - {None} == members
    assert (
        set(shapes.flows[name]["ids"]) - {None} >= members - {shapes.flows[name]["body"]}
        or name == "spawn"
    )


def test_a_task_that_was_sent_hangs_below_the_run_that_sent_it(shapes: Shapes) -> None:
    for name in ("chain", "spawn"):
        bars = shapes.panel("Waterfall", name)
        runs = {bar["spanID"]: bar for bar in bars if bar["kind"] == "consumer"}
        (first,) = shapes.flows[name]["ids"][:1]
        later = [
            bar
            for bar in bars
            if tags_of(bar).get("step") == "sent" and tags_of(bar)["task_id"] != first
        ]
        assert later
        assert {tags_of(runs[bar["parentSpanID"]])["task_id"] for bar in later} == {first}


def test_a_run_of_days_that_retention_dropped_is_nobodys_parent(own_shapes: Shapes) -> None:
    own_shapes.rows("UPDATE celerytrail.horizon SET retained_from = now()::date + 1")
    rows = own_shapes.rows(
        """SELECT * FROM celerytrail_views.workflow_spans WHERE workflow_id = %s""",
        own_shapes.id_of("chain"),
    )
    root = check_tree(rows)
    sends = [row for row in rows if tags_of(row).get("step") == "sent"]
    assert {row["parentSpanID"] for row in sends} == {root["spanID"]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nested", ("chord", "succeeded", 21, 21, 0, 0)),
        ("chords", ("chord", "succeeded", 10, 10, 0, 0)),
        ("fine", ("chord", "succeeded", 6, 6, 0, 0)),
        # Celery marks the body of a chord as failed when a header fails, and never sends it.
        ("failed", ("chord", "failed", 100, 60, 40, 0)),
        ("group", ("group", "partially failed", 4, 3, 1, 0)),
        # The last link is never sent.
        ("chain", ("chain", "failed", 2, 1, 1, 0)),
        ("spawn", ("task", "succeeded", 4, 4, 0, 0)),
        ("single", ("task", "failed", 1, 0, 1, 0)),
        # Its body is in a queue that nobody reads: it was sent, so it may yet run.
        ("waiting", ("chord", "running", 3, 2, 0, 1)),
    ],
)
def test_the_state_of_each_shape(shapes: Shapes, name: str, expected: tuple[object, ...]) -> None:
    row = shapes.workflow(name)
    assert (
        row["kind"], row["state"], row["members"], row["succeeded"], row["failed"], row["unfinished"]
    ) == expected  # fmt: skip
    (shown,) = shapes.panel("Workflow", name)
    assert (shown["state"], shown["members"], shown["failed"]) == (
        expected[1],
        expected[2],
        expected[4],
    )


def test_a_chord_whose_header_has_no_result_waits_a_minute_and_then_its_body_never_ran(
    own_shapes: Shapes,
) -> None:
    own_shapes.rows(
        "UPDATE celerytrail.tasks SET finished_at = now() - interval '30 seconds',"
        " updated_at = now() - interval '30 seconds' WHERE group_id = %s",
        own_shapes.id_of("skipped"),
    )
    assert own_shapes.workflow("skipped")["state"] == "running"
    own_shapes.time_passes("skipped", "31 seconds")
    row = own_shapes.workflow("skipped")
    assert (row["state"], row["needs_attention"], row["retried"]) == ("body never ran", True, False)
    (group,) = own_shapes.panel("Its groups and chords", "skipped")
    assert group["body_state"] == "never sent"

    own_shapes.retried(
        {own_shapes.flows["skipped"]["ids"][0]: "another"},
        "retry-chord",
        own_shapes.id_of("skipped"),
    )
    row = own_shapes.workflow("skipped")
    assert (row["state"], row["needs_attention"], row["retried"]) == ("body never ran", False, True)


def test_the_culprit_is_the_first_to_fail_and_stays_it(own_shapes: Shapes) -> None:
    first = own_shapes.failed_ids("failed")[0]
    (culprit,) = own_shapes.panel("What failed first", "failed")
    assert (culprit["task_id"], culprit["task_name"], culprit["exception_class"]) == (
        first, "shapes.check", "ValueError",
    )  # fmt: skip
    assert "is wrong" in culprit["message"]
    payload = {
        row["what"]: row["content"]
        for row in own_shapes.panel("Its exception and arguments", "failed")
    }
    assert payload["exception"] == culprit["message"]
    (traceback,) = own_shapes.panel("Its traceback", "failed")
    assert traceback["body"].splitlines()[-1] == f"ValueError: {culprit['message']}"

    own_shapes.retried({first: "another"})
    (still,) = own_shapes.panel("What failed first", "failed")
    assert (still["task_id"], still["retried_as"]) == (first, "another")


def test_a_parent_that_fails_after_its_child_is_no_culprit(own_shapes: Shapes) -> None:
    root, child = own_shapes.flows["chain"]["ids"][:2]
    # As if it had waited for the child, and raised for that.
    own_shapes.rows(
        "UPDATE celerytrail.tasks p SET state = 'failed', finished_at = c.finished_at + interval '1 ms'"
        " FROM celerytrail.tasks c WHERE p.task_id = %s AND c.task_id = %s",
        root, child,
    )  # fmt: skip
    assert own_shapes.workflow("chain")["culprit_task_id"] == child
    own_shapes.rows(
        "UPDATE celerytrail.tasks SET finished_at = finished_at - interval '1 hour' WHERE task_id = %s",
        root,
    )
    assert own_shapes.workflow("chain")["culprit_task_id"] == root


def test_members_have_their_roles(shapes: Shapes) -> None:
    members = shapes.panel("Members", "nested")
    assert Counter(row["role"] for row in members) == {"header": 20, "body": 1}
    assert sorted(row["index"] for row in members if row["role"] == "header") == list(range(20))
    assert {row["role"] for row in shapes.panel("Members", "chain")} == {"link"}
    assert Counter(row["role"] for row in shapes.panel("Members", "spawn")) == {
        "link": 1,
        "child": 3,
    }
    chosen = shapes.panel("Members", "failed", state=["succeeded"])
    assert {row["state"] for row in chosen} == {"succeeded"}
    assert len(chosen) == 60


def test_the_graph_has_an_edge_for_what_followed_what(shapes: Shapes) -> None:
    nodes = {row["id"]: row for row in shapes.panel("What followed what", "chords", ref="nodes")}
    edges = shapes.panel("What followed what", "chords", ref="edges")
    root = f"group:{shapes.id_of('chords')}"
    assert len(nodes) == 1 + 3 + 10
    assert {edge["source"] for edge in edges} | {edge["target"] for edge in edges} == set(nodes)
    assert len({edge["id"] for edge in edges}) == len(edges)
    from_root = {edge["target"] for edge in edges if edge["source"] == root}
    assert len(from_root) == 3
    assert all(target.startswith("group:") for target in from_root)
    into_body = [edge for edge in edges if edge["target"] == shapes.flows["chords"]["body"]]
    assert {nodes[edge["source"]]["title"] for edge in into_body} == {"ordinary.total"}
    for node in nodes.values():
        assert sum(
            node[f"arc__{part}"] for part in ("succeeded", "failed", "unfinished")
        ) == pytest.approx(1)


def test_the_graph_of_a_large_workflow_has_one_node_for_each_name_and_end(shapes: Shapes) -> None:
    nodes = shapes.panel("What followed what", "failed", ref="nodes")
    edges = shapes.panel("What followed what", "failed", ref="edges")
    assert {(node["title"], node["subtitle"], node["mainstat"]) for node in nodes} == {
        ("chord", "shapes.check", "failed"),
        ("shapes.check", "succeeded", "60 tasks"),
        ("shapes.check", "failed", "40 tasks"),
    }
    assert {(edge["source"], edge["mainstat"]) for edge in edges} == {
        (f"group:{shapes.id_of('failed')}", "60 tasks"),
        (f"group:{shapes.id_of('failed')}", "40 tasks"),
    }


def test_a_failure_is_seen_to_when_all_of_it_is_retried_and_no_retry_fails(
    own_shapes: Shapes,
) -> None:
    def seen() -> tuple[object, ...]:
        row = own_shapes.workflow("group")
        return row["state"], row["retried"], row["needs_attention"]

    assert seen() == ("partially failed", False, True)
    (failed,) = own_shapes.failed_ids("group")
    own_shapes.retried({failed: "refused"}, result="failed")
    assert seen() == ("partially failed", False, True), "nothing was sent"
    # The task named single failed: as if it were what the retry sent.
    again = own_shapes.flows["single"]["ids"][0]
    own_shapes.retried({failed: again})
    assert seen() == ("partially failed", False, True), "the retry failed as well"
    own_shapes.retried({again: "the third"})
    assert seen() == ("partially failed", True, False)
    (shown,) = own_shapes.panel("What it is", "group")
    assert shown["seen_by"] == "retried"


def test_who_did_what_is_shown_for_tasks_and_for_the_chord(own_shapes: Shapes) -> None:
    assert own_shapes.panel("Who did what to it", "failed") == []
    old = own_shapes.failed_ids("failed")[:2]
    own_shapes.retried(
        {one: f"new {one}" for one in old}, "retry-chord", own_shapes.id_of("failed")
    )
    rows = own_shapes.panel("Who did what to it", "failed")
    assert [(row["verb"], row["phase"], row["tasks"], row["result"]) for row in rows] == [
        ("retry-chord", "outcome", 2, "sent"),
        ("retry-chord", "intent", 0, None),
    ]
    assert {row["actor"] for row in rows} == {"grafana:1:ann"}
    assert {row["reason"] for row in rows} == {"it was the weather"}


def test_the_buttons_name_the_chord_and_the_task_of_their_row(shapes: Shapes) -> None:
    opened = dashboard("celerytrail-workflow")
    buttons = {(title, action["title"]): action for title, action in actions_of(opened)}
    (group,) = shapes.panel("Its groups and chords", "failed")
    request = click(buttons["Its groups and chords", "Retry whole chord"], group)
    assert request.method == "POST"
    assert request.path.startswith("/api/plugin-proxy/celerytrail-app/operator/retry-chord?")
    assert f"group_id={shapes.id_of('failed')}" in request.path
    assert "seen_members=100" in request.path
    assert "100" in request.confirmation
    member = shapes.panel("Members", "failed")[0]
    assert f"task_id={member['task_id']}" in click(buttons["Members", "Retry"], member).path


def test_the_chain_that_a_workflow_is_part_of(shapes: Shapes) -> None:
    rows = shapes.panel("The chain it is part of", "chain")
    assert [(row["place"], row["task_id"]) for row in rows] == [
        ("link", task_id) for task_id in shapes.flows["chain"]["ids"][:2]
    ]
    (body,) = shapes.panel("The chain it is part of", "fine")
    assert (body["place"], body["task_id"]) == ("body", shapes.flows["fine"]["body"])


def test_a_quote_in_the_id_breaks_nothing(shapes: Shapes) -> None:
    for panel in dashboard("celerytrail-workflow")["panels"]:
        for target in panel["targets"]:
            assert (
                shapes.grafana.panel(
                    "celerytrail-workflow",
                    panel["title"],
                    {"workflow_id": "o'brien \\ \" %"},
                    target["refId"],
                )
                == []
            )


@pytest.fixture
def shop(migrated: MigratedDatabase, ledger: Ledger) -> RecordedShop:
    """An empty shop, to record what no worker does on demand."""
    return RecordedShop(migrated, ledger)


def attempt(
    task_id: str, first_seq: int = 1, end: str = "succeeded", **columns: Any
) -> list[tuple[Any, ...]]:
    """The steps of one attempt with the span ids that the shipper gives them."""
    rows = task_rows(first_seq, task_id=task_id, at=AT, end=end, **columns)
    send_id, run_id = rows[0][INDEX["send_id"]], rows[2][INDEX["run_id"]]
    return [
        with_columns(rows[0], span_id=send_id),
        *(with_columns(row, parent_span_id=send_id) for row in rows[1:3]),
        with_columns(rows[3], span_id=run_id, parent_span_id=send_id),
    ]


def bars_of(shop: RecordedShop, workflow_id: str) -> list[Row]:
    return shop.panel("workflow", "Waterfall", workflow_id=workflow_id)


def parents(bars: list[Row]) -> dict[str | None, str | None]:
    return {tags_of(bar).get("step"): bar["parentSpanID"] for bar in bars}


def test_what_a_request_of_a_web_server_sent_hangs_below_the_root(shop: RecordedShop) -> None:
    for seq, task_id in ((1, "one"), (11, "two")):
        sent, *others = attempt(task_id, seq, root_id="one")
        shop.write(with_columns(sent, parent_span_id=b"\x0fforeign"), *others)
    bars = bars_of(shop, "one")
    root = check_tree(bars)
    sends = [bar for bar in bars if tags_of(bar).get("step") == "sent"]
    assert [bar["parentSpanID"] for bar in sends] == [root["spanID"]] * 2
    assert len(bars) == 1 + 2 * 3


def test_a_publisher_without_an_agent_leaves_no_bar_in_the_air(shop: RecordedShop) -> None:
    _, *rest = attempt("one", group_id="g", root_group_id="g")
    shop.write(*rest)
    bars = bars_of(shop, "g")
    root = check_tree(bars)["spanID"]
    # Nobody knows the send: what it would carry stands beside the wait and the run.
    assert parents(bars) == {None: None, "received": root, "started": root, "succeeded": root}


def test_a_run_that_goes_on_is_a_bar_until_now(shop: RecordedShop) -> None:
    *begun, _ = attempt("one")
    shop.write(*begun)
    bars = bars_of(shop, "one")
    check_tree(bars)
    (run,) = [bar for bar in bars if bar["operationName"] == "run shop.pay"]
    assert run["duration"] > 9 * 60 * 1000


def test_a_run_that_was_killed_is_a_bar_until_its_end(shop: RecordedShop) -> None:
    *begun, lost = attempt("one", end="lost")
    end = nanoseconds(AT) + 5_000_000_000
    # The main process reports it: it knows the send, not the run.
    shop.write(
        *begun,
        with_columns(
            lost, run_id=None, span_id=b"its own.", status_code=2, start_unix_nano=end, end_unix_nano=end
        ),
    )  # fmt: skip
    bars = bars_of(shop, "one")
    check_tree(bars)
    (run,) = [bar for bar in bars if bar["operationName"] == "run shop.pay"]
    assert run["duration"] == pytest.approx(4998, abs=0.1)
    (point,) = [bar for bar in bars if tags_of(bar).get("step") == "lost"]
    assert (point["duration"], point["statusCode"]) == (0, 2)


def test_two_ends_of_one_run_are_one_bar(shop: RecordedShop) -> None:
    # Celery up to 5.5 fails a run after its success when on_success raises.
    *begun, succeeded = attempt("one")
    (*_, failed) = attempt("one", first_seq=11, end="failed")
    shop.write(*begun, succeeded, failed)
    bars = bars_of(shop, "one")
    check_tree(bars)
    assert Counter(tags_of(bar).get("step") for bar in bars) == {
        None: 1, "sent": 1, "started": 1, "succeeded": 1,
    }  # fmt: skip


def test_polls_for_a_chord_are_no_members_of_its_workflow(shop: RecordedShop) -> None:
    shop.ran("one", group_id="g", root_group_id="g")
    shop.ran("body", root_group_id="g", root_id="one")
    shop.ran("poll", root_group_id="g", task_name="celery.chord_unlock", steps=3)
    with psycopg.connect(shop.database.dsn("grafana")) as connection:
        found = connection.execute(
            "SELECT state, members, unfinished FROM celerytrail_views.workflows WHERE workflow_id = 'g'"
        ).fetchall()
    assert found == [("succeeded", 2, 0)]
