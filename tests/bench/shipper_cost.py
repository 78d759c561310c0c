"""What the shipper costs a span, all of it: read, redact, seal, encode, compress, send.

``python -m tests.bench.shipper_cost [--rounds N] [--json] [--profile NAME]``. The spools are written by the real
agent, once; each round ships a copy of each to a receiver in another process, in turns with a
reference: the OpenTelemetry SDK's own exporter encoding and compressing spans of the same
attributes, without redaction, payloads, a spool or a request.
"""

from __future__ import annotations

import argparse
import cProfile
import gzip
import json
import pstats
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.install import install, uninstrument
from celerytrail.exporter.key_files import PSK_FILE, PUBLIC_FILE, generate
from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.otlp_settings import TRACES
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.shipper import Shipper
from celerytrail.exporter.shipper.span_builder import build_span
from tests.bench.agent_cost import Workload
from tests.bench.receiver_process import receiver
from tests.processes import exit_on_sigterm
from tests.sdk_oracle import KINDS, values
from tests.spool_segments import read_segments

TASKS = 2000
RECORDS_A_TASK = 3
TWO = {"order": {"id": 17, "lines": [1, 2, 3]}, "customer": "someone"}
TWENTY = {
    f"field_{number}": f"{number:04d} " + "some words of a text. " * 4 for number in range(20)
}
REFERENCE = "reference: the SDK's encoder and gzip"


@dataclass(frozen=True, slots=True)
class Case:
    """What is shipped: keyword arguments of the tasks, and whether bodies are sealed."""

    name: str
    kwargs: Mapping[str, Any]
    sealed: bool


CASES = (
    Case("2 kwargs", TWO, False),
    Case("2 kwargs, sealed", TWO, True),
    Case("20 kwargs of 90 characters", TWENTY, False),
    Case("20 kwargs of 90 characters, sealed", TWENTY, True),
)


def write_spool(spool: Path, kwargs: Mapping[str, Any], tasks: int = TASKS) -> None:
    """Let the agent record a publish and a run of each task: three spans."""
    config = AgentConfig.from_env(
        {"CELERYTRAIL_SHIPPER": "off", "CELERYTRAIL_SPOOL_MAX_BYTES": str(1 << 32)},
        spool_dir=spool,
    )
    workload = Workload()
    workload.kwargs = dict(kwargs)
    install(config)
    for _ in range(tasks):
        message = workload.message()
        workload.publish(message)
        workload.run(message)
    uninstrument()


def ship(spool: Path, url: str, keys: Path | None) -> tuple[int, float]:
    """Ship a spool to its end; return the spans and the CPU seconds it took, without its start."""
    settings = {"CELERYTRAIL_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
    if keys is not None:
        settings["CELERYTRAIL_SEAL_PUBLIC_KEY_FILE"] = str(keys / PUBLIC_FILE)
        settings["CELERYTRAIL_SEAL_PSK_FILE"] = str(keys / PSK_FILE)
    config = ShipperConfig.from_env(settings, spool=spool)
    patience = Patience(limit_seconds=300, drain_seconds=0.0, give_up=True)
    shipper = Shipper(config, patience)
    begun = time.process_time()
    try:
        shipper.drain()
        spent = time.process_time() - begun
    finally:
        shipper.close()
        patience.close()
    assert shipper.left_out == 0
    return shipper.delivery.counts.delivered[TRACES], spent


def reference(spool: Path) -> Callable[[], tuple[int, float]]:
    """Prepare the SDK's spans of a spool; return what encodes and compresses them."""
    spans = []
    for segment in read_segments(spool):
        for record in segment.records:
            span = Span.FromString(build_span(record, identify(segment.header, record), {}))
            spans.append(_readable(span))

    def encode() -> tuple[int, float]:
        begun = time.process_time()
        for start in range(0, len(spans), 512):
            gzip.compress(encode_spans(spans[start : start + 512]).SerializeToString(), 6)
        return len(spans), time.process_time() - begun

    return encode


def _readable(span: Span) -> ReadableSpan:
    trace_id = int.from_bytes(span.trace_id, "big")
    parent = int.from_bytes(span.parent_span_id, "big")
    return ReadableSpan(
        name=span.name,
        context=SpanContext(trace_id, int.from_bytes(span.span_id, "big"), is_remote=False),
        parent=SpanContext(trace_id, parent, is_remote=True) if parent else None,
        resource=Resource({"service.name": "bench"}),
        attributes=values(span.attributes),  # type: ignore[arg-type]
        kind=KINDS[span.kind],
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
    )


def measure(rounds: int = 10, tasks: int = TASKS) -> dict[str, dict[str, float]]:
    """Return microseconds of CPU a span of each case: median, quartiles, ratio to the reference."""
    samples: dict[str, list[float]] = {REFERENCE: [], **{case.name: [] for case in CASES}}
    with tempfile.TemporaryDirectory() as folder, receiver() as url:
        directory = Path(folder)
        keys = directory / "keys"
        generate(keys)
        for number, case in enumerate(CASES):
            write_spool(directory / f"spool-{number}", case.kwargs, tasks)
        encode = reference(directory / "spool-0")
        work = directory / "work"
        for turn in range(rounds + 1):
            spans, spent = encode()
            if turn:  # the first round only warms up
                samples[REFERENCE].append(spent / spans * 1e6)
            for number, case in enumerate(CASES):
                shutil.copytree(directory / f"spool-{number}", work)
                spans, spent = ship(work, url, keys if case.sealed else None)
                shutil.rmtree(work)
                if turn:
                    samples[case.name].append(spent / spans * 1e6)
    return {
        name: {
            "us": statistics.median(found),
            "low": statistics.quantiles(found, n=4)[0],
            "high": statistics.quantiles(found, n=4)[2],
            "ratio": statistics.median(
                one / other for one, other in zip(found, samples[REFERENCE], strict=True)
            ),
        }
        for name, found in samples.items()
    }


def profile(case: Case, tasks: int = 2 * TASKS) -> None:
    """Print where the time of one case goes."""
    with tempfile.TemporaryDirectory() as folder, receiver() as url:
        directory = Path(folder)
        generate(directory / "keys")
        write_spool(directory / "spool", case.kwargs, tasks)
        profiler = cProfile.Profile()
        profiler.enable()
        ship(directory / "spool", url, directory / "keys" if case.sealed else None)
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


def report(results: dict[str, dict[str, float]]) -> str:
    """Return the table."""
    lines = [f"{'shipper, CPU us a span':<42}{'median':>8}{'quartiles':>16}{'ratio':>7}"]
    for name, found in results.items():
        quartiles = f"{found['low']:.1f} to {found['high']:.1f}"
        lines.append(f"{name:<42}{found['us']:>8.1f}{quartiles:>16}{found['ratio']:>7.2f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    exit_on_sigterm()
    parser = argparse.ArgumentParser(description="CPU cost of the shipper, a span")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", type=int, metavar="N", help="profile case N instead")
    given = parser.parse_args()
    if given.profile is not None:
        profile(CASES[given.profile])
        return
    results = measure(given.rounds)
    print(json.dumps(results) if given.json else report(results))


if __name__ == "__main__":
    main()
