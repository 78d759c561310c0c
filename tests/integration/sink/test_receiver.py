"""What a real sink stores in a real database, and what it answers."""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from celerytrail.exporter.attributes import ATTRIBUTES, STEPS, On
from celerytrail.exporter.deployment import Deployment
from tests.otlp_requests import SHOP, Value, logs, payload, span, traces
from tests.sink_process import SinkProcess
from tests.unit.sink.test_otlp_json import otlp_json
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.sink_fixtures import SinkDatabase

pytest_plugins = ["tests.sink_fixtures"]

LABEL = SHOP.label


def stored(database: SinkDatabase) -> int:
    return int(database.value("SELECT count(*) FROM celerytrail.spans"))


def test_spans_are_stored_once_and_counted(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    stream = uuid.uuid4()
    request = traces([span(1, "sent"), span(2, "started"), span(3, "succeeded")], stream)
    for packed in (False, True, True):
        assert not sink.post(request, packed=packed).traces().HasField("partial_success")
    assert stored(sink_database) == 3
    assert sink_database.value("SELECT state FROM celerytrail.tasks") == "succeeded"
    assert sink.metric("spans_received_total", deployment=LABEL) == 9
    assert sink.metric("spans_inserted_total", deployment=LABEL) == 3
    assert sink.metric("spans_known_total", deployment=LABEL) == 6
    assert sink.metric("requests_in_flight") == 0


def test_payloads_are_stored_once(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    request = logs([payload(), payload('{"a": 1}', kind="kwargs")], uuid.uuid4())
    for _ in range(2):
        assert not sink.post(request, "/v1/logs").logs().HasField("partial_success")
    rows = sink_database.query("SELECT kind, body FROM celerytrail.payloads ORDER BY kind")
    assert rows == [("args", b'["a", 1]'), ("kwargs", b'{"a": 1}')]
    assert sink.metric("payloads_inserted_total", deployment=LABEL) == 2
    assert sink.metric("payloads_known_total", deployment=LABEL) == 2


def test_json_gives_the_same_rows_and_a_json_answer(
    sink: SinkProcess, sink_database: SinkDatabase
) -> None:
    request = traces([span(1), span(2, extra={"ünï": 'q"\\'})], uuid.uuid4())
    answer = sink.post(otlp_json(request), Content_Type="application/json; charset=utf-8")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.body) == {}
    assert stored(sink_database) == 2
    assert not sink.post(request).traces().HasField("partial_success")
    assert stored(sink_database) == 2
    assert sink.metric("equivocations_total", deployment=LABEL) == 0


def test_bad_spans_are_rejected_one_by_one(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    bad = [
        span(2, extra={"celery.retries": -1}),
        span(3, extra={"x": "a\0b"}),
        span(4, extra={"celery.retries": -1}),
    ]
    request = traces([span(1), *bad, span(5)], uuid.uuid4())
    partial = sink.post(request).traces().partial_success
    assert partial.rejected_spans == 3
    assert "celery.retries is outside 0 to 2147483647 (2)" in partial.error_message
    assert stored(sink_database) == 2
    assert sink_database.value("SELECT count(*) FROM celerytrail.quarantine") == 3
    assert sink.metric("spans_rejected_total", deployment=LABEL) == 3
    answer = sink.post(otlp_json(request), Content_Type="application/json")
    assert json.loads(answer.body)["partialSuccess"]["rejectedSpans"] == "3"


def test_bad_payloads_are_rejected_without_their_body(
    sink: SinkProcess, sink_database: SinkDatabase
) -> None:
    bad = payload('["tell nobody"]', extra={"celerytrail.payload.commitment": "00" * 32})
    partial = sink.post(logs([bad, payload()], uuid.uuid4()), "/v1/logs").logs().partial_success
    assert partial.rejected_log_records == 1
    assert "commitment" in partial.error_message
    assert sink_database.value("SELECT count(*) FROM celerytrail.payloads") == 1
    (item,) = sink_database.query("SELECT item FROM celerytrail.quarantine")
    assert b"tell nobody" not in item[0]
    assert "tell nobody" not in sink.output


def test_other_applications_are_ignored(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    request = traces([span(1), span(2)], uuid.uuid4(), scope="my.web.app")
    assert not sink.post(request).traces().HasField("partial_success")
    assert stored(sink_database) == 0
    assert sink.metric("spans_ignored_total", deployment=LABEL) == 2


def test_a_token_writes_only_its_own_deployment(
    sink: SinkProcess, sink_database: SinkDatabase
) -> None:
    billing = Deployment("shop", "billing", "test")
    theirs = traces([span(1)], uuid.uuid4(), deployment=billing)
    partial = sink.post(theirs).traces().partial_success
    assert partial.rejected_spans == 1
    assert "another deployment" in partial.error_message
    foreign = logs([payload()], uuid.uuid4(), deployment=billing)
    assert sink.post(foreign, "/v1/logs").logs().partial_success.rejected_log_records == 1
    assert stored(sink_database) == 0
    assert sink_database.value("SELECT count(*) FROM celerytrail.payloads") == 0
    assert sink_database.value("SELECT count(*) FROM celerytrail.quarantine") == 0
    assert sink.metric("spans_foreign_total", deployment=LABEL) == 2
    token = sink_database.new_token(billing)
    assert not sink.post(theirs, token=token).traces().HasField("partial_success")
    assert stored(sink_database) == 1


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", "Basic dXNlcjpwYXNz", "Bearer {0}, Bearer {0}", "Bearer {0}x"],
)
def test_without_a_good_token_nothing_is_stored(
    sink: SinkProcess, sink_database: SinkDatabase, authorization: str
) -> None:
    sent = authorization.format(sink_database.token)
    answer = sink.post(traces([span(1)], uuid.uuid4()), Authorization=sent)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert Status.FromString(answer.body).code == 16
    assert stored(sink_database) == 0
    assert sink_database.token not in answer.body.decode("latin-1") + sink.output


@pytest.mark.parametrize("change", ["revoked_at = now()", "expires_at = now() - interval '1 s'"])
def test_a_token_that_ends_is_refused_at_once(
    sink: SinkProcess, sink_database: SinkDatabase, change: str
) -> None:
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 200
    sink_database.execute(f"UPDATE celerytrail.tokens SET {change}")
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 401
    assert stored(sink_database) == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xff", {}, 400),
        (traces([span(1)], uuid.uuid4()).SerializeToString()[:-3], {}, 400),
        (b"not gzip", {"Content_Encoding": "gzip"}, 400),
        (b"{", {"Content_Type": "application/json"}, 400),
        (b"", {"Content_Encoding": "br"}, 415),
        (b"", {"Content_Encoding": "gzip, gzip"}, 415),
        (b"", {"Content_Type": "text/plain"}, 415),
        (b"", {}, 200),
    ],
)
def test_other_bodies_have_a_clear_status(
    sink: SinkProcess, body: bytes, headers: dict[str, Any], status: int
) -> None:
    for path in ("/v1/traces", "/v1/logs"):
        answer = sink.post(body, path, **headers)
        assert answer.status == status
        if status != 200:
            is_json = "json" in answer.headers["content-type"]
            message = (
                json.loads(answer.body)["message"]
                if is_json
                else Status.FromString(answer.body).message
            )
            assert message


def test_unknown_paths_and_methods(sink: SinkProcess) -> None:
    assert sink.request("GET", "/v1/traces").status == 405
    assert sink.request("POST", "/v1/metrics", b"").status == 404
    assert sink.request("GET", "/").status == 404


def test_an_impossible_clock_is_stored_once_and_marked(
    sink: SinkProcess, sink_database: SinkDatabase
) -> None:
    far = time.time_ns() + 20 * 365 * 86_400 * 10**9
    request = traces([span(1, start=far, end=far), span(2, start=0, end=0)], uuid.uuid4())
    for _ in range(10):
        assert not sink.post(request).traces().HasField("partial_success")
    rows = sink_database.query("SELECT seq, day::text, marks FROM celerytrail.spans ORDER BY seq")
    assert rows == [(1, "infinity", "clock"), (2, "-infinity", "clock")]
    assert sink.metric("spans_marked_total", deployment=LABEL) == 20


def test_an_equivocation_is_counted(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    stream = uuid.uuid4()
    assert sink.post(traces([span(1, task_id="a")], stream)).status == 200
    partial = sink.post(traces([span(1, task_id="b")], stream)).traces().partial_success
    assert partial.rejected_spans == 1
    assert "another event" in partial.error_message
    assert sink.metric("equivocations_total", deployment=LABEL) == 1
    assert sink_database.value("SELECT task_id FROM celerytrail.spans") == "a"


def test_more_spans_than_one_transaction(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    spans = [span(n, "heartbeat" if n < 0 else "sent", task_id=f"t{n}") for n in range(1, 12_001)]
    assert sink.post(traces(spans, uuid.uuid4()), packed=True).traces().ByteSize() == 0
    assert stored(sink_database) == 12_000


def test_health_ready_and_metrics(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    assert sink.request("GET", "/health").status == 200
    assert sink.request("GET", "/ready").status == 200
    sink_database.execute("ALTER TABLE celerytrail.spans DISABLE TRIGGER seal")
    answer = sink.request("GET", "/ready")
    assert answer.status == 503
    assert "seal" in json.loads(answer.body)["reason"]
    refused = sink.post(traces([span(1)], uuid.uuid4()))
    assert (refused.status, stored(sink_database)) == (503, 0)
    assert refused.headers["retry-after"]
    sink_database.execute("ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER seal")
    wait_until(lambda: sink.request("GET", "/ready").status == 200, "the guards are back")
    assert sink.post(traces([span(1)], uuid.uuid4())).status == 200


EXTREMES: tuple[Value, ...] = (
    "",
    "x" * 400,
    "ü" * 3000,
    "'\"\\{}[]\n\t\x01\u2028\U0001f600",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-12:00",
    "2024-02-30T00:00:00Z",
    "infinity",
    "ffffffffffffffff",
    "f" * 32,
    0,
    -1,
    2**31 - 1,
    2**31,
    2**53,
    2**63 - 1,
    -(2**63),
    True,
    1e308,
    b"\x00\xff",
)


def test_what_is_decoded_can_be_stored(sink: SinkProcess, sink_database: SinkDatabase) -> None:
    """The database has no reason of its own to refuse a row: the decoder knows all of them."""
    names = [attribute.name for attribute in ATTRIBUTES if attribute.on is On.SPAN]
    steps = [step.name for step in STEPS]
    rng = random.Random(20260202)
    sent = 0
    rejected = 0
    for number, extreme in enumerate(EXTREMES):
        spans = [
            span(
                at + 1,
                rng.choice(steps),
                task_id=f"{number}-{at}",
                end=rng.choice((0, 1, time.time_ns(), 2**63 - 1)),
                extra={name: extreme},
            )
            for at, name in enumerate(names)
            if name not in ("celerytrail.seq", "celerytrail.step")
        ]
        answer = sink.post(traces(spans, uuid.uuid4())).traces().partial_success
        assert "database" not in answer.error_message
        sent += len(spans)
        rejected += answer.rejected_spans
    assert rejected < sent
    assert stored(sink_database) == sent - rejected
    reasons = sink_database.query("SELECT DISTINCT reason FROM celerytrail.quarantine")
    assert not [reason for (reason,) in reasons if "database" in reason]
