"""Payload items fit their commitments, hold no secret, and come out the same every time."""

from __future__ import annotations

import hmac
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.attributes import LOG_ATTRIBUTES, PAYLOAD_EVENT_NAME, PAYLOAD_KINDS
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.sealed import Binding, key_id_of, open_container
from celerytrail.exporter.shipper.assembly import Assembly
from celerytrail.exporter.shipper.data_keys import SealingKeys, segment_data_key
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.spool.record import Record
from tests.integration.shipper.receiver import attributes
from tests.unit.shipper.segments import (
    HEADER,
    NOW,
    RUN,
    STREAM,
    body,
    chunk,
    headers,
    record,
    request,
    sent,
    trail,
    write_segment,
)

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = SealingKeys(PRIVATE.public_key().public_bytes_raw(), b"p" * 32, "ledger-1")
LABEL = "shop/orders/test"


def ship(
    path: Path, item: Record, keys: SealingKeys | None = None, **more: Any
) -> tuple[dict[str, LogRecord], dict[str, Any]]:
    """Return the log records by kind and the span's attributes, checked against each other."""
    assembly = Assembly(PayloadBuilder(Redactor()), keys, **more)
    batch = assembly.batch([chunk(path, item)])
    assert assembly.failed == 0
    (span,) = batch.spans
    said = attributes(Span.FromString(span.data))
    logs: dict[str, LogRecord] = {}
    for outgoing in batch.logs:
        log = LogRecord.FromString(outgoing.data)
        about = attributes(log)
        kind = about["celerytrail.payload.kind"]
        content = log.body.bytes_value or log.body.string_value.encode()
        salt = bytes.fromhex(about["celerytrail.payload.salt"])
        assert about["celerytrail.payload.commitment"] == commit(kind, salt, content).hex()
        assert said[f"celerytrail.commitment.{kind}"] == about["celerytrail.payload.commitment"]
        assert set(about) <= {attribute.name for attribute in LOG_ATTRIBUTES}
        assert (about["messaging.message.id"], about["celerytrail.seq"]) == ("t", item.seq)
        assert log.event_name == PAYLOAD_EVENT_NAME
        assert log.trace_id
        logs[kind] = log
    assert set(logs) == {
        name.rpartition(".")[2] for name in said if name.startswith("celerytrail.commitment.")
    }
    return logs, said


def shown(logs: dict[str, LogRecord]) -> dict[str, Any]:
    return {kind: json.loads(log.body.string_value) for kind, log in logs.items() if kind != "body"}


def container(logs: dict[str, LogRecord]) -> bytes:
    return logs["body"].body.bytes_value


def sent_record(data: bytes | None = None, **more: Any) -> Record:
    return Record.from_tuple(sent(2, "t", data, **more))


def binding(ledger_id: str = "ledger-1") -> Binding:
    return Binding(ledger_id, LABEL, "t", 0, STREAM, 2)


def test_a_clean_body_is_kept_plain_without_keys(tmp_path: Path) -> None:
    data = body((1, "a"), {"b": 2})
    logs, said = ship(tmp_path / "s.seg", sent_record(data))
    assert shown(logs) == {"args": [1, "a"], "kwargs": {"b": 2}}
    assert logs["args"].time_unix_nano == NOW - 1000
    message = open_container(container(logs), binding(), allow_plain=True)
    assert (message.body, message.routing_key, message.headers["id"]) == (data, "celery", "t")
    assert "celerytrail.body.withheld" not in said


@pytest.mark.parametrize(
    ("data", "more", "why"),
    [
        (body(kwargs={"password": "hunter2"}), {}, "redacted"),
        (body(embed={"chain": [{"kwargs": {"token": "hunter2"}}]}), {}, "redacted"),
        (body(), {"headers": headers(argsrepr="password='hunter2'")}, "redacted"),
        (b"\x80\x04hunter2", {"content_type": "application/x-python-serialize"}, "unexamined"),
        (b"{broken hunter2", {}, "unexamined"),
        (None, {"body": None, "body_size": 10**7}, "too_large"),
        (None, {"body": None, "body_size": None}, "missing"),
        (body(("x" * 300_000,)), {}, "too_large"),
    ],
)
def test_what_may_hold_a_secret_is_not_kept_without_keys(
    tmp_path: Path, data: bytes | None, more: dict[str, Any], why: str
) -> None:
    logs, said = ship(tmp_path / "s.seg", sent_record(data, **more))
    assert "body" not in logs
    assert said["celerytrail.body.withheld"] == why
    assert b"hunter2" not in b"".join(log.SerializeToString() for log in logs.values())


def test_with_keys_every_body_is_sealed_and_opens_for_its_task(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    for data, content_type in (
        (body(kwargs={"password": "hunter2"}), "application/json"),
        (b"\x80\x04 pickle, never loaded: hunter2", "application/x-python-serialize"),
    ):
        logs, said = ship(path, sent_record(data, content_type=content_type, priority=5), KEYS)
        assert "celerytrail.body.withheld" not in said
        assert b"hunter2" not in container(logs)
        message = open_container(container(logs), binding(), [PRIVATE], KEYS.psk)
        assert (message.body, message.content_type, message.priority) == (data, content_type, 5)
        assert message.headers["task"] == "shop.pay"


def test_another_process_makes_the_same_bytes_again(tmp_path: Path) -> None:
    path = write_segment(tmp_path, [])
    item = sent_record(body(kwargs={"password": "hunter2"}))
    first = Assembly(PayloadBuilder(Redactor()), KEYS).batch([chunk(path, item)])
    second = Assembly(PayloadBuilder(Redactor()), KEYS).batch([chunk(path, item)])
    assert [o.data for o in first.logs] == [o.data for o in second.logs]
    assert [o.data for o in first.spans] == [o.data for o in second.spans]
    wrap = path.with_suffix(".wrap")
    assert wrap.stat().st_mode & 0o777 == 0o600


def test_a_new_public_key_is_for_new_segments_only(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    before = segment_data_key(path, HEADER, LABEL, KEYS)
    newer = replace(KEYS, public_key=X25519PrivateKey.generate().public_key().public_bytes_raw())
    assert segment_data_key(path, HEADER, LABEL, newer) == before
    other = segment_data_key(tmp_path / "t.seg", replace(HEADER, segment=2), LABEL, newer)
    assert other.kid != before.kid
    assert other.key != before.key


@pytest.mark.parametrize("change", [{"psk": b"q" * 32}, {"ledger_id": "ledger-2"}])
def test_a_wrap_for_other_keys_is_made_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "s.seg"
    before = segment_data_key(path, HEADER, LABEL, KEYS)
    assert segment_data_key(path, HEADER, LABEL, replace(KEYS, **change)).wrap != before.wrap


@pytest.mark.parametrize("content", [b"", b"x" * 112, b"CTWRAP\0\x01short"])
def test_a_broken_wrap_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.seg"
    path.with_suffix(".wrap").write_bytes(content)
    logs, _ = ship(path, sent_record(), KEYS)
    assert open_container(container(logs), binding(), [PRIVATE], KEYS.psk).body == body()


def test_a_wrap_that_cannot_be_written_does_not_stop_delivery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.seg"
    path.with_suffix(".wrap").mkdir()
    logs, _ = ship(path, sent_record(), KEYS)
    assert key_id_of(container(logs)) is not None
    assert "cannot be written" in caplog.text


def test_salts_follow_the_written_down_form(tmp_path: Path) -> None:
    logs, _ = ship(tmp_path / "s.seg", sent_record())
    expected = hmac.digest(
        HEADER.secret,
        b"celerytrail/salt/v1\0" + bytes.fromhex(STREAM) + (2).to_bytes(8, "big") + b"args",
        "sha256",
    )
    assert attributes(logs["args"])["celerytrail.payload.salt"] == expected.hex()


def test_the_end_of_a_run_shows_exception_traceback_and_result(tmp_path: Path) -> None:
    item = record(
        "failed", 2, trail=trail(), request=request(), run_id=RUN, start_unix_nano=NOW - 5,
        exception_class="ValueError", exception="no such user: password=hunter2",
        traceback="Traceback\n  File x\n  token = 'hunter2'\nValueError: y",
        result={"n": (1, {"api_key": "hunter2"}), "text": "12"},
    )  # fmt: skip
    logs, said = ship(tmp_path / "s.seg", item)
    assert shown(logs) == {
        "exception": "no such user: password=[redacted]",
        "traceback": "Traceback\n  File x\n  token = '[redacted]'\nValueError: y",
        "result": {"n": [1, {"api_key": "[redacted]"}], "text": "12"},
    }
    assert logs["exception"].time_unix_nano == NOW
    assert "celerytrail.body.withheld" not in said


def test_a_text_result_stays_a_text(tmp_path: Path) -> None:
    for result, expected in (("12", "12"), (b"\xffab", "\ufffdab"), (12, 12), ({3}, "{3}")):
        item = record("succeeded", 2, trail=trail(), request=request(), run_id=RUN, result=result)
        logs, _ = ship(tmp_path / "s.seg", item)
        assert shown(logs) == {"result": expected}


def test_a_body_of_another_kind_is_shown_by_celerys_repr(tmp_path: Path) -> None:
    item = sent_record(
        b"\x80pickle",
        content_type="application/x-python-serialize",
        headers=headers(argsrepr="(1, <User token='hunter2'>)", kwargsrepr="{'a': 1}", stamps={"s": {"secret": "hunter2"}}),
    )  # fmt: skip
    logs, _ = ship(tmp_path / "s.seg", item)
    assert shown(logs) == {
        "args": "(1, <User token='[redacted]'>)",
        "kwargs": "{'a': 1}",
        "stamps": {"s": {"secret": "[redacted]"}},
    }


def test_a_reception_shows_the_message_only_when_its_send_was_not_seen(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "headers": headers(),
        "content_type": "application/json",
        "routing_key": "q",
    }
    logs, said = ship(tmp_path / "s.seg", record("received", 2, trail=trail(), **fields))
    assert logs == {}
    assert "celerytrail.body.withheld" not in said
    logs, _ = ship(tmp_path / "s.seg", record("received", 2, body=body((7,)), **fields))
    assert set(logs) == {"args", "kwargs", "body"}
    assert open_container(container(logs), binding(), allow_plain=True).routing_key == "q"


def test_long_items_are_cut_and_say_so(tmp_path: Path) -> None:
    logs, _ = ship(tmp_path / "s.seg", sent_record(body(("x" * 100_000,))))
    assert attributes(logs["args"])["celerytrail.payload.truncated"] is True
    assert "celerytrail.payload.truncated" not in attributes(logs["kwargs"])
    assert shown(logs)["args"][0].endswith("[cut]")


def test_arguments_are_on_spans_only_where_asked_for(tmp_path: Path) -> None:
    item = sent_record(body((1,), {"password": "hunter2"}))
    _, said = ship(tmp_path / "s.seg", item)
    assert "celery.args" not in said
    _, said = ship(tmp_path / "s.seg", item, arguments_on_spans=True)
    assert (said["celery.args"], said["celery.kwargs"]) == ("[1]", '{"password":"[redacted]"}')


def test_one_strange_record_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Strange(Redactor):
        def body(self, body: bytes, task: str | None) -> Any:
            if b"strange" in body:
                raise ZeroDivisionError("with hunter2 in it")
            return super().body(body, task)

    assembly = Assembly(PayloadBuilder(Strange()))
    strange = Record.from_tuple(sent(3, "t", body(("strange",))))
    batch = assembly.batch([chunk(tmp_path / "s.seg", sent_record(), strange, sent_record())])
    assert len(batch.spans) == 3
    assert (assembly.failed, assembly.without_payload) == (0, 1)
    said = attributes(Span.FromString(batch.spans[1].data))
    assert said["celerytrail.body.withheld"] == "unexamined"
    assert not [name for name in said if name.startswith("celerytrail.commitment")]
    assert "ZeroDivisionError" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_body_that_cannot_be_sealed_does_not_cost_the_span(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hpke", None)
    assembly = Assembly(PayloadBuilder(Redactor()), KEYS)
    batch = assembly.batch([chunk(tmp_path / "s.seg", *[sent_record()] * 5)])
    assert (len(batch.spans), len(batch.logs)) == (5, 0)
    assert (assembly.failed, assembly.without_payload) == (0, 5)
    said = attributes(Span.FromString(batch.spans[0].data))
    assert said["celerytrail.body.withheld"] == "unexamined"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("keys", [None, KEYS])
def test_keys_that_are_no_text_become_text(tmp_path: Path, keys: SealingKeys | None) -> None:
    stamps = {("a", 1): ["x"], b"b": {2: {None: 1}}}
    item = sent_record(headers=headers(stamps=stamps))
    logs, said = ship(tmp_path / "s.seg", item, keys)
    assert "celerytrail.body.withheld" not in said
    shown = json.loads(logs["stamps"].body.string_value)
    assert list(shown.values()) == [["x"], {"2": {"null": 1}}]
    failed = record("succeeded", 2, request=request(), result={("a", 1): 1})
    logs, _ = ship(tmp_path / "s.seg", failed)
    assert logs["result"].body.string_value


def test_every_kind_is_one_of_the_table(tmp_path: Path) -> None:
    kinds = {kind.name for kind in PAYLOAD_KINDS}
    for step in ("sent", "failed", "unknown"):
        fields: dict[str, Any] = {"exception": "x"} if step != "sent" else {}
        if step == "sent":
            item = sent_record(headers=headers(stamps={"a": 1}))
        else:
            about: dict[str, Any] = (
                {"headers": headers()} if step == "unknown" else {"request": request()}
            )
            item = record(step, 2, **fields, **about)
        logs, _ = ship(tmp_path / "s.seg", item)
        assert set(logs) <= kinds
        assert logs
