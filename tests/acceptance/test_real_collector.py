"""The official Collector, with our configuration, between shipper and sink: nothing lost, nothing double."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from celerytrail.examples.embedded.ports import free_port
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    generate,
    read_private_key,
    read_psk,
    read_public_key,
)
from celerytrail.exporter.sealed import Binding, open_container
from celerytrail.exporter.shipper.assembly import Assembly
from celerytrail.exporter.shipper.data_keys import SealingKeys
from celerytrail.exporter.shipper.gzip_body import gzip_body
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.shipper.requests import Outgoing, encode_request
from celerytrail.exporter.spool.reader import SpoolReader
from tests.acceptance.pipeline import Pipeline
from tests.integration.shipper.receiver import attributes
from tests.otlp_requests import digest, logs, payload, span, traces
from tests.real_collector import RealCollector, require_collector, validate
from tests.waiting import wait_until

SHOP = Deployment("shop", "orders", "test")
BILLING = Deployment("shop", "billing", "test")
STREAM = uuid.UUID("5e000000-0000-4000-8000-00000000c011")

STORED_ENDS = "SELECT count(*) FROM celerytrail_views.tasks WHERE state = 'succeeded'"
# A Collector sends several requests at a time: the last of a stream may overtake others.
UNFINISHED = """
    SELECT FROM celerytrail_views.streams
    WHERE process_kind <> 'shipper' AND (state = 'live' OR missing > 0)
"""
MISSING = "SELECT coalesce(sum(missing), 0)::int FROM celerytrail_views.streams"
DOUBLE_SPANS = """
    SELECT count(*) FROM (
        SELECT FROM celerytrail.spans GROUP BY stream_id, seq HAVING count(*) > 1
    ) AS twice
"""
DOUBLE_PAYLOADS = """
    SELECT count(*) FROM (
        SELECT FROM celerytrail.payloads GROUP BY stream_id, seq, kind HAVING count(*) > 1
    ) AS twice
"""
BODIES = "SELECT stream_id, seq, task_id, body FROM celerytrail.payloads WHERE kind = 'body'"
TASKS = "SELECT task_id, state, args, runs FROM celerytrail_views.tasks"
WITHOUT_ARGUMENTS = "SELECT count(*) FROM celerytrail_views.tasks WHERE args IS NULL"
TASK = "SELECT state, args FROM celerytrail_views.tasks WHERE task_id = %s"


@pytest.fixture
def token_file(pipeline: Pipeline) -> Path:
    """The file that shipper and Collector read the deployment's token from."""
    path = pipeline.directory / "token"
    path.write_text(pipeline.token + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def collector(pipeline: Pipeline, token_file: Path) -> Iterator[RealCollector]:
    """A running Collector in front of the pipeline's sink."""
    require_collector()
    with RealCollector(pipeline.endpoint, token_file, pipeline.directory / "otelcol") as running:
        yield running


@pytest.mark.slow
def test_a_killed_collector_and_a_stopped_sink_lose_nothing_and_double_nothing(
    pipeline: Pipeline, collector: RealCollector
) -> None:
    """Killed thrice: with its queue filling, while it empties it, and with everything running."""
    pipeline.endpoint = collector.endpoint
    worker = pipeline.start_worker()
    sink = next(program for program in pipeline.programs if program.name == "sink")
    published: dict[str, str] = {}

    def publish(count: int, seconds: float) -> None:
        lines = pipeline.run("publish_steady.py", str(count), str(seconds), "celery")
        published.update({line["id"]: json.dumps([seconds]) for line in lines})

    publish(60, 0.01)
    wait_until(lambda: len(pipeline.recorded()) > 20, "the worker is at work")
    assert sink.stop() == 0
    publish(60, 0.1)
    wait_until(lambda: collector.queued() > 0, "the Collector queues what the sink does not take")
    collector.kill()
    ran_before = len(pipeline.recorded())
    publish(40, 0.05)
    wait_until(
        lambda: len(pipeline.recorded()) > ran_before + 10, "the worker runs on without both"
    )
    collector.start()
    wait_until(lambda: collector.queued() > 0, "the queue is still there")

    sink = pipeline.start_sink()
    wait_until(lambda: pipeline.value(STORED_ENDS) > 0, "what was queued arrives")
    collector.kill()
    publish(40, 0.02)
    collector.start()
    publish(40, 0.02)
    collector.kill()
    collector.start()

    wait_until(
        lambda: pipeline.value(STORED_ENDS) >= len(published), "all that was published is stored"
    )
    assert worker.stop() == 0
    wait_until(lambda: not pipeline.rows(UNFINISHED), "every stream has its end, and all of it")
    tasks = wait_for_arguments(pipeline, published)
    ran = [line["id"] for line in pipeline.recorded()]
    assert sorted(ran) == sorted(published)
    assert [task["runs"] for task in tasks] == [1] * len(published)
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLE_SPANS) == 0
    assert pipeline.value(DOUBLE_PAYLOADS) == 0
    wait_until(lambda: collector.queued() == 0, "the queue is empty")
    checked = pipeline.verify()
    # 3: all is consistent, and there was no head from outside to compare with.
    assert checked.returncode == 3, checked.stdout + checked.stderr


def wait_for_arguments(pipeline: Pipeline, published: dict[str, str]) -> list[dict[str, Any]]:
    """Return all tasks once each has its arguments: payloads have a queue of their own in a Collector."""
    wait_until(
        lambda: pipeline.value(WITHOUT_ARGUMENTS) == 0, "the payloads have caught up with the spans"
    )
    tasks = pipeline.rows(TASKS)
    assert {task["task_id"]: task["args"] for task in tasks} == published
    return tasks


def test_who_has_no_token_of_the_deployment_does_not_get_past_the_collector(
    pipeline: Pipeline, collector: RealCollector
) -> None:
    request = traces([span()], STREAM, deployment=SHOP)
    for token in ("", "wrong", pipeline.make_token("shop", "billing", "test")):
        assert post(collector, "/v1/traces", token, request) == 401
    assert post(collector, "/v1/traces", pipeline.token, request) == 200
    wait_until(lambda: pipeline.rows(TASK, "task-1"), "the one with the token arrives")
    assert pipeline.value("SELECT count(*) FROM celerytrail.spans") == 1


def test_a_span_that_overtook_its_payload_is_taken_and_shown_whole_when_it_comes(
    pipeline: Pipeline, collector: RealCollector
) -> None:
    """As happens with a Collector, whose pipelines for spans and payloads have a queue each."""
    arguments = payload('["late"]', task_id="overtaken")
    commitment = next(
        a.value.string_value
        for a in arguments.attributes
        if a.key == "celerytrail.payload.commitment"
    )
    sent = span(1, "sent", task_id="overtaken", extra={"celerytrail.commitment.args": commitment})
    assert post(collector, "/v1/traces", pipeline.token, traces([sent], STREAM)) == 200
    stored = wait_until(lambda: pipeline.rows(TASK, "overtaken"), "the span is taken by itself")
    assert stored == [{"state": "sent", "args": None}]
    assert post(collector, "/v1/logs", pipeline.token, logs([arguments], STREAM)) == 200
    wait_until(
        lambda: pipeline.rows(TASK, "overtaken") == [{"state": "sent", "args": '["late"]'}],
        "the payload has caught up",
    )


def test_sealed_bodies_arrive_byte_for_byte_and_open(
    pipeline: Pipeline, collector: RealCollector
) -> None:
    """They are stored in the gzip of their request as they are, which no other sender does."""
    keys = pipeline.directory / "keys"
    generate(keys)
    psk = read_psk(keys / PSK_FILE)
    sealing = SealingKeys(read_public_key(keys / PUBLIC_FILE), psk)
    lines = pipeline.run("publish_steady.py", "200", "0", "celery", CELERYTRAIL_SHIPPER="off")
    sent = sealed_bodies(pipeline.spool, sealing)
    (some, *_), request = sent.values(), encode_request([*sent.values()])
    assert some.data in gzip_body(request)

    shipped = pipeline.command(
        "ship",
        "--once",
        "--spool",
        str(pipeline.spool),
        CELERYTRAIL_ENDPOINT=collector.endpoint,
        CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(keys / PUBLIC_FILE),
        CELERYTRAIL_SEAL_PSK_FILE=str(keys / PSK_FILE),
    )
    assert shipped.returncode == 0, shipped.stderr
    rows = wait_until(
        lambda: len(found := pipeline.rows(BODIES)) == len(lines) and found, "all bodies are stored"
    )
    assert {(row["stream_id"].hex, row["seq"]): row["body"] for row in rows} == {
        place: LogRecord.FromString(log.data).body.bytes_value for place, log in sent.items()
    }
    private = read_private_key(keys / PRIVATE_FILE)
    opened = set()
    for row in rows:
        binding = Binding("", SHOP.label, row["task_id"], 0, row["stream_id"].hex, row["seq"])
        message = open_container(row["body"], binding, [private], psk)
        assert message.headers["id"] == row["task_id"]
        assert json.loads(message.body)[0] == [0.0]
        opened.add(row["task_id"])
    assert opened == {line["id"] for line in lines}


def test_a_collector_without_its_token_file_waits_and_keeps_what_it_has(
    pipeline: Pipeline, collector: RealCollector, token_file: Path
) -> None:
    """A sink refuses what comes without a token, and a Collector drops what is refused so."""
    sink = next(program for program in pipeline.programs if program.name == "sink")
    assert sink.stop() == 0
    request = traces([span(task_id="kept")], STREAM)
    assert post(collector, "/v1/traces", pipeline.token, request) == 200
    collector.kill()
    away = token_file.rename(token_file.with_suffix(".away"))
    pipeline.start_sink()
    collector.start(healthy=False)
    wait_until(
        lambda: collector.log().count("retrying to read credentials file") > 2,
        "it misses the file, again and again",
    )
    assert collector.running
    assert not collector.healthy()
    assert not pipeline.rows(TASK, "kept")
    away.rename(token_file)
    wait_until(lambda: pipeline.rows(TASK, "kept"), "it goes on with the token")
    wait_until(collector.healthy, "it is well again")


def test_two_deployments_share_a_collector_and_neither_can_write_as_the_other(
    pipeline: Pipeline, token_file: Path
) -> None:
    require_collector()
    billing_token = pipeline.make_token("shop", "billing", "test")
    billing_file = pipeline.directory / "billing.token"
    billing_file.write_text(billing_token)
    billing_port = free_port()
    with RealCollector(
        pipeline.endpoint,
        token_file,
        pipeline.directory / "otelcol",
        configurations=("config.yaml", "second-deployment.yaml"),
        settings={
            "CELERYTRAIL_BILLING_TOKEN_FILE": str(billing_file),
            "CELERYTRAIL_BILLING_PORT": str(billing_port),
        },
    ) as collector:
        orders = traces([span(task_id="orders")], STREAM, deployment=SHOP)
        billing = traces(
            [span(task_id="billing")],
            uuid.UUID(bytes=digest("billing")[:16], version=4),
            deployment=BILLING,
        )
        assert post(collector, "/v1/traces", pipeline.token, orders) == 200
        assert post(collector, "/v1/traces", pipeline.token, billing, billing_port) == 401
        assert post(collector, "/v1/traces", billing_token, billing, billing_port) == 200
        wait_until(
            lambda: (
                {
                    (row["service"], row["task_id"])
                    for row in pipeline.rows("SELECT service, task_id FROM celerytrail_views.tasks")
                }
                == {("orders", "orders"), ("billing", "billing")}
            ),
            "each deployment has its own task",
        )


def test_the_collector_itself_finds_our_configurations_in_order(tmp_path: Path) -> None:
    environ = {
        "CELERYTRAIL_SINK_ENDPOINT": "http://127.0.0.1:4318",
        "CELERYTRAIL_TOKEN_FILE": str(tmp_path / "token"),
        "CELERYTRAIL_BILLING_TOKEN_FILE": str(tmp_path / "billing.token"),
    }
    for files in (("config.yaml",), ("config.yaml", "second-deployment.yaml")):
        found = validate(environ, *files)
        assert found.returncode == 0, found.stderr
    without_settings = validate({}, "config.yaml")
    assert without_settings.returncode != 0
    assert "otlp_http/sink" in without_settings.stderr


def sealed_bodies(spool: Path, keys: SealingKeys) -> dict[tuple[str, int], Outgoing]:
    """Return the log record of each body that a shipper will send, by stream and number.

    The shipper's next run uses the wrapped key that this leaves beside the segment.
    """
    reader = SpoolReader(spool)
    reader.refresh()
    assembly = Assembly(PayloadBuilder(Redactor()), keys)
    found: dict[tuple[str, int], Outgoing] = {}
    for chunk in reader.read(max_records=10_000, max_bytes=1 << 30):
        for outgoing in assembly.batch([chunk]).logs:
            said = attributes(LogRecord.FromString(outgoing.data))
            if said["celerytrail.payload.kind"] == "body":
                found[chunk.header.stream_id, said["celerytrail.seq"]] = outgoing
    return found


def post(
    collector: RealCollector, path: str, token: str, request: Message, port: int | None = None
) -> int:
    """Send one request to the Collector and return the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port or collector.port, timeout=30)
    headers = {"Content-Type": "application/x-protobuf"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("POST", path, request.SerializeToString(), headers)
        return connection.getresponse().status
    finally:
        connection.close()
