"""A spool, a shipper process and a receiver that is not always well: nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.spool.segment import encode_record, segment_name
from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.integration.shipper.receiver import (
    CUT,
    CUT_AFTER_TAKING,
    HANG,
    OtlpReceiver,
    attributes,
)
from tests.integration.shipper.shippers import environ, ship_once, shipping
from tests.unit.shipper.segments import (
    HEADER,
    STREAM,
    body,
    segment_bytes,
    sent,
    stream,
    values,
    write_segment,
    write_stream,
)
from tests.waiting import wait_until

DEAD = "de" * 16


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir(mode=0o700)
    return tmp_path / "spool"


def check_complete(receiver: OtlpReceiver, count: int, stream_id: str = STREAM) -> None:
    """Every record arrived, as one and the same span; payloads came before their spans."""
    numbers = receiver.numbers()
    assert {seq for name, seq in numbers if name == stream_id} == set(range(1, count + 1))
    assert all(len(spans) == 1 for spans in numbers.values())
    check_payloads_first(receiver)


def check_payloads_first(receiver: OtlpReceiver) -> None:
    known: set[str] = set()
    for seen in receiver.seen:
        if seen.status not in (200, CUT_AFTER_TAKING):
            continue
        if seen.path == "/v1/logs":
            for resource in seen.message.resource_logs:
                for log in resource.scope_logs[0].log_records:
                    known.add(attributes(log)["celerytrail.payload.commitment"])
        else:
            for resource in seen.message.resource_spans:
                for span in resource.scope_spans[0].spans:
                    for name, value in attributes(span).items():
                        assert not name.startswith("celerytrail.commitment.") or value in known


def left(spool: Path) -> list[str]:
    return sorted(p.name for p in spool.iterdir() if p.name != "shipper.lock")


def test_once_delivers_everything_and_leaves_nothing(spool: Path) -> None:
    write_stream(spool, stream(100, secret="hunter2"), per_segment=30)
    with OtlpReceiver(token="right") as receiver:
        done = ship_once(spool, receiver.url, CELERYTRAIL_TOKEN="right")
        assert done.returncode == 0, done.stderr
        check_complete(receiver, 102)
        assert not any("hunter2" in str(seen.message) for seen in receiver.seen)
        headers = receiver.seen[0].headers
        assert headers["content-type"] == "application/x-protobuf"
        assert headers["content-encoding"] == "gzip"
    assert left(spool) == []
    assert "102 spans" in done.stdout


@pytest.mark.parametrize("answer", [429, 500, 502, 503, 504, CUT, CUT_AFTER_TAKING])
def test_a_receiver_in_trouble_costs_nothing(spool: Path, answer: int) -> None:
    write_stream(spool, stream(30), per_segment=10)
    with OtlpReceiver() as receiver:
        receiver.answers.extend([answer, answer, 200, answer, 200, answer])
        done = ship_once(spool, receiver.url)
        assert done.returncode == 0, done.stderr
        check_complete(receiver, 32)
    assert left(spool) == []


def test_a_receiver_that_hangs_is_given_up_and_tried_again(spool: Path) -> None:
    write_stream(spool, stream(5))
    with OtlpReceiver() as receiver:
        receiver.answers.append(HANG)
        done = ship_once(spool, receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT="0.5")
        assert done.returncode == 0, done.stderr
        check_complete(receiver, 7)


def test_a_receiver_that_is_not_there_is_named(spool: Path) -> None:
    write_stream(spool, stream(5))
    before = left(spool)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        done = ship_once(spool, f"http://{address}", "--timeout", "1")
    assert done.returncode == 1
    assert address in done.stderr
    assert "Traceback" not in done.stderr
    assert left(spool) == before


def test_a_wrong_token_is_named_and_not_repeated(spool: Path) -> None:
    write_stream(spool, stream(5))
    with OtlpReceiver(token="right") as receiver:
        done = ship_once(spool, receiver.url, CELERYTRAIL_TOKEN="wrong-hunter2")
        assert done.returncode == 1
        assert "401" in done.stderr
        assert "CELERYTRAIL_TOKEN" in done.stderr
        assert "hunter2" not in done.stderr + done.stdout
        assert ship_once(spool, receiver.url, CELERYTRAIL_TOKEN="right").returncode == 0
        check_complete(receiver, 7)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"CELERYTRAIL_ENDPOINT": "http://127.0.0.1:9/?key=1"}, "CELERYTRAIL_ENDPOINT"),
        ({"CELERYTRAIL_ENDPOINT": "nonsense"}, "CELERYTRAIL_ENDPOINT"),
        ({"CELERYTRAIL_TOKEN": "a", "CELERYTRAIL_TOKEN_FILE": "b"}, "CELERYTRAIL_TOKEN_FILE"),
    ],
)
def test_a_wrong_setting_is_named(spool: Path, settings: dict[str, str], named: str) -> None:
    done = ship_once(spool, "http://127.0.0.1:9", **settings)
    assert done.returncode == 2
    assert named in done.stderr
    with shipping(spool, "http://127.0.0.1:9", **settings) as shipper:
        assert shipper.process.wait(60) == 2
        assert named in shipper.said()


def test_a_record_that_is_refused_for_good_does_not_hold_up_the_others(spool: Path) -> None:
    write_stream(spool, stream(40))

    def decide(path: str, message: Any) -> int:
        return 400 if b"task-17" in message.SerializeToString() and path == "/v1/traces" else 200

    with OtlpReceiver(decide=decide) as receiver:
        done = ship_once(spool, receiver.url)
        assert done.returncode == 1
        assert "rejected/" in done.stderr
        assert {seq for _, seq in receiver.numbers()} == set(range(1, 43)) - {17}
    assert left(spool) == ["rejected"]
    assert len(list((spool / "rejected").iterdir())) == 1


def test_partial_success_is_told_and_not_sent_again(spool: Path) -> None:
    write_stream(spool, stream(3))
    with OtlpReceiver(
        refuse=lambda message: 2 if hasattr(message, "resource_spans") else 0
    ) as receiver:
        done = ship_once(spool, receiver.url)
        assert done.returncode == 1
        assert "took 3 of 5" in done.stderr
        assert len([s for s in receiver.seen if s.path == "/v1/traces"]) == 1
    assert left(spool) == []


def test_a_stream_without_a_goodbye_is_reported_once(spool: Path) -> None:
    path = write_stream(spool, stream(4, closed=False), stream_id=DEAD)[0]
    with path.open("ab") as file:
        file.write(encode_record(sent(6))[:-5])
    torn = len(encode_record(sent(6))) - 5
    with OtlpReceiver() as receiver:
        assert ship_once(spool, receiver.url).returncode == 0
        assert ship_once(spool, receiver.url).returncode == 0
        reports = [
            (said, resource)
            for message in receiver.taken
            if hasattr(message, "resource_spans")
            for part in message.resource_spans
            for resource in [attributes(part.resource)]
            for span in part.scope_spans[0].spans
            for said in [attributes(span)]
            if said["celerytrail.step"] == "stream_abandoned"
        ]
        ((said, resource),) = reports
        assert said["celerytrail.about_stream.id"] == DEAD
        assert said["celerytrail.about_stream.last_seq"] == 5
        assert said["celerytrail.about_stream.torn_bytes"] == torn
        assert resource["celerytrail.process.kind"] == "shipper"
        assert (resource["service.namespace"], resource["service.name"]) == ("shop", "orders")
        own = resource["celerytrail.stream.id"]
        steps = {seq for name, seq in receiver.numbers() if name == own}
        assert steps == {1, 2, 3}
    assert left(spool) == []


def test_a_report_that_was_written_before_a_kill_is_not_written_again(spool: Path) -> None:
    """Killed between the report and deleting what it is about."""
    write_stream(spool, stream(4, closed=False), stream_id=DEAD)
    report = values("stream_abandoned", 2, about_stream_id=DEAD, last_seq=5, torn_bytes=0)
    own = replace(HEADER, stream_id="0a" * 16, process_kind="shipper")
    (spool / segment_name(own.stream_id, 1)).write_bytes(
        segment_bytes([values("stream_opened", 1), report, values("stream_closed", 3)], own)
    )
    with OtlpReceiver() as receiver:
        assert ship_once(spool, receiver.url).returncode == 0
        about = [
            attributes(span)["celerytrail.about_stream.id"]
            for _, span in receiver.spans()
            if attributes(span)["celerytrail.step"] == "stream_abandoned"
        ]
        assert about == [DEAD]


def origin() -> Origin:
    return Origin(
        "",
        "box",
        os.getpid(),
        "publisher",
        "p@box",
        "shop",
        "orders",
        "test",
        "",
        "0.1.0",
        "5",
        "3",
    )


def test_a_living_writer_is_followed_and_the_shipper_ends_when_it_is_gone(spool: Path) -> None:
    writer = SpoolWriter(spool, origin, max_bytes=1 << 30, on_trouble=print, segment_bytes=4096)
    writer.write(*_write(1))
    name = writer.stream_id
    with (
        OtlpReceiver() as receiver,
        shipping(spool, receiver.url, "--exit-when-idle") as shipper,
    ):
        for number in range(2, 60):
            writer.write(*_write(number))
        wait_until(lambda: len(receiver.captured()) == 60, "what is written arrives")
        assert shipper.process.poll() is None
        writer.close()
        assert shipper.process.wait(60) == 0
        check_complete(receiver, 61, name)
    assert left(spool) == []


def _write(number: int) -> tuple[int, int, tuple[Any, ...]]:
    code, _, now, *fields = sent(0, f"task-{number}", body((number,)))
    return code, now, tuple(fields)


def test_sigterm_drains_what_is_there(spool: Path) -> None:
    with OtlpReceiver() as receiver:
        receiver.answers.extend([503] * 3)
        receiver.retry_after = "1"
        with shipping(spool, receiver.url) as shipper:
            write_stream(spool, stream(50))
            wait_until(lambda: receiver.seen, "the first request")
            assert shipper.stop() == 0
        check_complete(receiver, 52)
    assert left(spool) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_drain_is_bounded_and_what_is_left_stays(spool: Path, signum: int) -> None:
    write_stream(spool, stream(5))
    with OtlpReceiver() as receiver:
        receiver.answers.extend([HANG] * 10)
        with shipping(spool, receiver.url, CELERYTRAIL_DRAIN_SECONDS="0.5") as shipper:
            wait_until(lambda: receiver.seen, "the first request")
            assert shipper.stop(signum) == 0
            assert "stays in the spool" in shipper.said()
        assert left(spool) == [segment_name(STREAM, 1)]
        receiver.answers.clear()
        assert ship_once(spool, receiver.url).returncode == 0
        check_complete(receiver, 7)


def test_two_shippers_elect_one(spool: Path) -> None:
    with OtlpReceiver() as receiver, shipping(spool, receiver.url) as first:
        wait_until(lambda: "ships" in first.said(), "the first is elected")
        with shipping(spool, receiver.url) as second:
            assert second.process.wait(60) == 0
            assert f"process {first.process.pid}" in second.said()
        with shipping(spool, receiver.url, "--wait") as third:
            wait_until(lambda: "waits for" in third.said(), "the third waits")
            write_stream(spool, stream(5))
            wait_until(lambda: len(receiver.captured()) == 7, "the first ships")
            first.process.kill()
            wait_until(
                lambda: "ships" in third.said().split("waits for")[1], "the third takes over"
            )
            write_stream(spool, stream(6), stream_id="0b" * 16)
            wait_until(lambda: len(receiver.captured()) == 15, "the third ships")
            assert third.stop() == 0


def test_once_beside_a_running_shipper_waits_for_it(spool: Path) -> None:
    with OtlpReceiver() as receiver, shipping(spool, receiver.url) as running:
        wait_until(lambda: "ships" in running.said(), "it is elected")
        write_stream(spool, stream(5))
        done = ship_once(spool, receiver.url)
        assert done.returncode == 0, done.stderr
        check_complete(receiver, 7)


def test_once_without_a_spool_directory_says_so(tmp_path: Path) -> None:
    done = ship_once(tmp_path / "missing", "http://127.0.0.1:9")
    assert done.returncode == 2
    assert str(tmp_path / "missing") in done.stderr


def test_a_token_file_that_is_renewed_is_read_again(spool: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    write_stream(spool, stream(3))

    with OtlpReceiver(token="new") as receiver:
        with shipping(spool, receiver.url, CELERYTRAIL_TOKEN_FILE=str(token)) as shipper:
            wait_until(lambda: "401" in shipper.said(), "the old token is refused")
            token.write_text("new\n")
            shipper.process.send_signal(signal.SIGTERM)
            assert shipper.process.wait(60) == 0
        check_complete(receiver, 5)


def test_a_broken_segment_does_not_hold_up_the_others(spool: Path) -> None:
    (spool / segment_name("0c" * 16, 1)).write_bytes(os.urandom(500))
    damaged = bytearray(segment_bytes(stream(20), replace(HEADER, stream_id="0d" * 16)))
    for position in range(2000, len(damaged), 900):
        damaged[position] ^= 0x55
    (spool / segment_name("0d" * 16, 1)).write_bytes(damaged)
    write_segment(spool, stream(10))
    with OtlpReceiver() as receiver:
        assert ship_once(spool, receiver.url).returncode == 0
        numbers = receiver.numbers()
        assert {seq for name, seq in numbers if name == STREAM} == set(range(1, 13))
        assert any(name == "0d" * 16 for name, _ in numbers)
    assert left(spool) == []


def test_the_environment_of_the_shipper_is_not_that_of_the_stream(spool: Path) -> None:
    write_stream(spool, stream(1))
    with OtlpReceiver() as receiver:
        done = ship_once(
            spool, receiver.url, OTEL_RESOURCE_ATTRIBUTES="team=red", OTEL_SERVICE_NAME="shipper"
        )
        assert done.returncode == 0
        resource = attributes(receiver.taken[0].resource_logs[0].resource)
        assert (resource["team"], resource["service.name"]) == ("blue", "orders")
    assert "CELERYTRAIL_ENDPOINT" in environ("x")
