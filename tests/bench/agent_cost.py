"""What the agent costs the calling thread, beside empty receivers and another instrumentation.

``python tests/bench/agent_cost.py [--json]`` prints, for a publish (before and after_task_publish,
one event of ours) and a run (task_prerun and task_postrun, two events), the CPU time of the calling
thread with no receivers, empty receivers, the agent, and opentelemetry-instrumentation-celery
(batch processor, exporter that drops). The variants take turns in one run, so a noisy machine hits
all of them alike; the ratios are what to compare.
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery._state import _task_stack
from celery.app.task import Context
from kombu.serialization import dumps

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.install import install, uninstrument

HOT = ("before_task_publish", "after_task_publish", "task_prerun", "task_postrun")
EVENTS = {"publish": 1, "run": 2}
BATCH = 100


def _add(x: int, y: int) -> int:
    return x + y


def _receiver(**_: Any) -> None:
    """Do nothing: the floor of the signal dispatch."""


@contextmanager
def no_receivers() -> Iterator[None]:
    """Nothing is connected."""
    yield


@contextmanager
def empty_receivers() -> Iterator[None]:
    """One receiver a signal that does nothing."""
    for name in HOT:
        getattr(signals, name).connect(_receiver, weak=False, dispatch_uid="floor")
    yield
    for name in HOT:
        getattr(signals, name).disconnect(dispatch_uid="floor")


@contextmanager
def our_agent() -> Iterator[None]:
    """The agent, writing into a real spool; the shipper is off."""
    with tempfile.TemporaryDirectory() as folder:
        config = AgentConfig.from_env(
            {"CELERYTRAIL_SHIPPER": "off", "CELERYTRAIL_SPOOL_MAX_BYTES": str(1 << 32)},
            spool_dir=Path(folder) / "spool",
        )
        install(config)
        yield
        uninstrument()


@contextmanager
def contrib() -> Iterator[None]:
    """opentelemetry-instrumentation-celery with a batch processor and an exporter that drops."""
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    instrumentation = importlib.import_module("opentelemetry.instrumentation.celery")

    class Dropping(export.SpanExporter):  # type: ignore[misc, name-defined]
        def export(self, spans: Any) -> Any:
            return export.SpanExportResult.SUCCESS

    provider = sdk.TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(Dropping()))
    instrumentor = instrumentation.CeleryInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield
    instrumentor.uninstrument()
    provider.shutdown()


class Workload:
    """Fires the real signals with what Celery would pass along."""

    def __init__(self) -> None:
        self.app = Celery("bench", broker="memory://", set_as_current=False)
        self.app.task(name="bench.add")(_add)
        self.app.finalize()
        self.task = self.app.tasks["bench.add"]
        self.queue = self.app.amqp.queues["celery"]
        self.kwargs = {"order": {"id": 17, "lines": [1, 2, 3]}, "customer": "someone"}

    def message(self) -> Any:
        """Make one protocol 2 message, as app.send_task does."""
        return self.app.amqp.as_task_v2(str(uuid.uuid4()), "bench.add", (1, 2), self.kwargs)

    def publish(self, message: Any) -> None:
        """Publish without a broker: the signals, and the encoding between them."""
        signals.before_task_publish.send(
            sender="bench.add",
            body=message.body,
            exchange="",
            routing_key="celery",
            declare=[self.queue],
            headers=message.headers,
            properties=message.properties,
            retry_policy={},
        )
        dumps(message.body, serializer="json")
        signals.after_task_publish.send(
            sender="bench.add",
            body=message.body,
            headers=message.headers,
            exchange="",
            routing_key="celery",
        )

    def run(self, message: Any) -> None:
        """Run without a pool: the two signals, with the request where the tracer puts it."""
        task, task_id = self.task, message.headers["id"]
        request = Context(
            message.headers,
            args=(1, 2),
            called_directly=False,
            delivery_info={
                "exchange": "",
                "routing_key": "celery",
                "priority": 0,
                "redelivered": False,
            },
        )
        _task_stack.push(task)
        task.request_stack.push(request)
        signals.task_prerun.send(
            sender=task, task_id=task_id, task=task, args=(1, 2), kwargs=self.kwargs
        )
        signals.task_postrun.send(
            sender=task,
            task_id=task_id,
            task=task,
            args=(1, 2),
            kwargs=self.kwargs,
            retval=3,
            state="SUCCESS",
        )
        task.request_stack.pop()
        _task_stack.pop()


VARIANTS: dict[str, Callable[[], Any]] = {
    "no receivers": no_receivers,
    "empty receivers": empty_receivers,
    "celerytrail": our_agent,
    "opentelemetry-instrumentation-celery": contrib,
}


def measure(rounds: int = 30) -> dict[str, dict[str, float]]:
    """Return, for each variant, microseconds of thread CPU a publish and a run (medians)."""
    workload = Workload()
    samples: dict[str, dict[str, list[float]]] = {
        name: {"publish": [], "run": []} for name in VARIANTS
    }
    for number in range(rounds + 1):
        for name, variant in VARIANTS.items():
            with variant():
                for kind in EVENTS:
                    action = getattr(workload, kind)
                    _batch(action, [workload.message() for _ in range(20)])
                    spent = _batch(action, [workload.message() for _ in range(BATCH)])
                    if number:  # the first round only warms up
                        samples[name][kind].append(spent)
    return {
        name: {kind: statistics.median(values) for kind, values in kinds.items()}
        for name, kinds in samples.items()
    }


def _batch(action: Callable[[Any], None], messages: list[Any]) -> float:
    begun = time.thread_time_ns()
    for message in messages:
        action(message)
    return (time.thread_time_ns() - begun) / len(messages) / 1000


def report(results: dict[str, dict[str, float]]) -> str:
    """Return the table: cost, cost of an event over an empty receiver, ratio to it."""
    floor = results["empty receivers"]
    lines = [
        f"{'':<38}{'publish us':>11}{'over':>8}{'ratio':>7}{'run us':>11}{'over':>8}{'ratio':>7}"
    ]
    for name, costs in results.items():
        cells = "".join(
            f"{costs[kind]:>11.1f}{(costs[kind] - floor[kind]) / events:>8.1f}{costs[kind] / floor[kind]:>7.2f}"
            for kind, events in EVENTS.items()
        )
        lines.append(f"{name:<38}{cells}")
    lines.append("over: microseconds an event over an empty receiver (publish is 1 event, a run 2)")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU cost of the agent, beside others")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    results = measure(arguments.rounds)
    print(json.dumps(results) if arguments.json else report(results))


if __name__ == "__main__":
    main()
