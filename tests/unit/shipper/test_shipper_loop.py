"""A round of the shipper: what is delivered goes away, also where the spool is full or sticks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.requests import MAX_RECORDS
from celerytrail.exporter.shipper.shipper import Shipper
from celerytrail.exporter.spool.directory import spool_usage
from tests.integration.shipper.receiver import OtlpReceiver, attributes
from tests.unit.shipper.segments import (
    HEADER,
    NOW,
    STREAM,
    request,
    stream,
    trail,
    values,
    write_stream,
)

BOUND = 64 * 1024


@contextmanager
def shipper_of(spool: Path, receiver: OtlpReceiver) -> Iterator[Shipper]:
    config = ShipperConfig.from_env(
        {"CELERYTRAIL_ENDPOINT": receiver.url, "CELERYTRAIL_SPOOL_MAX_BYTES": str(BOUND)},
        spool=spool,
    )
    patience = Patience()
    shipper = Shipper(config, patience)
    try:
        yield shipper
    finally:
        shipper.close()
        patience.close()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as listening:
        yield listening


def abandoned(receiver: OtlpReceiver) -> list[str]:
    return [
        attributes(span)["celerytrail.about_stream.id"].replace("-", "")
        for _, span in receiver.spans()
        if span.name == "stream_abandoned"
    ]


def test_a_spool_full_of_abandoned_streams_is_emptied(
    tmp_path: Path, receiver: OtlpReceiver
) -> None:
    spool = tmp_path / "spool"
    streams = [f"{number:032x}" for number in range(1, 17)]
    for name in streams:
        write_stream(spool, stream(3, closed=False, padding=2000), stream_id=name)
    assert spool_usage(spool).bytes > BOUND
    with shipper_of(spool, receiver) as shipper:
        shipper.drain()
    assert spool_usage(spool).segments == 0
    assert sorted(abandoned(receiver)) == streams


@pytest.mark.parametrize("closed", [True, False])
def test_a_segment_that_cannot_be_deleted_is_shipped_and_told_once(
    tmp_path: Path,
    receiver: OtlpReceiver,
    closed: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (path,) = write_stream(tmp_path / "spool", stream(3, closed=closed))
    unlink = Path.unlink

    def sticks(self: Path, missing_ok: bool = False) -> None:
        if self == path:
            raise PermissionError(1, "Operation not permitted")
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", sticks)
    with caplog.at_level(logging.WARNING), shipper_of(path.parent, receiver) as shipper:
        shipper.drain()  # ends, though there is a segment that was dealt with
        assert not any(shipper.ship_some() for _ in range(5))
        assert [s for s, span in receiver.spans() if span.name.startswith("send")] == [STREAM] * 3
        assert abandoned(receiver) == ([] if closed else [STREAM])
        said = [r for r in caplog.records if "cannot be deleted" in r.getMessage()]
        assert len(said) == 1
        assert path.exists()
        assert path.with_suffix(".ack").exists(), "without it all would be sent again"
        monkeypatch.undo()
        shipper.ship_some()
        assert not path.exists()


def test_what_is_left_of_deleted_segments_is_swept_at_the_start(
    tmp_path: Path, receiver: OtlpReceiver
) -> None:
    (tmp_path / f"{STREAM}-000001.wrap").write_bytes(b"x")
    (tmp_path / f"{STREAM}-000001.ack.tmp").write_bytes(b"x")
    (tmp_path / f"{STREAM}-000002.ack").symlink_to("9 1 0 0")  # a cursor of a full disk
    refused = tmp_path / "rejected"
    refused.mkdir()
    (refused / "1-traces-400-00000000.otlp.gz.tmp").write_bytes(b"x")
    (refused / "1-traces-400-00000000.otlp.gz").write_bytes(b"x")
    with shipper_of(tmp_path, receiver):
        assert list(tmp_path.iterdir()) == [refused]
        assert [path.name for path in refused.iterdir()] == ["1-traces-400-00000000.otlp.gz"]


def with_a_run_left_open(*, closed: bool) -> list[tuple[Any, ...]]:
    records = [
        values("stream_opened", 1),
        values("started", 2, trail=trail("lost"), request=request("lost"), run_id="a" * 16),
        values("started", 3, trail=trail("done"), request=request("done"), run_id="b" * 16),
        values("succeeded", 4, NOW + 9, run_id="b" * 16, start_unix_nano=NOW, runtime_ns=9),
    ]
    return [*records, *([values("stream_closed", 5, lost=0)] if closed else [])]


def lost(receiver: OtlpReceiver) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        (attributes(resource.resource), attributes(span))
        for message in receiver.taken
        if isinstance(message, ExportTraceServiceRequest)
        for resource in message.resource_spans
        for span in resource.scope_spans[0].spans
        if attributes(span)["celerytrail.step"] == "lost"
    ]


@pytest.mark.parametrize("closed", [False, True])
def test_a_run_that_nobody_ends_any_more_is_lost(
    tmp_path: Path, receiver: OtlpReceiver, closed: bool
) -> None:
    write_stream(tmp_path / "spool", with_a_run_left_open(closed=closed), per_segment=2)
    with shipper_of(tmp_path / "spool", receiver) as shipper:
        shipper.drain()
    ((resource, said),) = lost(receiver)
    assert said["celery.run.id"] == "a" * 16
    assert said["messaging.message.id"] == "lost"
    assert said["celerytrail.inferred"] is True
    assert resource["service.instance.id"] == HEADER.worker
    assert resource["process.pid"] == HEADER.pid
    assert resource["celerytrail.process.kind"] == "shipper"
    assert abandoned(receiver) == ([] if closed else [STREAM])
    assert not list((tmp_path / "spool").glob("*.seg"))
    done = [
        attributes(span)["messaging.message.id"]
        for _, span in receiver.spans()
        if attributes(span)["celerytrail.step"] == "succeeded"
    ]
    assert done == ["done"]


@pytest.mark.parametrize("closed", [False, True])
def test_a_lost_run_is_told_once_whatever_happens_to_the_shipper(
    tmp_path: Path, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    spool = tmp_path / "spool"
    write_stream(spool, with_a_run_left_open(closed=closed))
    with shipper_of(spool, receiver) as shipper, monkeypatch.context() as patched:
        # It dies between the report and the deletion of what was reported.
        patched.setattr(shipper.reader, "forget", raise_interrupt)
        with pytest.raises(KeyboardInterrupt):
            shipper.drain()
    with shipper_of(spool, receiver) as shipper:
        shipper.drain()
    assert len(lost(receiver)) == 1
    assert abandoned(receiver) == ([] if closed else [STREAM])


def raise_interrupt(_: str) -> None:
    raise KeyboardInterrupt


class Noting(Patience):
    """Notes what had arrived when the shipper paused first, and stops it then."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        super().__init__(drain_seconds=0.0)
        self._receiver = receiver
        self.requests = self.spans = 0

    def wait(self, seconds: float, trouble: str = "") -> None:
        if not self.stopping:
            self.requests = len(self._receiver.seen)
            streams = [stream.replace("-", "") for stream, _ in self._receiver.spans()]
            self.spans = streams.count(STREAM)  # the shipper has something to say itself
            self.stop()


def run_to_the_first_pause(spool: Path, receiver: OtlpReceiver) -> Noting:
    config = ShipperConfig.from_env({"CELERYTRAIL_ENDPOINT": receiver.url}, spool=spool)
    patience = Noting(receiver)
    shipper = Shipper(config, patience)
    try:
        shipper.run()
    finally:
        shipper.close()
        patience.close()
    return patience


def test_what_comes_in_slowly_is_collected(tmp_path: Path, receiver: OtlpReceiver) -> None:
    spool = tmp_path / "spool"

    def write_more(path: str, message: object) -> int:
        # While a request is answered, other processes go on.
        if len(receiver.seen) < 20:
            write_stream(spool, stream(3), stream_id=f"{len(receiver.seen) + 1:032x}")
        return 200

    write_stream(spool, stream(3), stream_id=f"{0xABC:032x}")
    receiver.decide = write_more
    assert run_to_the_first_pause(spool, receiver).requests == 2, "one of logs and one of spans"


def test_a_backlog_is_shipped_without_a_pause(tmp_path: Path, receiver: OtlpReceiver) -> None:
    count = 3 * MAX_RECORDS
    write_stream(tmp_path / "spool", stream(count))
    # The last batch may be a small one.
    paused_at = run_to_the_first_pause(tmp_path / "spool", receiver).spans
    assert paused_at == count + 2


def test_reports_about_streams_that_are_gone_are_forgotten(
    tmp_path: Path, receiver: OtlpReceiver
) -> None:
    spool = tmp_path / "spool"
    streams = [f"{number:032x}" for number in range(1, 4)]
    for name in streams:
        write_stream(spool, stream(3, closed=False), stream_id=name)
    with shipper_of(spool, receiver) as shipper:
        shipper.drain()
        assert sorted(abandoned(receiver)) == streams
        assert shipper._own._told == set()
