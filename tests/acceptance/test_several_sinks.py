"""Three sinks with a chain each, behind a balancer and the official Collector; one of them is killed."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.pipeline import Pipeline
from tests.acceptance.test_real_collector import (
    DOUBLE_PAYLOADS,
    DOUBLE_SPANS,
    MISSING,
    STORED_ENDS,
    UNFINISHED,
    wait_for_arguments,
)
from tests.real_collector import RealCollector, require_collector, validate
from tests.sink_process import SinkProcess
from tests.tcp_balancer import TcpBalancer
from tests.waiting import wait_until

CONFIGURATIONS = ("config.yaml", "several-sinks.yaml")
CHAINS = (1, 2, 3)
MOST_TURNS = 30
HEADS = "SELECT chain, n FROM celerytrail.chain_head ORDER BY chain"


@pytest.fixture
def sinks(pipeline: Pipeline) -> Iterator[dict[int, SinkProcess]]:
    """Three sinks over one ledger. The pipeline's own is ended."""
    assert pipeline.programs[0].stop() == 0
    made = {
        chain: SinkProcess(
            pipeline.dsn("celerytrail_sink"),
            pipeline.directory / f"sink-{chain}",
            pipeline.token,
            {"CELERYTRAIL_SINK_CHAIN": str(chain)},
        )
        for chain in CHAINS
    }
    try:
        for sink in made.values():
            sink.start()
        yield made
    finally:
        for sink in made.values():
            sink.close()


@pytest.mark.slow
def test_a_killed_sink_of_three_loses_nothing_and_doubles_nothing(
    pipeline: Pipeline, sinks: dict[int, SinkProcess], tmp_path: Path
) -> None:
    require_collector()
    token_file = pipeline.directory / "token"
    token_file.write_text(pipeline.token + "\n")
    token_file.chmod(0o600)
    kept = tmp_path / "heads.json"
    published: dict[str, str] = {}

    def publish(count: int, seconds: float) -> None:
        lines = pipeline.run("publish_steady.py", str(count), str(seconds), "celery")
        published.update({line["id"]: json.dumps([seconds]) for line in lines})

    def publish_until(condition: Callable[[], bool], what: str) -> None:
        """Publish ten tasks at a time: each request of the Collector goes to the next sink."""
        for _ in range(MOST_TURNS):
            if condition():
                return
            publish(10, 0.02)
        raise AssertionError(f"after {MOST_TURNS} turns still not: {what}; {balancer.served}")

    def ends() -> dict[int, int]:
        return {row["chain"]: row["n"] for row in pipeline.rows(HEADS)}

    with (
        TcpBalancer([sink.port for sink in sinks.values()]) as balancer,
        RealCollector(
            balancer.url, token_file, pipeline.directory / "otelcol", CONFIGURATIONS
        ) as collector,
    ):
        pipeline.endpoint = collector.endpoint
        worker = pipeline.start_worker()
        publish(40, 0.02)
        publish_until(
            lambda: all(ends().get(chain) for chain in CHAINS), "each sink has written a block"
        )
        killed = sinks[2].process
        assert killed is not None
        sinks[2].process = None
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert pipeline.verify("--head-out", str(kept)).returncode == 3
        at_kill = ends()
        before = len(published)
        publish(60, 0.02)
        wait_until(
            lambda: pipeline.value(STORED_ENDS) > before, "the others take what comes meanwhile"
        )
        sinks[2].start()
        publish_until(lambda: ends()[2] > at_kill[2], "the one that came back has its share")
        wait_until(
            lambda: pipeline.value(STORED_ENDS) >= len(published),
            "all that was published is stored",
        )
        assert worker.stop() == 0
        wait_until(lambda: not pipeline.rows(UNFINISHED), "every stream has its end, and all of it")
        wait_until(lambda: collector.queued() == 0, "the queue is empty")
        tasks = wait_for_arguments(pipeline, published)

    assert sorted(line["id"] for line in pipeline.recorded()) == sorted(published)
    assert [task["runs"] for task in tasks] == [1] * len(published)
    assert pipeline.value(MISSING) == 0
    assert pipeline.value(DOUBLE_SPANS) == 0
    assert pipeline.value(DOUBLE_PAYLOADS) == 0
    whole = pipeline.verify("--against", str(kept))
    assert whole.returncode == 0, whole.stdout + whole.stderr
    newer = pipeline.verify("--since", str(kept))
    assert newer.returncode == 0, newer.stdout + newer.stderr


def test_the_collector_itself_finds_the_configuration_in_order(tmp_path: Path) -> None:
    environ = {
        "CELERYTRAIL_SINK_ENDPOINT": "http://127.0.0.1:4318",
        "CELERYTRAIL_TOKEN_FILE": str(tmp_path / "token"),
    }
    found = validate(environ, *CONFIGURATIONS)
    assert found.returncode == 0, found.stderr
