"""A run of 1,000 tasks of an unmodified application, compared with what others say of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until

BACKEND_STATES = {"SUCCESS": "succeeded", "FAILURE": "failed", "REVOKED": "revoked"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_each_task_is_stored_as_backend_and_workload_know_it(any_celery: Pipeline) -> None:
    """Given an unmodified app, no -E, no import: every task is there, with everything right."""
    pipeline = any_celery
    worker = pipeline.start_worker()
    sent = {line["id"]: line for line in pipeline.run("publish_thousand.py")}
    assert len(sent) == 1000
    backend = pipeline.results(list(sent))
    assert Counter(line["state"] for line in backend.values()) == {
        "SUCCESS": 880,
        "FAILURE": 100,
        "REVOKED": 20,
    }

    wait_until(
        lambda: (
            pipeline.value(
                "SELECT count(*) FROM celerytrail_views.tasks WHERE state IN ('succeeded', 'failed', 'revoked')"
            )
            == 1000
        ),
        "1,000 tasks have their end in the ledger",
    )
    tasks = {row["task_id"]: row for row in pipeline.rows("SELECT * FROM celerytrail_views.tasks")}
    ran: dict[str, list[dict[str, Any]]] = {}
    for line in pipeline.recorded():
        ran.setdefault(line["id"], []).append(line)

    assert tasks.keys() == sent.keys()
    wrong = [
        (task_id, problem)
        for task_id, expected in sent.items()
        for problem in differences(expected, backend[task_id], ran.get(task_id, []), tasks[task_id])
    ]
    assert wrong == []
    assert pipeline.value("SELECT coalesce(sum(missing), 0) FROM celerytrail_views.streams") == 0
    for text in (
        "s.attributes::text FROM celerytrail.spans s",
        "content FROM celerytrail_views.payloads",
    ):
        assert not pipeline.rows(f"SELECT {text} WHERE strpos({text.split()[0]}, 'hunter') > 0")
    assert worker.stop() == 0
    checked = pipeline.verify()
    assert checked.returncode == 3, checked.stdout + checked.stderr


def differences(
    expected: dict[str, Any],
    backend: dict[str, Any],
    runs: list[dict[str, Any]],
    stored: dict[str, Any],
) -> list[str]:
    """Say in what a stored task differs from what the workload and the backend say of it."""
    retries = max((run["retries"] for run in runs), default=0)
    password = {"password": "..."} if expected["kind"] == "plain" else {}
    kwargs = json.loads(stored["kwargs"])
    kwargs.update({key: "..." for key in kwargs if key == "password"})
    exception = None if stored["exception"] is None else json.loads(stored["exception"])
    queue = "slow lane" if expected["task"] == "ordinary.flaky" else "celery"
    pairs = [
        ("state", stored["state"], BACKEND_STATES[backend["state"]]),
        ("task", stored["task_name"], expected["task"]),
        ("queue", stored["queue"], queue),
        ("attempts", stored["attempts"], retries + 1),
        ("runs", stored["runs"], len(runs)),
        ("kwargs", kwargs, password),
        ("exception_class", stored["exception_class"], backend["exception_class"]),
        ("exception", exception, backend["exception"]),
    ]
    if expected["kind"] not in ("chain", "body"):  # these get their first argument from others
        pairs.append(("args", json.loads(stored["args"]), expected["args"]))
    if expected["kind"] in ("group", "header"):
        pairs.append(("group", stored["group_id"], expected["group"]))
    if "root_group" in expected:
        pairs.append(("root group", stored["root_group_id"], expected["root_group"]))
    pairs.append(("root", stored["root_id"], expected.get("root", stored["root_id"])))
    if expected["kind"] in ("plain", "failing", "retrying", "group", "header"):
        pairs.append(("root is itself", stored["root_id"], expected["id"]))
    problems = [
        f"{name}: {found!r} is not {wanted!r}" for name, found, wanted in pairs if found != wanted
    ]
    if runs and not problems:
        problems += wrong_times(expected, runs, stored)
    return problems


def wrong_times(
    expected: dict[str, Any], runs: list[dict[str, Any]], stored: dict[str, Any]
) -> list[str]:
    """Check wait and runtime against the clock readings that publisher and task took around them."""
    last = max(runs, key=lambda run: (run["retries"], run["begun"]))
    wait, runtime = stored["queue_wait_us"] / 1e6, stored["runtime_us"] / 1e6
    problems = []
    if not 0 <= wait <= last["begun"] - expected["before"] + 1e-3:
        problems.append(
            f"waited {wait} s, but {last['begun'] - expected['before']} s passed in all"
        )
    if runtime < last["done"] - last["begun"] - 1e-3:
        problems.append(f"ran {runtime} s, but measured {last['done'] - last['begun']} s inside")
    if not last["begun"] >= stored["started_at"].timestamp() - 1e-3:
        problems.append("started after its own first line")
    return problems
