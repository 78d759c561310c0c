"""What the agent costs the calling thread, beside empty receivers and another instrumentation.

``python -m tests.bench.agent_cost [--json]`` prints, for a publish (before and after_task_publish,
one event of ours) of small and large payloads and for a run (task_prerun and task_postrun, two
events), the CPU time of the calling thread with no receivers, empty receivers, the agent, and
opentelemetry-instrumentation-celery (batch processor, exporter that drops); and that of writing as
many bytes as the agent writes, in one ``os.write``. The variants take turns in one run, in another
order each round, so a noisy machine hits all of them alike; the ratios are what to compare.
``--against DIR`` puts the agent of the package ``celerytrail`` in DIR beside ours, in place of the
instrumentation. Four units say how fast the machine was meanwhile.
"""

from __future__ import annotations

import argparse
import importlib
import json
import operator
import os
import random
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
from celerytrail.exporter.spool.segment import Frame, scan
from celerytrail.exporter.spool.trail import TRAIL_HEADER
from tests.bench.machine_units import machine_units
from tests.bench.other_checkout import other_agent

HOT = ("before_task_publish", "after_task_publish", "task_prerun", "task_postrun")
EVENTS = {"publish": 1, "run": 2}
UNITS = "units"
BATCH = 100
TWO = {"order": {"id": 17, "lines": [1, 2, 3]}, "customer": "someone"}
PAYLOADS: dict[str, dict[str, Any]] = {
    "no payload": {},
    "2 keyword arguments": TWO,
    "20 of 100 characters": {f"field_{n}": f"{n:02d}" * 50 for n in range(20)},
    "a list of 100 dicts": {
        "rows": [{"id": n, "name": f"row {n}", "on": True} for n in range(100)]
    },
}
FLOOR, OURS, WRITING = "empty receivers", "celerytrail", "writing as many bytes"
OTHER, CONTRIB = "celerytrail of another checkout", "opentelemetry-instrumentation-celery"
# Of a message that was published with the agent, as a worker's nearly always was.
TRAIL = f"1;{'1f' * 16}{'2e' * 8};1790000000000000000;;;;;;celery"


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


def agent(
    make_config: Any = AgentConfig, put: Any = install, take_away: Any = uninstrument
) -> Callable[[], Any]:
    """The agent, writing into a real spool; the shipper is off."""

    @contextmanager
    def installed() -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder:
            config = make_config.from_env(
                {"CELERYTRAIL_SHIPPER": "off", "CELERYTRAIL_SPOOL_MAX_BYTES": str(1 << 32)},
                spool_dir=Path(folder) / "spool",
            )
            put(config)
            yield
            take_away()

    return installed


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
        self.kwargs: dict[str, Any] = TWO

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
            {**message.headers, TRAIL_HEADER: TRAIL},
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
    FLOOR: empty_receivers,
    OURS: agent(),
    CONTRIB: contrib,
}

Costs = dict[str, float]


def measure(rounds: int = 30, against: Path | None = None) -> dict[str, Costs]:
    """Return microseconds of thread CPU by what is done (a publish of each payload, a run) and variant.

    ``against`` is a directory with another checkout's package. The units of the machine are there too.
    """
    workload = Workload()
    samples: dict[str, dict[str, list[float]]] = {}
    variants = dict(VARIANTS)
    importlib.import_module("opentelemetry.context")  # for all alike: it is looked at where it is
    if against is not None:
        del variants[CONTRIB]
        there = other_agent(against)
        variants[OTHER] = agent(there.AgentConfig, there.install, there.uninstrument)
    for number in range(rounds + 1):
        for unit, spent in machine_units().items():
            samples.setdefault(UNITS, {}).setdefault(unit, []).append(spent)
        for variant, installed in random.sample(list(variants.items()), len(variants)):
            with installed():
                for name, action, kwargs in _actions(workload):
                    workload.kwargs = kwargs
                    _batch(action, [workload.message() for _ in range(20)])
                    spent = _batch(action, [workload.message() for _ in range(BATCH)])
                    if number:  # the first round only warms up
                        samples.setdefault(name, {}).setdefault(variant, []).append(spent)
        for name, action, kwargs in _actions(workload):
            workload.kwargs = kwargs
            samples.setdefault(name, {}).setdefault(WRITING, []).append(
                _writing(_bytes_written(workload, action))
            )
    return {
        name: {
            variant: _typical(values, None if variant == WRITING else costs.get(FLOOR))
            for variant, values in costs.items()
        }
        for name, costs in samples.items()
    }


def _typical(values: list[float], floors: list[float] | None) -> float:
    # What a variant costs over the floor is told within each round: a load that comes and goes hits both.
    if floors is None or len(values) != len(floors):
        return statistics.median(values)
    over = statistics.median(map(operator.sub, values, floors))
    return statistics.median(floors) + over


def _actions(workload: Workload) -> Iterator[tuple[str, Callable[[Any], None], dict[str, Any]]]:
    for name, kwargs in PAYLOADS.items():
        yield f"publish, {name}", workload.publish, kwargs
    yield "run", workload.run, TWO


def _batch(action: Callable[[Any], None], messages: list[Any]) -> float:
    begun = time.thread_time_ns()
    for message in messages:
        action(message)
    return (time.thread_time_ns() - begun) / len(messages) / 1000


def _bytes_written(workload: Workload, action: Callable[[Any], None]) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        config = AgentConfig.from_env({"CELERYTRAIL_SHIPPER": "off"}, spool_dir=Path(folder) / "s")
        install(config)
        action(workload.message())
        uninstrument()
        (segment,) = Path(folder, "s").glob("*.seg")
        data = segment.read_bytes()
        frames = [item for item in scan(data) if isinstance(item, Frame)]
    # Besides the header, and what a stream says when it is opened and closed.
    return [frame.end - frame.start for frame in frames[2:-1]]


def _writing(sizes: list[int]) -> float:
    frames = [bytes(size) for size in sizes]
    with tempfile.TemporaryFile(buffering=0) as file:
        descriptor = file.fileno()
        begun = time.thread_time_ns()
        for _ in range(BATCH):
            for frame in frames:
                os.write(descriptor, frame)
        return (time.thread_time_ns() - begun) / BATCH / 1000


def report(results: dict[str, Costs]) -> str:
    """Return the table: cost, cost of an event over an empty receiver, ratio to it."""
    lines = [f"{'microseconds':<64}{'cost':>8}{'over':>8}{'ratio':>8}"]
    for name, costs in results.items():
        if name == UNITS:
            lines += [
                f"{name + ': ' + unit:<64}{'':>8}{spent:>8.2f}" for unit, spent in costs.items()
            ]
            continue
        events = EVENTS[name.partition(",")[0]]
        floor = costs[FLOOR]
        for variant, cost in costs.items():
            if variant == WRITING:
                lines.append(f"{name + ': ' + variant:<64}{'':>8}{cost / events:>8.1f}")
                continue
            over = (cost - floor) / events
            lines.append(f"{name + ': ' + variant:<64}{cost:>8.1f}{over:>8.1f}{cost / floor:>8.2f}")
    lines.append("over: an event over an empty receiver (a publish is 1 event, a run 2)")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU cost of the agent, beside others")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="the package celerytrail in DIR"
    )
    arguments = parser.parse_args()
    results = measure(arguments.rounds, arguments.against)
    print(json.dumps(results) if arguments.json else report(results))


if __name__ == "__main__":
    main()
