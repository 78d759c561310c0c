"""Eager and traced runs in this process: the start and the end that are recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, group, signals
from celery.app.trace import build_tracer
from celery.exceptions import Ignore, Reject

from celerytrail.exporter.spool.record import REQUEST, Record
from celerytrail.exporter.spool.trail import TRAIL_HEADER, Trail, derived_trace_id, read_trail
from tests.unit.agent.conftest import Recorded

TRACE, SEND, PARENT, GROUP_SPAN, ROOT_SPAN = "a" * 32, "b" * 16, "c" * 16, "d" * 16, "e" * 16


class Spiteful(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def run(app: Celery, name: str, *args: Any, **headers: Any) -> Any:
    """Run a task as a pool child does, with these message headers."""
    task = app.tasks[name]
    request = {
        "id": "task-1",
        "task": name,
        "root_id": "root-1",
        "retries": 0,
        "is_eager": False,
        "hostname": "celery@h",
        "delivery_info": {"exchange": "", "routing_key": "unit", "redelivered": False},
        "callbacks": None,
        "errbacks": None,
        "chain": None,
        "chord": None,
        "reply_to": None,
        "correlation_id": "task-1",
        **headers,
    }
    return build_tracer(name, task, app=app)("task-1", args, {}, request)


def a_trail(**values: Any) -> str:
    return Trail(TRACE, SEND, 5, PARENT, queue="unit")._replace(**values).text()


def trail_of(record: Record) -> dict[str, Any]:
    trail = read_trail(record.fields["trail"])
    assert trail is not None
    return trail._asdict()


def request_of(record: Record) -> dict[str, Any]:
    return dict(zip(REQUEST, record.fields["request"], strict=True))


def test_a_run_is_recorded_from_start_to_end(recorded: Recorded, app: Celery) -> None:
    run(app, "add", 1, 2, **{TRAIL_HEADER: a_trail()})
    assert recorded.steps() == ["started", "succeeded"]
    started, succeeded = recorded.all()[1:]
    assert started.fields["run_id"] == succeeded.fields["run_id"]
    assert len(started.fields["run_id"]) == 16
    assert succeeded.fields["trail"] == started.fields["trail"] == a_trail()
    assert request_of(started)["id"] == "task-1"
    assert request_of(started)["routing_key"] == "unit"
    assert succeeded.fields["start_unix_nano"] == started.time_unix_nano
    assert succeeded.fields["runtime_ns"] > 0
    assert succeeded.fields["result"] is None


def test_a_failure_has_class_message_and_traceback(recorded: Recorded, app: Celery) -> None:
    run(app, "fail", "boom é")
    (failed,) = recorded.of("failed")
    assert failed.fields["exception_class"] == "ValueError"
    assert failed.fields["exception"] == "boom é"
    assert "Traceback" in failed.fields["traceback"]


def test_an_exception_whose_text_raises_is_recorded(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="spite")
    def spite() -> None:
        raise Spiteful

    run(app, "spite")
    (failed,) = recorded.of("failed")
    assert failed.fields["exception_class"].endswith(".Spiteful")
    assert failed.fields["exception"] == "<Spiteful: its text raised>"
    assert recorded.recorder.guard.errors == 0


def test_an_exception_that_cannot_be_pickled_keeps_its_name(
    recorded: Recorded, app: Celery
) -> None:
    class Local(Exception):
        pass

    @app.task(shared=False, name="local")
    def local() -> None:
        raise Local("boom")

    run(app, "local")
    (failed,) = recorded.of("failed")
    assert failed.fields["exception_class"].endswith(".Local")
    assert "boom" in failed.fields["exception"]


@pytest.mark.parametrize(
    ("exception", "step", "name"),
    [
        (Ignore("no"), "ignored", "celery.exceptions.Ignore"),
        (Reject("no", requeue=False), "rejected", "celery.exceptions.Reject"),
    ],
)
def test_the_other_ends(
    recorded: Recorded, app: Celery, exception: Exception, step: str, name: str
) -> None:
    @app.task(shared=False, name="other")
    def other() -> None:
        raise exception

    run(app, "other")
    assert recorded.steps() == ["started", step]
    assert recorded.of(step)[0].fields["exception_class"] == name


def test_an_exit_is_aborted(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="exit")
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        run(app, "exit")
    assert recorded.steps() == ["started", "aborted"]


def test_a_result_is_kept_only_when_asked_for(
    record_with: Callable[..., Recorded], app: Celery
) -> None:
    recorded = record_with(CELERYTRAIL_CAPTURE_RESULT="1")
    run(app, "add", 1, 2)
    assert recorded.of("succeeded")[0].fields["result"] == 3


def test_a_retry_is_a_sibling_that_links_to_the_run_before(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="again", bind=True, max_retries=3)
    def again(self: Any) -> None:
        raise self.retry(exc=KeyError("k"), countdown=0)

    above = a_trail(
        group_id="g", group_span_id=GROUP_SPAN, root_group_id="r", root_group_span_id=ROOT_SPAN
    )
    run(app, "again", group="g", **{TRAIL_HEADER: above})
    assert recorded.steps() == ["started", "sent", "retried"]
    started, sent, retried = recorded.all()[1:]
    trail, known = trail_of(sent), read_trail(above)
    assert known is not None
    assert trail["send_id"] != SEND
    assert {key: trail[key] for key in trail if key not in ("send_id", "sent_unix_nano")} == {
        key: value
        for key, value in known._asdict().items()
        if key not in ("send_id", "sent_unix_nano")
    }
    assert sent.fields["linked_run_id"] == started.fields["run_id"]
    assert retried.fields["exception_class"] == "KeyError"
    assert retried.fields["run_id"] == started.fields["run_id"]
    assert recorded.of("group") == []


@pytest.mark.parametrize("how", ["retry", "replace"])
def test_a_task_that_is_sent_again_comes_after_the_send_before_by_whatever_clock(
    recorded: Recorded, app: Celery, how: str
) -> None:
    """The publisher's clock is an hour ahead of the worker's."""

    @app.task(shared=False, name="again", bind=True, max_retries=3)
    def again(self: Any) -> None:
        if how == "retry":
            raise self.retry(countdown=0)
        raise self.replace(app.tasks["add"].si(1, 2))

    ahead = time.time_ns() + 3600 * 10**9
    run(app, "again", **{TRAIL_HEADER: a_trail(sent_unix_nano=ahead)})
    (sent,) = recorded.of("sent")
    assert trail_of(sent)["sent_unix_nano"] == ahead + 1
    assert sent.fields["start_unix_nano"] < ahead


def test_what_a_task_publishes_hangs_under_its_run(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="parent")
    def parent() -> None:
        app.tasks["add"].delay(1, 2)

    above = a_trail(root_group_id="r", root_group_span_id=ROOT_SPAN)
    run(app, "parent", **{TRAIL_HEADER: above})
    started, sent = recorded.of("started")[0], recorded.of("sent")[0]
    trail = trail_of(sent)
    assert trail["trace_id"] == TRACE
    assert trail["parent_span_id"] == started.fields["run_id"]
    assert trail["root_group_id"] == "r"
    assert trail["root_group_span_id"] == ROOT_SPAN
    assert sent.fields["linked_run_id"] is None


def test_a_task_called_as_a_function_does_not_hide_the_real_one(
    recorded: Recorded, app: Celery
) -> None:
    @app.task(shared=False, name="inner")
    def inner() -> None:
        app.tasks["add"].delay(1, 2)

    @app.task(shared=False, name="outer")
    def outer() -> None:
        inner()

    run(app, "outer", **{TRAIL_HEADER: a_trail()})
    trail = trail_of(recorded.of("sent")[0])
    assert trail["trace_id"] == TRACE
    assert trail["parent_span_id"] == recorded.of("started")[0].fields["run_id"]


def test_a_group_inside_a_task_hangs_under_the_run(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="fan")
    def fan() -> None:
        group([app.tasks["add"].s(1, 1), app.tasks["add"].s(2, 2)], app=app).apply_async()

    run(app, "fan", **{TRAIL_HEADER: a_trail(root_group_id="r", root_group_span_id=ROOT_SPAN)})
    (span,) = recorded.of("group")
    assert span.fields["parent_span_id"] == recorded.of("started")[0].fields["run_id"]
    assert span.fields["trace_id"] == TRACE
    assert span.fields["root_group_id"] == "r"
    assert {trail_of(sent)["group_span_id"] for sent in recorded.of("sent")} == {
        span.fields["span_id"]
    }


@pytest.mark.parametrize(("group_id", "span"), [("g", GROUP_SPAN), ("r", ROOT_SPAN)])
def test_the_body_of_a_chord_finds_the_group_it_is_in(
    recorded: Recorded, app: Celery, group_id: str, span: str
) -> None:
    @app.task(shared=False, name="last")
    def last() -> None:
        app.tasks["xsum"].apply_async(([1],), group_id=group_id)

    above = a_trail(
        group_id="g", group_span_id=GROUP_SPAN, root_group_id="r", root_group_span_id=ROOT_SPAN
    )
    run(app, "last", **{TRAIL_HEADER: above})
    assert recorded.of("group") == []
    assert trail_of(recorded.of("sent")[0])["parent_span_id"] == span


def test_a_run_without_a_trail_hands_on_a_derived_trace(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="parent")
    def parent() -> None:
        app.tasks["add"].delay(1, 2)

    run(app, "parent")
    assert recorded.of("started")[0].fields["trail"] is None
    assert trail_of(recorded.of("sent")[0])["trace_id"] == derived_trace_id("root-1")


@pytest.mark.parametrize(
    "header",
    ["text", "", [], [1, 2, 3], {"a": 1}, "1;" + "x" * 9, b"1;", 1, a_trail().replace(SEND, "no")],
)
def test_a_trail_that_is_not_ours_is_not_followed(
    recorded: Recorded, app: Celery, header: Any
) -> None:
    run(app, "add", 1, 2, **{TRAIL_HEADER: header})
    assert read_trail(recorded.of("started")[0].fields["trail"]) is None
    assert recorded.recorder.guard.errors == 0


def test_a_trail_of_a_newer_agent_is_followed(recorded: Recorded, app: Celery) -> None:
    run(app, "add", 1, 2, **{TRAIL_HEADER: f"{a_trail()};later;7"})
    (started,) = recorded.of("started")
    assert read_trail(started.fields["trail"]) == read_trail(a_trail())


def test_an_eager_run_is_recorded_in_the_caller(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].apply((1, 2))
    assert recorded.steps() == ["started", "succeeded"]
    assert request_of(recorded.of("started")[0])["is_eager"] is True
    assert request_of(recorded.of("started")[0])["task"] == "add"


def test_two_runs_of_one_task_id_are_told_apart(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="nested", bind=True)
    def nested(self: Any, depth: int) -> None:
        if depth:
            run(app, "nested", depth - 1)

    run(app, "nested", 1)
    started = [record.fields["run_id"] for record in recorded.of("started")]
    ended = [record.fields["run_id"] for record in recorded.of("succeeded")]
    assert len(set(started)) == 2
    assert ended == started[::-1]


def test_the_request_stays_dumpable(recorded: Recorded, app: Celery) -> None:
    dumped = []

    @app.task(shared=False, name="dump", bind=True)
    def dump(self: Any) -> None:
        dumped.append(json.dumps({k: v for k, v in vars(self.request).items() if "trail" in k}))

    run(app, "dump", **{TRAIL_HEADER: a_trail()})
    assert dumped


def test_a_run_ends_once(recorded: Recorded, app: Celery) -> None:
    @app.task(shared=False, name="twice", bind=True)
    def twice(self: Any) -> None:
        for _ in range(2):
            signals.task_postrun.send(sender=self, task=self, retval=None, state="SUCCESS")

    run(app, "twice")
    assert recorded.steps() == ["started", "succeeded"]


def test_what_after_return_raises_is_the_end_of_an_eager_run(
    recorded: Recorded, app: Celery
) -> None:
    class Careless(app.Task):  # type: ignore[name-defined, misc]
        def after_return(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("after the end")

    @app.task(shared=False, name="careless", base=Careless)
    def careless() -> int:
        return 1

    with pytest.raises(RuntimeError):
        careless.apply()
    assert recorded.steps() == ["started", "failed"]
    (failed,) = recorded.of("failed")
    assert (failed.fields["exception_class"], failed.fields["exception"]) == (
        "RuntimeError",
        "after the end",
    )
    assert "after the end" in failed.fields["traceback"]


def test_an_error_that_somebody_else_handles_is_none_of_an_eager_task(
    recorded: Recorded, app: Celery
) -> None:
    class Rescuing(app.Task):  # type: ignore[name-defined, misc]
        def on_failure(self, *_: Any, **__: Any) -> None:
            app.tasks["add"].apply((1, 2))

    @app.task(shared=False, name="rescuing", base=Rescuing)
    def rescuing() -> None:
        raise ValueError("no")

    rescuing.apply()
    try:
        raise KeyError("outside")
    except KeyError:
        app.tasks["add"].apply((3, 4))
    assert sorted(recorded.steps()) == [
        *("failed", "started", "started", "started", "succeeded", "succeeded"),
    ]


def test_a_message_of_an_unrecorded_publisher_stays_in_its_trace(
    recorded: Recorded, app: Celery
) -> None:
    @app.task(shared=False, name="parent")
    def parent() -> None:
        app.tasks["add"].delay(1, 2)

    header = f"00-{TRACE}-{SEND}-00"
    run(app, "parent", traceparent=header)
    (started,) = recorded.of("started")
    assert started.fields["trail"] == header
    assert trail_of(recorded.of("sent")[0])["trace_id"] == TRACE
