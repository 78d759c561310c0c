"""Real publishes through an in-memory broker: what is recorded of them, and what rides on them."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, chain, chord, group, signals
from kombu.exceptions import EncodeError, OperationalError
from kombu.serialization import dumps, register, registry, unregister
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from celerytrail.exporter.agent import ids as ids_module
from celerytrail.exporter.agent.install import install, instrument, uninstrument
from celerytrail.exporter.spool.record import HEADERS
from celerytrail.exporter.spool.trail import TRAIL_HEADER, read_trail
from tests.unit.agent.conftest import Recorded


def trail_of(record: Any) -> dict[str, Any]:
    trail = read_trail(record.fields["trail"])
    assert trail is not None
    return trail._asdict()


def headers_of(record: Any) -> dict[str, Any]:
    return dict(zip(HEADERS, record.fields["headers"], strict=False))


def message_headers(app: Celery, queue: str = "unit") -> dict[str, Any]:
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get(queue, no_ack=True)
        assert message is not None
        return dict(message.headers)


def test_a_send_is_recorded_with_all_that_is_known(recorded: Recorded, app: Celery) -> None:
    result = app.tasks["add"].apply_async((1, "é"), {}, priority=3, countdown=60)
    (sent,) = recorded.of("sent")
    fields, headers, trail = sent.fields, headers_of(sent), trail_of(sent)
    assert headers["id"] == headers["root_id"] == result.id
    assert headers["task"] == "add"
    assert headers["eta"]
    assert fields["routing_key"] == "unit"
    assert trail["queue"] == "unit"
    assert fields["content_type"] == "application/json"
    assert json.loads(fields["body"])[0] == [1, "é"]
    assert fields["body_size"] is None  # it is all here
    assert "argsrepr" not in headers
    assert fields["start_unix_nano"] == trail["sent_unix_nano"] <= sent.time_unix_nano
    assert message_headers(app)[TRAIL_HEADER] == fields["trail"]


def test_the_body_is_the_bytes_that_went_to_the_broker(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].delay(1, 2)
    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("unit", no_ack=True)
        body = message.body
    (sent,) = recorded.of("sent")
    assert sent.fields["body"] == (body if isinstance(body, bytes) else body.encode())


def test_a_header_that_somebody_took_away_costs_the_others_nothing(
    recorded: Recorded, app: Celery
) -> None:
    def take_away(headers: Any = None, **_: Any) -> None:
        del headers["lang"]

    signals.before_task_publish.connect(take_away, weak=False, dispatch_uid="take_away")
    try:
        result = app.tasks["add"].delay(1, 2)
    finally:
        signals.before_task_publish.disconnect(dispatch_uid="take_away")
    (sent,) = recorded.of("sent")
    headers = headers_of(sent)
    assert headers["id"] == result.id
    assert headers["lang"] is None
    assert headers["origin"]


def test_an_encoder_gets_what_else_its_caller_passes(recorded: Recorded) -> None:
    def encode(data: Any, *more: Any, **named: Any) -> str:
        return json.dumps([data, more, named])

    register("with_more", encode, json.loads, "application/x-more", "utf-8")
    try:
        watched = registry._encoders["with_more"].encoder
        assert json.loads(watched(1)) == [1, [], {}]
        assert json.loads(watched(1, 2)) == [1, [2], {}]
        assert json.loads(watched(1, more=3)) == [1, [], {"more": 3}]
    finally:
        unregister("with_more")


def test_nothing_is_encoded_twice(recorded: Recorded, app: Celery) -> None:
    encoded = []

    def encode(data: Any) -> str:
        encoded.append(data)
        return json.dumps(data, default=str)

    register("counting", encode, json.loads, "application/x-counting", "utf-8")
    try:
        app.tasks["add"].apply_async((1, 2), serializer="counting")
    finally:
        unregister("counting")
    assert len(encoded) == 1
    (sent,) = recorded.of("sent")
    assert sent.fields["content_type"] == "application/x-counting"
    assert json.loads(sent.fields["body"])[0] == [1, 2]


def test_pickle_is_kept_as_bytes_and_not_loaded(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].apply_async((1, 2), serializer="pickle")
    (sent,) = recorded.of("sent")
    assert sent.fields["content_type"] == "application/x-python-serialize"
    assert sent.fields["body"].startswith(b"\x80")


def test_a_huge_body_is_not_kept_but_measured(
    record_with: Callable[..., Recorded], app: Celery
) -> None:
    recorded = record_with(CELERYTRAIL_MAX_BODY_BYTES="100")
    app.tasks["add"].delay("x" * 1000, 2)
    (sent,) = recorded.of("sent")
    assert sent.fields["body"] is None
    assert sent.fields["body_size"] > 1000
    assert sent.fields["content_type"] == "application/json"


def test_other_uses_of_kombu_are_left_alone(recorded: Recorded) -> None:
    assert dumps({"a": 1}, serializer="json") == ("application/json", "utf-8", '{"a": 1}')
    assert recorded.all() == []


def test_uninstrument_puts_everything_back(
    app: Celery, record_with: Callable[..., Recorded]
) -> None:
    from kombu.messaging import Producer

    publish, encoder = Producer.publish, registry._encoders["json"].encoder
    recorded = record_with()
    assert registry._encoders["json"].encoder is not encoder
    assert install(recorded.config) is recorded.recorder
    uninstrument()
    uninstrument()
    assert Producer.publish is publish
    assert registry._encoders["json"].encoder is encoder
    assert type(registry._encoders) is dict
    app.tasks["add"].delay(1, 2)
    assert recorded.of("sent") == []
    assert TRAIL_HEADER not in message_headers(app)


def test_instrumenting_twice_records_once(recorded: Recorded, app: Celery) -> None:
    assert instrument(app)
    app.tasks["add"].delay(1, 2)
    assert len(recorded.of("sent")) == 1


def test_a_publish_that_fails_is_recorded_with_its_error(recorded: Recorded, app: Celery) -> None:
    down = Celery("down", broker="redis://127.0.0.1:1/0", set_as_current=False)
    with pytest.raises(OperationalError):
        down.send_task("add", (1, 2), retry=False)
    (failed,) = recorded.of("send_failed")
    assert failed.fields["exception_class"] == "kombu.exceptions.OperationalError"
    assert "127.0.0.1:1" in failed.fields["exception"]
    assert json.loads(failed.fields["body"])[0] == [1, 2]
    assert recorded.of("sent") == []


def test_what_cannot_be_encoded_is_a_failed_send(recorded: Recorded, app: Celery) -> None:
    with pytest.raises(EncodeError):
        app.tasks["add"].delay(1, object())
    (failed,) = recorded.of("send_failed")
    assert failed.fields["exception_class"] == "kombu.exceptions.EncodeError"
    assert failed.fields["body"] is None


def test_a_seed_of_the_user_does_not_repeat_ids(recorded: Recorded, app: Celery) -> None:
    for _ in range(2):
        random.seed(1)
        app.tasks["add"].delay(1, 2)
    first, second = map(trail_of, recorded.of("sent"))
    assert first["send_id"] != second["send_id"]
    assert first["trace_id"] != second["trace_id"]


def test_a_forked_child_mints_other_ids(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].delay(0, 0)
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            Celery("child", broker="memory://", set_as_current=False).send_task("add", (1, 2))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    app.tasks["add"].delay(1, 2)
    sends = [trail_of(record)["send_id"] for record in recorded.of("sent")]
    assert len(set(sends)) == len(sends) == 3


def test_threads_do_not_mix_up_their_bodies(recorded: Recorded, app: Celery) -> None:
    ids: dict[tuple[int, int], str] = {}

    def publish(name: int) -> None:
        for number in range(20):
            ids[name, number] = app.tasks["add"].delay(name, number).id

    threads = [threading.Thread(target=publish, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sent in recorded.of("sent"):
        args = json.loads(sent.fields["body"])[0]
        assert headers_of(sent)["id"] == ids[tuple(args)]
    assert len(recorded.of("sent")) == 80


def test_members_of_a_group_share_its_span(recorded: Recorded, app: Celery) -> None:
    add = app.tasks["add"]
    group([add.s(1, 1), add.s(2, 2), add.s(3, 3)], app=app).apply_async()
    (span,) = recorded.of("group")
    sends = [trail_of(record) for record in recorded.of("sent")]
    assert len(sends) == 3
    for trail in sends:
        assert trail["trace_id"] == span.fields["trace_id"]
        assert trail["parent_span_id"] == trail["group_span_id"] == span.fields["span_id"]
        assert trail["group_id"] == trail["root_group_id"] == span.fields["group_id"]
    assert span.fields["kind"] == "group"
    assert span.fields["parent_span_id"] == ""


def test_a_chord_knows_its_body(recorded: Recorded, app: Celery) -> None:
    add, xsum = app.tasks["add"], app.tasks["xsum"]
    result = chord([add.s(1, 1), add.s(2, 2)], app=app)(xsum.s())
    (span,) = recorded.of("group")
    assert span.fields["kind"] == "chord"
    assert span.fields["chord_body_id"] == result.id
    headers = [sent for sent in recorded.of("sent") if headers_of(sent)["task"] == "add"]
    assert {sent.fields["chord_body_id"] for sent in headers} == {result.id}


def test_a_group_of_chords_hangs_under_the_outer_group(recorded: Recorded, app: Celery) -> None:
    add, xsum = app.tasks["add"], app.tasks["xsum"]
    inner = [chord([add.s(n, 1), add.s(n, 2)], xsum.s(), app=app) for n in range(2)]
    group(inner, app=app).apply_async()
    outer, *inners = recorded.of("group")
    assert [span.fields["parent_span_id"] for span in inners] == [outer.fields["span_id"]] * 2
    assert {span.fields["root_group_id"] for span in [outer, *inners]} == {outer.fields["group_id"]}
    sends = [sent for sent in recorded.of("sent") if headers_of(sent)["task"] == "add"]
    assert {trail_of(sent)["root_group_id"] for sent in sends} == {outer.fields["group_id"]}
    assert {trail_of(sent)["group_span_id"] for sent in sends} == {
        span.fields["span_id"] for span in inners
    }


def test_the_chains_of_a_group_belong_to_it(recorded: Recorded, app: Celery) -> None:
    add = app.tasks["add"]
    group([chain(add.s(1, 1), add.s(2)), chain(add.s(1, 1), add.s(2))], app=app).apply_async()
    (span,) = recorded.of("group")
    assert {trail_of(sent)["root_group_id"] for sent in recorded.of("sent")} == {
        span.fields["group_id"]
    }


def test_the_callers_trace_is_used(recorded: Recorded, app: Celery) -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("request") as span:
        context = span.get_span_context()
        app.tasks["add"].delay(1, 2)
        group([app.tasks["add"].s(1, 1)], app=app).apply_async()
        assert trace.get_current_span() is span
    alone, member = map(trail_of, recorded.of("sent"))
    (group_span,) = recorded.of("group")
    assert alone["trace_id"] == member["trace_id"] == f"{context.trace_id:032x}"
    assert alone["parent_span_id"] == f"{context.span_id:016x}"
    assert group_span.fields["parent_span_id"] == f"{context.span_id:016x}"


def test_a_traceparent_on_the_message_wins_and_stays(recorded: Recorded, app: Celery) -> None:
    parent = f"00-{'ab' * 16}-{'cd' * 8}-00"
    app.tasks["add"].apply_async((1, 2), headers={"traceparent": parent})
    (sent,) = recorded.of("sent")
    assert trail_of(sent)["trace_id"] == "ab" * 16
    assert trail_of(sent)["parent_span_id"] == "cd" * 8
    assert message_headers(app)["traceparent"] == parent


def test_task_protocol_1_is_recorded_from_its_body(recorded: Recorded, app: Celery) -> None:
    app.conf.task_protocol = 1
    del app.amqp
    result = app.tasks["add"].delay(1, 2)
    (sent,) = recorded.of("sent")
    assert headers_of(sent)["id"] == result.id
    assert headers_of(sent)["task"] == "add"


def test_an_error_of_ours_does_not_reach_the_publisher(
    recorded: Recorded,
    app: Celery,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret argument")

    installed = recorded.recorder
    monkeypatch.setattr(ids_module, "_fetched", broken)
    for _ in range(5):
        app.tasks["add"].delay(1, 2)
    assert installed.guard.errors == 5
    assert recorded.of("sent") == []
    warnings = [entry for entry in caplog.records if entry.name == "celerytrail"]
    assert len(warnings) == 1
    assert "RuntimeError" in warnings[0].getMessage()
    assert "secret" not in warnings[0].getMessage()
