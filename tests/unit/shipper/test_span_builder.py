"""Each step becomes the span that docs/design/identity.md says."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from celerytrail.exporter.attributes import ATTRIBUTES, STEPS, On
from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.spool.record import LAYOUTS, Record
from tests.integration.shipper.receiver import attributes
from tests.unit.shipper.segments import (
    HEADER,
    NOW,
    PARENT,
    RUN,
    SEND,
    STREAM,
    TRACE,
    headers,
    record,
    request,
    trail,
)

KNOWN = {attribute.name for attribute in ATTRIBUTES if attribute.on is On.SPAN}
MS = 1_000_000
WORKER = replace(HEADER, process_kind="child")


def build(item: Record, **more: Any) -> tuple[Span, dict[str, Any]]:
    span = Span.FromString(build_span(item, identify(HEADER, item), {}, **more))
    said = attributes(span)
    assert set(said) <= KNOWN | {"celery.args", "celery.kwargs"}
    assert len(said) == len(span.attributes)
    assert span.start_time_unix_nano <= span.end_time_unix_nano
    assert span.status.message == ""
    return span, said


def point(seq: int) -> bytes:
    return sha256(bytes.fromhex(STREAM) + seq.to_bytes(8, "big")).digest()[:8]


def test_a_send() -> None:
    span, said = build(
        record(
            "sent", 2, NOW, trail=trail(group="g"), start_unix_nano=NOW - 5 * MS, exchange="ex", routing_key="rk",
            headers=headers(group="g", group_index=3, parent_id="p", root_id="r", timelimit=(300, None),
                            stamped_headers=["b", "a"], stamps={"a": 1}, ignore_result=True,
                            eta="2026-11-22T18:48:52+02:00", expires="2026-11-23T00:00:00Z",
                            replaced_task_nesting=1),
            priority=4, content_type="application/json", body=b"12345", chord_body_id="cb",
            linked_run_id=RUN,
        ),
        withheld="redacted", arguments={"args": b'["a"]'},
    )  # fmt: skip
    assert (span.name, span.kind) == ("send celery", Span.SPAN_KIND_PRODUCER)
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        TRACE,
        SEND,
        PARENT,
    )
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (NOW - 5 * MS, NOW)
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [(TRACE, RUN)]
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert said == {
        "celerytrail.seq": 2,
        "celerytrail.step": "sent",
        "celery.event": "task-sent",
        "messaging.system": "celery",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "celery",
        "messaging.message.id": "t",
        "messaging.message.conversation_id": "r",
        "celery.task": "shop.pay",
        "celery.retries": 0,
        "celery.send.id": SEND,
        "celery.send.time_unix_nano": NOW,
        "celery.group": "g",
        "celery.root_group": "g",
        "celery.chord.body_id": "cb",
        "celery.parent_id": "p",
        "celery.origin": "gen1@box",
        "celery.exchange": "ex",
        "celery.routing_key": "rk",
        "celery.group_index": 3,
        "celery.replaced_nesting": 1,
        "celery.ignore_result": True,
        "celery.priority": 4,
        "celery.eta": "2026-11-22T16:48:52.000000Z",
        "celery.expires": "2026-11-23T00:00:00.000000Z",
        "celery.timelimit": "300, ",
        "celery.stamps": "b,a",
        "celery.content_type": "application/json",
        "celery.body_size": 5,
        "celerytrail.body.withheld": "redacted",
        "celery.args": '["a"]',
    }


def test_what_comes_after_a_group_is_not_in_it() -> None:
    # Celery 5.7 names the group of the headers in a chord's body; the trail does not.
    _, said = build(record("sent", 2, trail=trail(), headers=headers(group="g")))
    assert not {"celery.group", "celery.root_group"} & set(said)
    _, said = build(record("sent", 2, trail=trail(group="outer"), headers=headers(group="inner")))
    assert said["celery.group"] == "outer"
    # Without a trail there is nothing else to go by.
    _, said = build(record("sent", 2, headers=headers(group="g")))
    assert said["celery.group"] == "g"


def test_polls_for_a_chord_are_marked() -> None:
    _, said = build(record("sent", 2, trail=trail(), headers=headers(task="celery.chord_unlock")))
    assert said["celery.internal"] is True


def test_a_publish_that_failed() -> None:
    span, said = build(
        record("send_failed", 2, trail=trail(), headers=headers(), start_unix_nano=NOW - MS,
               exception_class="kombu.exceptions.OperationalError", exception="broker at secret host")
    )  # fmt: skip
    assert (span.name, span.status.code) == ("send celery", Status.STATUS_CODE_ERROR)
    assert said["error.type"] == "kombu.exceptions.OperationalError"
    assert b"secret host" not in span.SerializeToString()


@pytest.mark.parametrize(
    ("sent", "eta", "start", "wait_us", "skew_us"),
    [
        (NOW - 7 * MS, None, NOW - 7 * MS, 7000, None),
        (NOW - 7 * MS, "2026-09-21T14:13:19.998000+00:00", NOW - 2 * MS, 2000, None),
        (NOW - 7 * MS, "2020-01-01T00:00:00", NOW - 7 * MS, 7000, None),
        (NOW - 7 * MS, "no time at all", NOW - 7 * MS, 7000, None),
        (NOW + 3 * MS, None, NOW, 0, 3000),
        (NOW - 7 * MS, "2026-09-21T14:13:20.001000Z", NOW, 0, 1000),
    ],
)
def test_the_wait_is_never_negative(
    sent: int, eta: str | None, start: int, wait_us: int, skew_us: int | None
) -> None:
    span, said = build(
        record("started", 3, trail=trail(sent=sent), request=request(eta=eta), run_id=RUN)
    )
    assert (span.name, span.kind) == ("wait celery", Span.SPAN_KIND_INTERNAL)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (start, NOW)
    assert (span.span_id, span.parent_span_id.hex()) == (point(3), SEND)
    assert said["celery.queue_wait_us"] == wait_us
    assert said.get("celerytrail.clock_skew_us") == skew_us
    assert said["celery.run.id"] == RUN


@pytest.mark.parametrize(
    ("step", "failed"),
    [("succeeded", False), ("failed", True), ("retried", False), ("ignored", False),
     ("rejected", False), ("aborted", False), ("lost", True)],
)  # fmt: skip
def test_the_end_of_a_run(step: str, failed: bool) -> None:
    item = record(
        step, 4, trail=trail(), request=request(redelivered=True), run_id=RUN,
        start_unix_nano=NOW - 9 * MS, runtime_ns=8_500_999, exception_class="ValueError",
        exception="with secret", traceback="secret too", result="secret three",
    )  # fmt: skip
    span, said = build(item)
    assert (span.name, span.kind) == ("run shop.pay", Span.SPAN_KIND_CONSUMER)
    assert (span.span_id.hex(), span.parent_span_id.hex()) == (RUN, SEND)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (NOW - 9 * MS, NOW)
    assert (span.status.code == Status.STATUS_CODE_ERROR) is failed
    assert (said["celery.runtime_us"], said["error.type"]) == (8500, "ValueError")
    assert said["celery.redelivered"] is True
    assert said.get("celerytrail.inferred") == (True if step == "lost" else None)
    assert b"secret" not in span.SerializeToString()


def test_an_end_that_another_process_reports_has_a_span_of_its_own() -> None:
    span, said = build(record("failed", 4, trail=trail(), request=request(), run_id=RUN))
    assert span.span_id == point(4)
    assert said["celery.run.id"] == RUN
    assert span.start_time_unix_nano == span.end_time_unix_nano == NOW


def test_without_a_trail_the_ids_come_from_the_task() -> None:
    span, said = build(
        record("started", 3, request=request("id-1", root_id="root", retries=2), run_id=RUN)
    )
    assert span.trace_id == sha256(b"celerytrail/trace/v1\0root").digest()[:16]
    assert span.parent_span_id == sha256(b"celerytrail/send/v1\0id-1\x002").digest()[:8]
    assert said["celerytrail.derived"] is True
    assert said["celery.send.time_unix_nano"] == 2
    assert "celery.queue_wait_us" not in said
    assert said["messaging.destination.name"] == "celery"


@pytest.mark.parametrize(
    "broken",
    [
        *((), "text", 5, trail().encode(), trail()[1:], "2" + trail()[1:]),
        *(trail().replace(SEND, "0" * 16), trail().replace(TRACE, "0" * 32), trail().replace(TRACE, "1")),
        *(trail(sent=-1), trail(sent=2**63), trail(sent=2**64), trail().rpartition(";")[0]),
    ],
)  # fmt: skip
def test_a_trail_that_somebody_made_up_counts_as_none(broken: Any) -> None:
    _, said = build(record("started", 3, trail=broken, request=request(), run_id=RUN))
    assert said["celerytrail.derived"] is True


def test_a_group() -> None:
    span, said = build(
        record("group", 9, group_id="g", kind="chord", trace_id=TRACE, span_id=SEND, parent_span_id=PARENT,
               root_group_id="outer", chord_body_id="body", size=3)
    )  # fmt: skip
    assert (span.name, span.kind) == ("chord", Span.SPAN_KIND_INTERNAL)
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        TRACE,
        SEND,
        PARENT,
    )
    assert (said["celery.group"], said["celery.root_group"], said["celery.group.size"]) == (
        "g",
        "outer",
        3,
    )


@pytest.mark.parametrize(
    ("step", "fields", "name", "expected"),
    [
        ("received", {"redelivered": True, "headers": headers()}, "received shop.pay", {"celery.redelivered": True}),
        ("revoked", {"terminated": True, "signum": "SIGTERM", "request": request()}, "revoked shop.pay",
         {"celery.terminated": True, "celery.signum": "SIGTERM"}),
        ("expired", {"terminated": False, "request": request()}, "expired shop.pay", {}),
        ("unknown", {"headers": headers()}, "unknown shop.pay", {}),
        ("malformed", {"exception": "secret"}, "malformed", {}),
        ("worker_ready", {"concurrency": 4, "pool": "prefork", "queues": ["a", "b"], "celery_version": "5.7.0"},
         "worker_ready", {"celery.concurrency": 4, "celery.pool": "prefork", "celery.queues": "a,b", "celery.version": "5.7.0"}),
        ("worker_stopping", {"how": "Warm"}, "worker_stopping", {"celery.shutdown_how": "Warm"}),
        ("worker_heartbeat", {"lost": 3}, "worker_heartbeat", {"celerytrail.lost": 3}),
        ("worker_heartbeat", {"lost": 3, "spool_bytes": 70, "spool_segments": 2}, "worker_heartbeat",
         {"celerytrail.lost": 3, "celerytrail.spool.bytes": 70, "celerytrail.spool.segments": 2}),
        ("shipper_heartbeat",
         {"spool_bytes": 70, "spool_segments": 2, "lag_ms": 9, "rejected": 1, "delivery_error": "refused 401"},
         "shipper_heartbeat",
         {"celerytrail.spool.bytes": 70, "celerytrail.spool.segments": 2, "celerytrail.spool.lag_ms": 9,
          "celerytrail.spool.rejected": 1, "celerytrail.delivery.error": "refused 401"}),
        ("child_exited", {"child_pid": 7, "exit_code": -9, "signum": 9, "memory_bytes": 4096}, "child_exited",
         {"celery.child.pid": 7, "celery.child.exit_code": -9, "celery.child.signal": "SIGKILL",
          "celery.child.memory_bytes": 4096}),
        ("child_exited", {"child_pid": 7, "exit_code": -250, "signum": 250}, "child_exited",
         {"celery.child.signal": "250"}),
        ("stream_opened", {}, "stream_opened", {}),
        ("stream_closed", {"lost": 0}, "stream_closed", {"celerytrail.lost": 0}),
        ("stream_abandoned", {"about_stream_id": "ab" * 16, "last_seq": 8, "torn_bytes": 2}, "stream_abandoned",
         {"celerytrail.about_stream.id": "ab" * 16, "celerytrail.about_stream.last_seq": 8,
          "celerytrail.about_stream.torn_bytes": 2}),
    ],
)  # fmt: skip
def test_the_other_steps_are_points(
    step: str, fields: dict[str, Any], name: str, expected: dict[str, Any]
) -> None:
    more: dict[str, Any] = {"trail": trail()} if "trail" in LAYOUTS[step] else {}
    span, said = build(record(step, 5, **fields, **more))
    assert (span.name, span.kind, span.span_id) == (name, Span.SPAN_KIND_INTERNAL, point(5))
    assert span.start_time_unix_nano == span.end_time_unix_nano == NOW
    assert expected.items() <= said.items()
    assert (span.parent_span_id.hex() == SEND) is bool(more)
    assert len(span.trace_id) == 16


def test_a_failure_tells_of_the_child_that_is_gone() -> None:
    fields = {"child_pid": 7, "exit_code": -9, "signum": 9, "memory_bytes": 4096}
    _, said = build(record("failed", 4, trail=trail(), request=request(), **fields))
    assert said["celery.child.pid"] == 7
    assert said["celery.child.signal"] == "SIGKILL"
    _, said = build(record("failed", 4, trail=trail(), request=request(), run_id=RUN))
    assert not [name for name in said if name.startswith("celery.child.")]


def test_every_step_has_a_span_even_of_nothing() -> None:
    for step in STEPS:
        span, said = build(record(step.name, 1))
        assert said["celerytrail.step"] == step.name
        assert len(span.span_id) == 8
        assert len(span.trace_id) == 16


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8)
    | st.sampled_from([TRACE, SEND, "\ud800", "a\0b", NOW]),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=20,
)  # fmt: skip


@given(st.sampled_from(STEPS), st.data())
@settings(max_examples=400, deadline=None)
def test_whatever_a_message_brought_along_makes_a_valid_span(
    step: Any, data: st.DataObject
) -> None:
    fields: dict[str, Any] = {name: data.draw(JUNK) for name in LAYOUTS[step.name]}
    if "runtime_ns" in fields:
        # Not from a message: what says whose end it is, which the reader has put in by now.
        fields["request"] = request(data.draw(st.text()), task=data.draw(JUNK), eta=data.draw(JUNK))
    item = record(step.name, 7, **fields)
    encoded = build_span(item, identify(HEADER, item), {"args": bytes(32)})
    span = Span.FromString(encoded)
    said = attributes(span)
    assert said["celerytrail.seq"] == 7
    assert not any(isinstance(v, str) and "\0" in v for v in said.values())
    assert encoded == build_span(item, identify(HEADER, item), {"args": bytes(32)})
    assert span.start_time_unix_nano <= span.end_time_unix_nano


def test_an_end_whose_start_was_not_read_is_refused() -> None:
    with pytest.raises(ValueError, match="the succeeded of a run whose start was not read"):
        identify(HEADER, record("succeeded", 3, run_id=RUN, start_unix_nano=NOW, runtime_ns=1))


def test_a_derived_span_is_in_the_trace_of_its_traceparent() -> None:
    header = f"00-{TRACE}-{PARENT}-00"
    span, said = build(record("started", 3, trail=header, request=request(), run_id=RUN))
    assert span.trace_id.hex() == TRACE
    assert said["celerytrail.derived"] is True
    assert build(record("started", 3, request=request(), run_id=RUN))[0].trace_id != span.trace_id
