"""The shipper says how it does, in few words, and nothing it says keeps it busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.shipper import heartbeats, shipper
from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.errors import Unreachable
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.shipper import Shipper
from celerytrail.exporter.spool.backlog import read_backlog
from celerytrail.exporter.spool.directory import spool_usage
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.integration.shipper.receiver import OtlpReceiver, attributes
from tests.unit.shipper.segments import HEADER, NOW, STREAM, stream, write_segment, write_stream
from tests.waiting import wait_until

OTHER = "fedcba9876543210fedcba9876543210"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as listening:
        yield listening


def said(receiver: OtlpReceiver) -> list[tuple[str, dict[str, Any]]]:
    """Return (stream id, attributes) of each heartbeat that arrived."""
    return [
        (name, attributes(span))
        for name, span in receiver.spans()
        if span.name == "shipper_heartbeat"
    ]


def run(spool: Path, receiver: OtlpReceiver) -> Shipper:
    """Let a shipper run until it is idle."""
    patience = Patience()
    made = Shipper(
        ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool), patience
    )
    try:
        made.run(exit_when_idle=True)
    finally:
        made.close()
        patience.close()
    return made


def test_it_beats_at_the_start_now_and_then_and_at_the_end_and_still_ends(
    tmp_path: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "IDLE_SECONDS", 1.5)
    monkeypatch.setattr(heartbeats, "HEARTBEAT_SECONDS", 0.5)
    spool = tmp_path / "spool"
    write_stream(spool, stream(3))
    run(spool, receiver)
    beats = said(receiver)
    assert len(beats) >= 3
    (own,) = {name for name, _ in beats}
    assert own != STREAM
    steps = [span.name for name, span in receiver.spans() if name == own]
    assert steps == ["stream_opened", *["shipper_heartbeat"] * len(beats), "stream_closed"]
    assert spool_usage(spool).segments == 0
    for _, known in beats:
        assert known["celerytrail.spool.rejected"] == 0
        assert known["celerytrail.spool.lag_ms"] == 0
        assert known["celery.event"] == "shipper-heartbeat"
        assert "celerytrail.delivery.error" not in known


def test_a_heartbeat_waits_for_the_delivery_of_the_one_before(tmp_path: Path) -> None:
    """The receiver takes no heartbeat: there is one of them, however long that lasts."""
    spool = tmp_path / "spool"
    write_stream(spool, stream(1))
    with OtlpReceiver() as receiver:
        patience = Patience(drain_seconds=0.0)
        made = Shipper(
            ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool), patience
        )
        try:
            made.ship_some()
            before = spool_usage(spool).bytes
            made._heartbeats.beat(0.0)
            one = spool_usage(spool).bytes
            for moment in range(1, 1000):
                made._heartbeats.beat(moment * 60.0)
            assert before < one == spool_usage(spool).bytes
            made.ship_some()
            made._heartbeats.beat(1001 * 60.0)
            assert spool_usage(spool).bytes > one
        finally:
            made.close()
            patience.close()


def test_each_deployment_hears_it(tmp_path: Path, receiver: OtlpReceiver) -> None:
    spool = tmp_path / "spool"
    write_stream(spool, stream(1))
    write_segment(spool, stream(1), replace(HEADER, stream_id=OTHER, service="payments"))
    patience = Patience()
    made = Shipper(
        ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool), patience
    )
    try:
        made.ship_some()
        made.drain(last_heartbeat=True)
    finally:
        made.close()
        patience.close()
    services = {
        attribute.value.string_value
        for message in receiver.taken
        for resource in getattr(message, "resource_spans", ())
        for span in resource.scope_spans[0].spans
        if span.name == "shipper_heartbeat"
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert services == {"orders", "payments"}


@pytest.mark.parametrize(
    ("answer", "words"), [(503, "answered 503"), (401, "refused 401"), (400, "refused 400")]
)
def test_what_was_in_the_way_is_said_in_a_few_words(
    tmp_path: Path,
    receiver: OtlpReceiver,
    answer: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("celerytrail.exporter.shipper.delivery.HOLD_SECONDS", 0.1)
    spool = tmp_path / "spool"
    write_stream(spool, stream(0))  # two spans, so a refusal for good halves once
    receiver.answers.extend([answer] * (3 if answer == 400 else 1))
    patience = Patience()
    made = Shipper(
        ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool), patience
    )
    try:
        made.drain(last_heartbeat=True)
        ((_, first),) = said(receiver)
        assert first["celerytrail.delivery.error"] == words
        assert first["celerytrail.spool.rejected"] == (2 if answer == 400 else 0)
        made._heartbeats.beat(time.monotonic(), last=True)
        made.ship_some()
        assert "celerytrail.delivery.error" not in said(receiver)[-1][1]
    finally:
        made.close()
        patience.close()


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "token=hunter2"), "connection refused"),
        (TimeoutError("hunter2"), "timed out"),
        (ConnectionResetError("hunter2"), "connection broken"),
        (ValueError("hunter2"), "no answer"),
    ],
)
def test_the_words_of_an_error_hold_nothing_of_its_text(cause: Exception, words: str) -> None:
    error = Unreachable("http://user:hunter2@sink")
    error.__cause__ = cause
    assert error.trouble == words


def test_the_lag_is_the_age_of_the_oldest_record_that_waits(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    write_stream(spool, stream(3))
    waiting = read_backlog(spool)
    assert (waiting.segments, waiting.bytes) == (1, spool_usage(spool).bytes)
    assert waiting.oldest_unix_nano == NOW
    assert waiting.lag_ms(NOW + 2_500_000_000) == 2500
    assert waiting.lag_ms(NOW - 1) == 0
    assert read_backlog(spool, besides=frozenset((STREAM,))).oldest_unix_nano is None
    (segment,) = spool.glob("*.seg")
    segment.with_suffix(".ack").write_text(f"{segment.stat().st_size} 5 0 1\n")
    assert read_backlog(spool).oldest_unix_nano is None
    segment.with_suffix(".ack").write_text("7 5 0")  # not whole: taken for none
    assert read_backlog(spool).oldest_unix_nano == NOW


def test_it_beats_while_a_worker_lives_and_is_idle(
    tmp_path: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "HEARTBEAT_SECONDS", 0.3)
    monkeypatch.setattr(shipper, "IDLE_SECONDS", 0.5)
    spool = tmp_path / "spool"
    origin = Origin(**{item.name: getattr(HEADER, item.name) for item in fields(Origin)})
    writer = SpoolWriter(
        spool,
        lambda: origin,
        max_bytes=1 << 30,
        on_trouble=lambda exc: pytest.fail(str(exc)),
    )
    writer.write(41, time.time_ns(), ("Warm",))
    ended = threading.Thread(target=run, args=(spool, receiver))
    ended.start()
    wait_until(lambda: len(said(receiver)) >= 4, "it beats on beside a living writer")
    assert ended.is_alive()
    writer.close()
    ended.join(60)
    assert not ended.is_alive()
