"""What is done with each answer of a receiver."""

from __future__ import annotations

import gzip
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from celerytrail.exporter.shipper.backoff import MAX_SECONDS, Backoff
from celerytrail.exporter.shipper.delivery import HOLD_SECONDS, Delivery
from celerytrail.exporter.shipper.errors import DeliveryError, StoppedWaiting, Unreachable
from celerytrail.exporter.shipper.otlp_settings import LOGS, TRACES, Endpoint
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.rejected import RejectedFolder
from celerytrail.exporter.shipper.requests import Envelope, Outgoing
from celerytrail.exporter.shipper.transport import Answer
from tests.unit.shipper.segments import HEADER

ENVELOPE = Envelope.of(HEADER)
BAD = b"\x2a\x03bad"  # Span.name = "bad"


class Scripted:
    """A transport that answers from a script; what is no answer is raised."""

    def __init__(self, *script: Answer | Exception | int) -> None:
        self.script = list(script)
        self.tokens: list[str | None] = []
        self.requests: list[bytes] = []
        self.answer: Callable[[bytes], Answer] = lambda _: Answer(200, None, b"")

    def post(self, endpoint: Endpoint, body: bytes, token: str | None) -> Answer:
        self.tokens.append(token)
        self.requests.append(body)
        if not self.script:
            return self.answer(body)
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return Answer(step, None, b"") if isinstance(step, int) else step

    def abort(self) -> None: ...

    def close(self) -> None: ...


class Impatience(Patience):
    """Waits for nothing, and writes down how long it should have waited."""

    def __init__(self, *, give_up: bool = False, rounds: int = 1000) -> None:
        super().__init__(give_up=give_up)
        self.waits: list[float] = []
        self.rounds = rounds

    def wait(self, seconds: float, trouble: str = "") -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self.rounds:
            raise StoppedWaiting(trouble)


@contextmanager
def delivering(
    tmp_path: Path,
    transport: Scripted,
    *,
    give_up: bool = False,
    rounds: int = 1000,
    read_token: Callable[[], str] | None = None,
    rejected_bytes: int = 1 << 20,
) -> Iterator[tuple[Delivery, Impatience]]:
    patience = Impatience(give_up=give_up, rounds=rounds)
    endpoint = Endpoint("http://sink/v1/x", {})
    yield (
        Delivery(
            {TRACES: endpoint, LOGS: endpoint},
            transport,
            RejectedFolder(tmp_path, rejected_bytes),
            patience,
            token="old",
            read_token=read_token,
            clean=lambda text: text.replace("hunter2", "[redacted]"),
        ),
        patience,
    )
    patience.close()


def records(count: int, bad: int | None = None) -> list[Outgoing]:
    return [Outgoing(ENVELOPE, BAD if i == bad else b"\x2a\x02ok") for i in range(count)]


@pytest.mark.parametrize(
    "trouble", [429, 408, 500, 502, 503, 504, Unreachable("http://sink: refused")]
)
def test_it_tries_again_for_as_long_as_it_takes(tmp_path: Path, trouble: int | Exception) -> None:
    transport = Scripted(*([trouble] * 40))
    with delivering(tmp_path, transport) as (delivery, patience):
        delivery.send(TRACES, records(3))
        assert delivery.counts.delivered[TRACES] == 3
        assert len(set(transport.requests)) == 1
        assert max(patience.waits) <= MAX_SECONDS
        assert patience.waits[-1] >= MAX_SECONDS / 2 > patience.waits[0]


def test_retry_after_is_honoured_in_both_forms() -> None:
    backoff = Backoff()
    assert 100 <= backoff.next("100") <= 101
    later = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=120), usegmt=True)
    assert 110 <= backoff.next(later) <= 121
    assert backoff.next("9" * 30) <= 300
    for nonsense in ("", "soon", "-5", "\u0663", None):
        assert backoff.next(nonsense) <= MAX_SECONDS


@pytest.mark.parametrize("status", [401, 403, 404, 405, 302, 501])
def test_a_refusal_holds_and_alarms_once_a_minute(
    tmp_path: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Scripted(*([status] * 30))
    with caplog.at_level(logging.INFO), delivering(tmp_path, transport) as (delivery, patience):
        delivery.send(TRACES, records(3))
        assert delivery.counts.delivered[TRACES] == 3
        assert set(patience.waits) == {HOLD_SECONDS}
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert str(status) in warnings[0].getMessage()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_once_fails_at_once_where_only_a_person_can_help(tmp_path: Path, status: int) -> None:
    with (
        delivering(tmp_path, Scripted(status), give_up=True) as (delivery, _),
        pytest.raises(DeliveryError, match=str(status)),
    ):
        delivery.send(TRACES, records(1))


def test_a_token_that_was_renewed_is_used_at_once(tmp_path: Path) -> None:
    transport = Scripted(401)
    with delivering(tmp_path, transport, read_token=lambda: "new") as (delivery, patience):
        delivery.send(TRACES, records(1))
        assert transport.tokens == ["old", "new"]
        assert patience.waits == []


@pytest.mark.parametrize("status", [400, 413])
@pytest.mark.parametrize("bad", [0, 5, 12])
def test_the_one_bad_record_is_found_and_set_aside(tmp_path: Path, status: int, bad: int) -> None:
    transport = Scripted()
    transport.answer = lambda body: Answer(status if b"bad" in body else 200, None, b"")
    with delivering(tmp_path, transport) as (delivery, _):
        delivery.send(TRACES, records(13, bad))
        assert delivery.counts.delivered[TRACES] == 12
        assert delivery.counts.rejected[TRACES] == 1
    (kept,) = (tmp_path / "rejected").iterdir()
    request = ExportTraceServiceRequest.FromString(gzip.decompress(kept.read_bytes()))
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "bad"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_the_folder_of_the_rejected_is_bounded(tmp_path: Path) -> None:
    folder = RejectedFolder(tmp_path, 400)
    for number in range(20):
        folder.keep(TRACES, 400, bytes([number]) * 50)
    kept = sorted((tmp_path / "rejected").iterdir())
    assert 1 <= len(kept) < 20
    assert sum(path.stat().st_size for path in kept) <= 400
    folder.keep(TRACES, 400, os.urandom(2000))
    assert sorted((tmp_path / "rejected").iterdir()) == kept


def test_partial_success_is_counted_said_and_not_sent_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 2
    answer.partial_success.error_message = "too old: hunter2"
    transport = Scripted(Answer(200, None, answer.SerializeToString()))
    with delivering(tmp_path, transport) as (delivery, _):
        delivery.send(TRACES, records(5))
        assert (delivery.counts.delivered[TRACES], delivery.counts.rejected[TRACES]) == (3, 2)
    assert len(transport.requests) == 1
    assert "took 3 of 5" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xff", b"<html>"])
def test_an_answer_without_a_message_is_full_success(tmp_path: Path, body: bytes) -> None:
    with delivering(tmp_path, Scripted(Answer(200, None, body))) as (delivery, _):
        delivery.send(LOGS, records(2))
        assert delivery.counts.delivered[LOGS] == 2


def test_the_end_of_patience_says_what_it_waited_for(tmp_path: Path) -> None:
    transport = Scripted(*([Unreachable("http://sink: connection refused")] * 50))
    with (
        delivering(tmp_path, transport, rounds=3) as (delivery, _),
        pytest.raises(StoppedWaiting, match="connection refused"),
    ):
        delivery.send(TRACES, records(1))
