"""What the agent costs the thread that publishes a link of a chain, by how many links there are.

``python -m tests.bench.chain_cost [--rounds N] [--json] [--against DIR]``. The messages are Celery's own: a
chain is sent, its message is decoded as a worker decodes it, and the next link is sent from within
that task as Celery's tracer does. Its signals are then fired again and again, the encoding of the
body between them, with empty receivers and with the agent in turns.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery
from celery import Celery, chain, signals, signature
from celery._state import _task_stack
from celery.app.task import Context
from kombu.serialization import dumps

from celerytrail.exporter.spool.trail import TRAIL_HEADER
from tests.bench.agent_cost import FLOOR, OTHER, OURS, TRAIL, agent, empty_receivers
from tests.bench.other_checkout import other_agent

LENGTHS = (2, 10, 100, 1000)
BATCH = 20
FIRST, LATER = "the first link", "the second link"

Costs = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Publish:
    """What the signals of one publish say, and the request of the task that publishes, if any."""

    body: Any
    headers: dict[str, Any]
    properties: dict[str, Any]
    request: Context | None


class Chains:
    """Fires the signals of a publish of the first link, or the second one, of a chain."""

    def __init__(self) -> None:
        self.app = Celery("bench", broker="memory://", set_as_current=False)
        self.task = self.app.task(name="bench.link", shared=False)(_link)
        self.app.finalize()
        self.queue = self.app.amqp.queues["celery"]

    def publishes(self, links: int) -> dict[str, Publish]:
        """Return the publishes of the first two links of a chain."""
        first = self._sent(lambda: chain([self.task.s(1)] * links, app=self.app).apply_async())
        # As they come to a worker: what a chain's message carries are plain dicts.
        args, kwargs, embedded = json.loads(dumps(first.body, serializer="json")[2])
        request = Context({**first.headers, TRAIL_HEADER: TRAIL}, args=args, kwargs=kwargs)
        request.update(embedded, called_directly=False, delivery_info={"routing_key": "celery"})
        with self._running(request):
            # Celery 5.7 leaves the task's own chain as it is, up to 5.5 a link was taken off.
            left = request.chain[:-1] if celery.VERSION >= (5, 6) else request.chain
            link = request.chain[-1] if celery.VERSION >= (5, 6) else request.chain.pop()
            send = signature(link, app=self.app).apply_async
            ids = {"parent_id": request.id, "root_id": request.root_id}
            second = self._sent(lambda: send((3,), chain=left, **ids))
        return {FIRST: first, LATER: Publish(second.body, second.headers, {}, request)}

    def fire(self, publish: Publish) -> float:
        """Publish without a broker, several times; return microseconds of this thread each."""
        with self._running(publish.request):
            spent = 0
            for _ in range(BATCH):
                headers = publish.headers.copy()
                begun = time.thread_time_ns()
                self._publish(publish, headers)
                spent += time.thread_time_ns() - begun
        return spent / BATCH / 1000

    def _publish(self, publish: Publish, headers: dict[str, Any]) -> None:
        said = {"body": publish.body, "headers": headers, "exchange": "", "routing_key": "celery"}
        signals.before_task_publish.send(
            sender="bench.link", declare=[self.queue], properties={}, retry_policy={}, **said
        )
        dumps(publish.body, serializer="json")
        signals.after_task_publish.send(sender="bench.link", **said)

    def _sent(self, send: Callable[[], Any]) -> Publish:
        sent: list[Publish] = []

        def note(body: Any, headers: Any, properties: Any, **_: Any) -> None:
            sent.append(Publish(body, dict(headers), properties, None))

        signals.before_task_publish.connect(note, weak=False, dispatch_uid="note")
        try:
            send()
        finally:
            signals.before_task_publish.disconnect(dispatch_uid="note")
        return sent[0]

    @contextmanager
    def _running(self, request: Context | None) -> Iterator[None]:
        if request is None:
            yield
            return
        _task_stack.push(self.task)
        self.task.request_stack.push(request)
        try:
            yield
        finally:
            self.task.request_stack.pop()
            _task_stack.pop()


def _link(x: int, y: int = 0) -> int:
    return x + y


def measure(rounds: int = 20, against: Path | None = None) -> Costs:
    """Return microseconds of a publish over empty receivers, by link, length and variant."""
    chains = Chains()
    publishes = {
        f"{which} of {links:,}": publish
        for links in LENGTHS
        for which, publish in chains.publishes(links).items()
    }
    variants: dict[str, Callable[[], Any]] = {FLOOR: empty_receivers, OURS: agent()}
    if against is not None:
        there = other_agent(against)
        variants[OTHER] = agent(there.AgentConfig, there.install, there.uninstrument)
    samples: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds + 1):
        for variant, installed in random.sample(list(variants.items()), len(variants)):
            with installed():
                for publish in publishes.values():
                    chains.fire(publish)  # the spool is opened, and the tasks are described
                for name, publish in publishes.items():
                    spent = chains.fire(publish)
                    if turn:
                        samples.setdefault(name, {}).setdefault(variant, []).append(spent)
    return {
        name: {
            variant: statistics.median(
                one - floor for one, floor in zip(found, spent_by[FLOOR], strict=True)
            )
            if variant != FLOOR
            else statistics.median(found)
            for variant, found in spent_by.items()
        }
        for name, spent_by in samples.items()
    }


def report(results: Costs) -> str:
    """Return the table: what empty receivers cost, and what each agent costs over them."""
    variants = list(next(iter(results.values())))
    width = max(map(len, results))
    lines = [f"{'microseconds, over empty receivers':<{width}}  " + "  ".join(variants)]
    for name, costs in results.items():
        found = "  ".join(f"{costs[variant]:>{len(variant)}.1f}" for variant in variants)
        lines.append(f"{name:<{max(width, 34)}}  {found}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU cost of a publish of a chain's link")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="the package celerytrail in DIR"
    )
    given = parser.parse_args()
    results = measure(given.rounds, given.against)
    print(json.dumps(results) if given.json else report(results))


if __name__ == "__main__":
    main()
