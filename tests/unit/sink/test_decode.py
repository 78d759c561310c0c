"""Spans become rows as the contract says; what cannot be stored costs only itself."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from celerytrail.exporter.attributes import ATTRIBUTES, SPAN_COLUMNS, On
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.chunks import CHUNK_ROWS, Decoded
from celerytrail.exporter.sink.decode import USER_DATA, decode_spans
from celerytrail.exporter.sink.wire import groups
from tests.otlp_requests import SHOP, Value, key_values, resource_attributes, span, traces

STREAM = uuid.UUID("0123456789abcdef0123456789abcdef")
NAMES = [column.name for column in SPAN_COLUMNS]


def decoded(*spans: Span, **options: Any) -> Decoded:
    body = traces(spans, STREAM, **options).SerializeToString()
    return everything(body)


def everything(body: bytes) -> Decoded:
    total = Decoded()
    for chunk in decode_spans(body, groups(body), SHOP, time.time_ns()):
        total.rows += chunk.rows
        total.rejected += chunk.rejected
        total.received += chunk.received
        total.ignored += chunk.ignored
    return total


def row_of(*args: Any, **options: Any) -> dict[str, Any]:
    result = decoded(span(*args, **options))
    assert result.rejected == []
    assert len(result.rows) == 1
    return dict(zip(NAMES, result.rows[0], strict=True))


def reason(one: Span) -> str:
    good = span(7)
    result = decoded(good, one, span(8))
    assert [row[NAMES.index("seq")] for row in result.rows] == [7, 8]
    assert len(result.rejected) == 1
    return result.rejected[0].reason


def test_row_holds_what_the_span_says() -> None:
    one = span(
        3,
        "failed",
        task_id="t",
        start=1_700_000_000_000_000_001,
        end=1_700_000_000_123_456_789,
        extra={
            "celery.eta": "2024-02-29T12:00:00.5+02:00",
            "celery.priority": -3,
            "error.type": "ValueError",
            "celerytrail.commitment.args": "AB" * 32,
            "celerytrail.inferred": True,
            "celery.exchange": "x",
            "celery.group_index": 4,
        },
    )
    link = one.links.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    link.attributes.add(key="celery.link").value.string_value = "chord header"
    row = dict(zip(NAMES, decoded(one).rows[0], strict=True))
    assert row["event_time"] == datetime(2023, 11, 14, 22, 13, 20, 123456, timezone.utc)
    assert row["day"] == "-infinity"
    assert row["marks"] == "clock"
    assert (row["namespace"], row["service"], row["environment"]) == ("shop", "orders", "test")
    assert (row["stream_id"], row["seq"], row["step"]) == (STREAM, 3, "failed")
    assert row["inferred"] is True
    assert row["trace_id"] == one.trace_id
    assert row["span_kind"] == 5
    assert (row["worker"], row["host"], row["pid"]) == ("celery@host-1", "host-1", 4242)
    assert (row["task_id"], row["task_name"], row["retries"]) == ("t", "shop.pay", 0)
    assert row["eta"] == datetime(2024, 2, 29, 10, 0, 0, 500000, timezone.utc)
    assert (row["priority"], row["exception_class"]) == (-3, "ValueError")
    assert row["send_id"].hex() == one.attributes[7].value.string_value
    assert json.loads(row["commitments"]) == {"args": "ab" * 32}
    assert json.loads(row["links"]) == [
        {
            "trace_id": "74" * 16,
            "span_id": "73" * 8,
            "attributes": {"celery.link": "chord header"},
        }
    ]
    assert json.loads(row["attributes"]) == {
        "celerytrail.version": "0.1.0",
        "celery.event": "task-failed",
        "messaging.system": "celery",
        "celery.exchange": "x",
        "celery.group_index": 4,
    }


def test_event_id_follows_the_design() -> None:
    row = row_of(9, "sent", start=1_700_000_000_123_456_789, end=1_700_000_001_000_000_000)
    digest = hashlib.sha256(
        b"celerytrail/event/v1\0" + b"shop/orders/test" + b"\0" + STREAM.bytes + bytes(7) + b"\x09"
    ).digest()
    assert row["event_id"].bytes == (1_700_000_000_123).to_bytes(6, "big") + digest[:10]


@pytest.mark.parametrize(
    ("step", "at_start"),
    [("sent", True), ("send_failed", True), ("group", True), ("started", False), ("lost", False)],
)
def test_event_time_is_start_or_end_by_step(step: str, at_start: bool) -> None:
    now = time.time_ns() // 1000 * 1000
    row = row_of(1, step, start=now - 5_000_000, end=now)
    expected = now - 5_000_000 if at_start else now
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert row["event_time"] == epoch + timedelta(microseconds=expected // 1000)


@pytest.mark.parametrize(
    ("days", "day", "marks"),
    [
        (-40, "-infinity", "clock"),
        (-31, None, None),
        (0, None, None),
        (1, None, "clock"),
        (4, "infinity", "clock"),
    ],
)
def test_clock_outside_the_window_is_marked(days: int, day: str | None, marks: str | None) -> None:
    at = time.time_ns() + days * 86_400 * 10**9
    row = row_of(1, start=at - 1000, end=at)
    assert row["day"] == (row["event_time"].date() if day is None else day)
    assert row["marks"] == marks


def test_every_attribute_with_a_column_reaches_it() -> None:
    values: dict[str, Value] = {
        "text": "text",
        "int4": 41,
        "int8": 42,
        "bool": True,
        "uuid": uuid.uuid4().hex,
        "bytea": "0123456789abcdef",
        "timestamptz": "2026-01-01T00:00:00Z",
    }
    special: dict[str, Value] = {"celerytrail.step": "started"}
    for attribute in ATTRIBUTES:
        if attribute.on is not On.SPAN or attribute.name in USER_DATA:
            continue
        value = special.get(attribute.name, values[attribute.type])
        row = row_of(extra={attribute.name: value})
        if attribute.column is None:
            assert json.loads(row["attributes"])[attribute.name] == value
        else:
            assert row[attribute.column] is not None, attribute.name
            assert attribute.name not in json.loads(row["attributes"])


def test_spans_of_others_are_ignored() -> None:
    assert decoded(span(), scope="opentelemetry.instrumentation.celery").ignored == 1
    assert decoded(span(seq=None), span(step=None)).ignored == 2
    nobody = resource_attributes(STREAM)
    del nobody["celerytrail.stream.id"]
    assert decoded(span(), resource=nobody).ignored == 1


def test_another_deployment_is_rejected_and_not_kept() -> None:
    result = decoded(span(), deployment=Deployment("shop", "orders", "other"))
    assert result.rows == []
    assert result.rejected[0].reason == "the resource names another deployment than the token's"
    assert result.rejected[0].raw is None


@pytest.mark.parametrize("broken", [b"", b"\x1a\x01\xff"], ids=["parsed", "not UTF-8"])
def test_rejected_spans_leave_user_data_behind(broken: bytes) -> None:
    one = span(0, extra=dict.fromkeys(USER_DATA, "secret") | {"celery.exchange": "kept"})
    one.events.add(name="secret").attributes.extend(key_values({"exception.message": "secret"}))
    one.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR, message="secret"))
    rejected = everything(wrapped(field(2, one.SerializeToString() + broken))).rejected[0]
    assert rejected.raw is not None
    assert b"secret" not in rejected.raw
    assert b"kept" in rejected.raw
    assert rejected.raw.endswith(broken)


def test_rejected_spans_are_kept_up_to_a_bound() -> None:
    large = span(0, extra={"other": "x" * 200_000})
    kept = [rejected.raw for rejected in decoded(*[large] * 6, span(0)).rejected]
    assert [raw is None for raw in kept] == [False] * 5 + [True, False]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"celerytrail.seq": 0}, "celerytrail.seq is less than 1"),
        ({"celerytrail.seq": -1}, "celerytrail.seq is outside"),
        ({"celerytrail.seq": 2**53 + 1}, "celerytrail.seq is outside"),
        ({"celerytrail.seq": "1"}, "celerytrail.seq is not an integer"),
        ({"celerytrail.step": "exploded"}, "not a step this version knows"),
        ({"celery.retries": -1}, "celery.retries is outside"),
        ({"celery.retries": 2**31}, "celery.retries is outside"),
        ({"celery.priority": 2**31}, "celery.priority is outside"),
        ({"messaging.message.id": "a\0b"}, "NUL"),
        ({"messaging.message.id": "x" * 513}, "longer than 512 bytes"),
        ({"messaging.message.id": 7}, "is not a string"),
        ({"celery.send.id": "0123"}, "celery.send.id is not 16 hex digits"),
        ({"celery.send.id": "zz" * 8}, "celery.send.id is not 16 hex digits"),
        ({"celery.send.id": " 0 0 0 0 0 0 0 0"}, "celery.send.id is not 16 hex digits"),
        ({"celerytrail.about_stream.id": "1"}, "is not a UUID"),
        ({"celerytrail.about_stream.last_seq": "9"}, "is not an integer"),
        ({"celerytrail.commitment.args": "ab"}, "is not 64 hex digits"),
        ({'celerytrail.commitment.a"b': "ab" * 32}, "names no kind"),
        ({"celerytrail.inferred": "yes"}, "is not a boolean"),
        ({"some.thing": "a\0b"}, "NUL"),
        ({"some\0thing": "a"}, "NUL"),
    ],
)
def test_bad_span_costs_only_itself(extra: dict[str, Value], said: str) -> None:
    assert said in reason(span(2, extra=extra))


def test_bad_ids_and_times_cost_only_the_span() -> None:
    for field, value, said in (
        ("trace_id", b"short", "trace_id"),
        ("trace_id", bytes(16), "trace_id"),
        ("span_id", b"", "span_id"),
        ("parent_span_id", b"123", "parent_span_id"),
        ("start_time_unix_nano", 2**63, "2262"),
        ("end_time_unix_nano", 2**64 - 1, "2262"),
        ("kind", 77, "kind"),
        ("name", "a\0b", "NUL"),
    ):
        one = span(2)
        setattr(one, field, value)
        assert said in reason(one)


def test_text_that_is_not_utf8_costs_only_the_span() -> None:
    body = traces([span(1), span(2), span(3)], STREAM).SerializeToString()
    broken = body.replace(b"run shop.pay", b"run \xed\xa0\x80op.pa", 1)  # a lone surrogate
    assert broken != body
    result = everything(broken)
    assert [row[NAMES.index("seq")] for row in result.rows] == [2, 3]
    assert "UTF-8" in result.rejected[0].reason


def test_names_for_people_are_cut_and_marked() -> None:
    row = row_of(extra={"celery.task": "ä" * 2000})
    assert row["task_name"] == "ä" * 512
    assert row["marks"] == "text_cut"


def test_unreadable_eta_is_kept_as_it_came() -> None:
    row = row_of(extra={"celery.eta": "tomorrow"})
    assert row["eta"] is None
    assert row["marks"] == "eta_unreadable"
    assert json.loads(row["attributes"])["celery.eta"] == "tomorrow"


def test_too_many_attributes_are_cut_but_ours_are_kept() -> None:
    one = span(5)
    ours = list(one.attributes)
    del one.attributes[:]
    one.attributes.extend(key_values({f"noise.{n}": "x" for n in range(100_000)}))
    one.attributes.extend(ours)
    row = dict(zip(NAMES, decoded(one).rows[0], strict=True))
    assert (row["seq"], row["step"], row["task_id"]) == (5, "succeeded", "task-1")
    assert row["marks"] == "attributes_cut"
    kept = json.loads(row["attributes"])
    assert 100 < len(kept) < 200


def test_a_huge_attribute_is_cut() -> None:
    row = row_of(extra={"huge": "x" * 300_000, "small": "y"})
    assert "huge" not in json.loads(row["attributes"])
    assert json.loads(row["attributes"])["small"] == "y"
    assert row["marks"] == "attributes_cut"
    assert len(row_of(extra={"escaped": "\x01" * 200_000})["attributes"]) <= 256 * 1024


def field(number: int, payload: bytes) -> bytes:
    length = len(payload)
    prefix = bytearray([number << 3 | 2])
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + payload


def wrapped(raw_spans: bytes) -> bytes:
    group = traces([], STREAM).resource_spans[0]
    resource = field(1, group.resource.SerializeToString())
    scope = field(1, group.scope_spans[0].scope.SerializeToString())
    return field(1, resource + field(2, scope + raw_spans))


@pytest.mark.parametrize("depth", [17, 40, 300])
def test_deep_values_are_cut(depth: int) -> None:
    value = field(1, b"bottom")
    for level in range(depth):
        value = (
            field(6, field(1, field(1, b"k") + field(2, value)))
            if level % 2
            else field(5, field(1, value))
        )
    deep = field(9, field(1, b"deep") + field(2, value))
    result = everything(wrapped(field(2, deep + span(1).SerializeToString())))
    assert result.rejected == []
    row = dict(zip(NAMES, result.rows[0], strict=True))
    assert row["marks"] == "attributes_cut"
    assert "bottom" not in row["attributes"]
    assert row["seq"] == 1


def test_a_span_broken_inside_costs_only_itself() -> None:
    spans = b"".join(
        (field(2, span(1).SerializeToString()), field(2, b"\x0f\xff"), field(2, b"\x0a\x7f"))
    )
    result = everything(wrapped(spans + field(2, span(2).SerializeToString())))
    assert len(result.rows) == 2
    assert len(result.rejected) == 2


def test_values_of_every_type_become_json() -> None:
    row = row_of(
        extra={
            "d": 1.5,
            "nan": float("nan"),
            "inf": float("inf"),
            "bytes": b"\x00\xff",
            "empty": AnyValue(),
            "list": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=-(2**63))])),
            "text": 'quote " \\u0000 ünï',
        }
    )
    assert json.loads(row["attributes"])["text"] == 'quote " \\u0000 ünï'
    assert json.loads(row["attributes"], parse_constant=pytest.fail)["nan"] == "nan"
    assert json.loads(row["attributes"])["bytes"] == "AP8="
    assert json.loads(row["attributes"])["list"] == [-(2**63)]
    assert json.loads(row["attributes"])["empty"] is None


def test_user_data_never_becomes_a_row() -> None:
    one = span(extra={"celery.args": "secret", "exception.message": "secret"})
    one.status.message = "secret"
    one.status.code = Status.STATUS_CODE_ERROR
    one.events.add(name="exception").attributes.extend(key_values({"exception.message": "secret"}))
    row = dict(zip(NAMES, decoded(one).rows[0], strict=True))
    assert "secret" not in repr(row)
    assert row["status_code"] == 2


def test_large_requests_are_chunked() -> None:
    body = traces([span(n) for n in range(1, 5002)], STREAM).SerializeToString()
    chunks = list(decode_spans(body, groups(body), SHOP, time.time_ns()))
    assert sum(len(chunk.rows) for chunk in chunks) == 5001
    assert max(len(chunk.rows) for chunk in chunks) <= CHUNK_ROWS


def test_resource_may_come_after_its_spans_and_in_pieces() -> None:
    first = resource_attributes(STREAM)
    second = {name: first.pop(name) for name in list(first)[3:]}
    spans = traces([span(1)], STREAM, resource={}).resource_spans[0]
    spans.ClearField("resource")
    front = traces([], STREAM, resource=first).resource_spans[0]
    front.ClearField("scope_spans")
    back = traces([], STREAM, resource=second).resource_spans[0]
    back.ClearField("scope_spans")
    inner = b"".join(part.SerializeToString() for part in (front, spans, back))
    length = bytes([len(inner) & 0x7F | 0x80, len(inner) >> 7])
    assert len(inner) < 2**14
    assert len(everything(b"\x0a" + length + inner).rows) == 1


def test_payload_kinds_are_user_data() -> None:
    assert {name for name in USER_DATA if name.startswith("celery.")} == {
        "celery.args",
        "celery.kwargs",
        "celery.result",
        "celery.exception",
        "celery.traceback",
        "celery.body",
    }
