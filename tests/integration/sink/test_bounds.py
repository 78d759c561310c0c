"""Whatever a sender with a token sends, the sink's memory stays under 256 MiB and it goes on."""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.otlp_requests import key_values, logs, payload, span, traces
from tests.sink_process import PROTOBUF, Answer, SinkProcess
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase

pytest_plugins = ["tests.sink_fixtures"]

MIB = 1024 * 1024
MEMORY = 256 * MIB
STREAM = uuid.UUID(int=77)


def field(number: int, payload: bytes) -> bytes:
    length = len(payload)
    prefix = bytearray([number << 3 | 2])
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(prefix) + bytes([length]) + payload


def in_our_scope(raw_spans: bytes) -> bytes:
    group = traces([], STREAM).resource_spans[0]
    resource = field(1, group.resource.SerializeToString())
    scope = field(1, group.scope_spans[0].scope.SerializeToString())
    return field(1, resource + field(2, scope + raw_spans))


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(bytes(MIB)) for _ in range(count // MIB)) + packer.flush()


def still_works(sink: SinkProcess) -> None:
    assert sink.peak_memory() < MEMORY, f"{sink.peak_memory() // MIB} MiB"
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 200
    assert sink.request("GET", "/ready").status == 200


def test_a_gibibyte_of_zeros(sink: SinkProcess) -> None:
    bomb = zeros(1024 * MIB)
    assert len(bomb) < 4 * MIB
    for path in ("/v1/traces", "/v1/logs"):
        assert sink.post(bomb, path, Content_Encoding="gzip").status == 413
        json_answer = sink.post(
            bomb, path, Content_Encoding="gzip", Content_Type="application/json"
        )
        assert json_answer.status == 413
        assert json.loads(json_answer.body)["code"] == 8
    still_works(sink)


def test_nested_compression(sink: SinkProcess) -> None:
    nested = gzip.compress(zeros(1024 * MIB))
    assert sink.post(nested, Content_Encoding="gzip").status == 400
    assert sink.post(nested, Content_Encoding="gzip, gzip").status == 415
    still_works(sink)


def test_a_span_with_a_hundred_thousand_attributes(
    sink: SinkProcess, sink_database: SinkDatabase
) -> None:
    one = span(3)
    one.attributes.extend(key_values({f"noise.{n}": "x" * 8 for n in range(100_000)}))
    assert not sink.post(traces([one], STREAM), packed=True).traces().HasField("partial_success")
    assert sink_database.query("SELECT seq, marks FROM celerytrail.spans") == [
        (3, "attributes_cut")
    ]
    still_works(sink)


# Made when they are used: as parameters they would be part of every report.
BODIES: dict[str, tuple[Callable[[], bytes], int]] = {
    "empty spans": (lambda: in_our_scope(field(2, b"") * (15 * MIB)), 413),
    "empty attributes": (lambda: in_our_scope(field(2, field(9, b"") * (15 * MIB))), 200),
    "empty events": (lambda: in_our_scope(field(2, field(11, b"") * (15 * MIB))), 200),
    "empty resources": (lambda: field(1, b"") * (15 * MIB), 413),
    "tiny scopes": (lambda: field(1, field(2, field(2, b""))) * (3 * MIB), 413),
    "spans full of attributes": (
        lambda: in_our_scope(field(2, field(9, b"") * 120_000 + one_span()) * 110),
        200,
    ),
    "escapes": (lambda: in_our_scope(field(2, one_span("\x01" * 250_000)) * 100), 200),
}


def one_span(text: str = "x") -> bytes:
    return span(1, extra={"x": text}).SerializeToString()


@pytest.mark.parametrize("name", BODIES)
def test_what_would_become_gigabytes_of_objects(sink: SinkProcess, name: str) -> None:
    make, status = BODIES[name]
    body = make()
    # Random bytes in front keep the ratio of the compression under its bound.
    packed = gzip.compress(field(15, random.Random(1).randbytes(len(body) // 150)) + body, 5)
    assert len(body) < 32 * MIB
    assert sink.post(packed, Content_Encoding="gzip").status == status
    still_works(sink)


SPANS = '{"resourceSpans":[{"scopeSpans":[{"spans":['
TEXTS: dict[str, tuple[Callable[[], str], int]] = {
    "no objects": (lambda: '{"resourceSpans":[' + "[]," * (10 * MIB) + "[]]}", 413),
    "open": (lambda: '{"a":' + "[" * 2_000_000, 400),
    "quotes": (lambda: '{"a":"' + '\\"' * (12 * MIB), 413),
    "one span": (
        lambda: (
            SPANS
            + '{"attributes":['
            + '{"key":"a","value":{"intValue":"1"}},' * 800_000
            + "{}]}]}]}]}"
        ),
        200,
    ),
    "long text": (lambda: SPANS + ('{"name":"' + "ü" * 500_000 + '"},') * 30 + "{}]}]}]}", 200),
}


@pytest.mark.parametrize("name", TEXTS)
def test_json_that_would_become_gigabytes(sink: SinkProcess, name: str) -> None:
    make, status = TEXTS[name]
    noise = random.Random(1).randbytes(100_000).hex()
    text = f'{{"noise":"{noise}",{make()[1:]}'.encode()
    assert len(text) < 32 * MIB
    packed = gzip.compress(text, 5)
    answer = sink.post(packed, Content_Type="application/json", Content_Encoding="gzip")
    assert answer.status == status
    still_works(sink)


def test_many_large_requests_at_once(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    """More than fits at a time: each is taken or told to come again; none is lost or double."""
    from concurrent.futures import ThreadPoolExecutor

    def send(number: int) -> list[int]:
        noise = "x" * 1000 + os.urandom(200).hex()
        spans = [
            span(n, "sent", task_id=f"{number}-{n}", extra={"n": noise}) for n in range(1, 1500)
        ]
        request = traces(spans, uuid.UUID(int=1000 + number))
        codes = []

        def sent() -> bool:
            answer = sink.post(request, packed=number % 2 == 0)
            codes.append(answer.status)
            assert answer.status == 200 or answer.headers["retry-after"]
            return answer.status == 200

        wait_until(sent, "the request is taken")
        return codes

    with ThreadPoolExecutor(12) as pool:
        codes = [code for result in pool.map(send, range(12)) for code in result]
    assert set(codes) <= {200, 503}
    assert sink_database.value("SELECT count(*) FROM celerytrail.spans") == 12 * 1499
    still_works(sink)


def test_a_body_that_is_too_large_is_refused_unread(sink: SinkProcess) -> None:
    answer = raw(sink, b"Content-Length: 4194305\r\n", b"")
    assert b" 413 " in answer.split(b"\r\n")[0]


def test_without_a_token_the_body_is_not_read(sink: SinkProcess) -> None:
    answer = raw(
        sink, b"Content-Length: 1000000\r\nAuthorization: Bearer nobody\r\n", b"", token=False
    )
    assert b" 401 " in answer.split(b"\r\n")[0]


def test_a_body_without_length_is_bounded(sink: SinkProcess) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(80):
            yield bytes(64 * 1024)

    answer = chunked(sink, pieces)
    assert answer.status == 413
    request = traces([span(1)], uuid.uuid4()).SerializeToString()
    assert chunked(sink, lambda: iter([request[:10], request[10:]])).status == 200


def test_requests_in_flight_are_bounded_and_health_answers(
    sink_database: SinkDatabase, make_sink: Callable[..., SinkProcess]
) -> None:
    sink = make_sink(
        sink_database, CELERYTRAIL_SINK_MAX_REQUESTS="2", CELERYTRAIL_SINK_BODY_SECONDS="15"
    )
    sink.start()
    stalled = [open_request(sink, b"Content-Length: 1000\r\n") for _ in range(2)]
    try:
        wait_until(lambda: sink.metric("requests_in_flight") == 2, "both are in flight")
        answer = sink.post(traces([span(1)], uuid.uuid4()))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert sink.request("GET", "/health").status == 200
        assert (
            sink.metric("requests_refused_total", signal="traces", reason="requests_in_flight") == 1
        )
        # Who sends nothing is let go, and told to come again.
        for connection in stalled:
            assert b" 503 " in connection.recv(65536).split(b"\r\n")[0]
    finally:
        for connection in stalled:
            connection.close()
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 200


def test_a_client_that_goes_away_holds_nothing(sink: SinkProcess) -> None:
    connection = open_request(sink, b"Content-Length: 1000\r\n")
    wait_until(lambda: sink.metric("requests_in_flight") == 1, "it is in flight")
    connection.close()
    wait_until(lambda: sink.metric("requests_in_flight") == 0, "it is gone")
    assert sink.metric("unexpected_errors_total", signal="traces") == 0


def test_fuzzed_bodies_never_break_it(sink: SinkProcess, tmp_path: Path) -> None:
    rng = random.Random(20260101)
    samples = [
        traces([span(1), span(2)], STREAM).SerializeToString(),
        logs([payload(), payload(b"{}", kind="kwargs")], STREAM).SerializeToString(),
        gzip.compress(traces([span(3)], STREAM).SerializeToString()),
        b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"celerytrail"},"spans":[{}]}]}]}',
    ]
    for _ in range(400):
        data = bytearray(rng.choice(samples))
        for _ in range(rng.randint(0, 8)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        answer = sink.post(
            bytes(data),
            rng.choice(("/v1/traces", "/v1/logs")),
            Content_Type=rng.choice((PROTOBUF, "application/json")),
            Content_Encoding=rng.choice(("gzip", "identity")),
        )
        assert answer.status in (200, 400), (answer, bytes(data))
    for signal in ("traces", "logs"):
        assert sink.metric("unexpected_errors_total", signal=signal) == 0
    still_works(sink)


def open_request(sink: SinkProcess, headers: bytes, token: bool = True) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", sink.port), timeout=30)
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: " + PROTOBUF.encode() + b"\r\n"
    if token:
        head += f"Authorization: Bearer {sink.token}\r\n".encode()
    connection.sendall(head + headers + b"\r\n")
    return connection


def raw(sink: SinkProcess, headers: bytes, body: bytes, token: bool = True) -> bytes:
    with open_request(sink, headers, token) as connection:
        connection.sendall(body)
        return connection.recv(65536)


def chunked(sink: SinkProcess, pieces: Callable[[], Iterator[bytes]]) -> Answer:
    headers = {"Content-Type": PROTOBUF, "Authorization": f"Bearer {sink.token}"}
    return sink.request("POST", "/v1/traces", pieces(), headers)
