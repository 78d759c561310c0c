"""Publish about N tasks of every kind, drawn by a seed: arguments are N and the seed.

``published`` lines are what this process has the ids of: they do not rest on a signal of Celery.
"""

from __future__ import annotations

import random
import sys

from celery import chain, chord, group
from soaked import add, app, fail, flaky, nap, notebook, nothing, spawn, sturdy, sturdy_nap, total

import celerytrail.exporter.auto  # noqa: F401 (before the application's own receiver of publishes)

KINDS = {
    "nothing": 66,
    "sturdy": 10,
    "fail": 6,
    "flaky": 6,
    "nap": 2,
    "sturdy_nap": 3,
    "spawn": 3,
    "chain": 2,
    "group": 1,
    "chord": 1,
}


def publish(kind: str, number: int, chance: random.Random, producer) -> int:
    """Publish one of a kind, and return how many tasks it makes when nothing is killed."""
    if kind == "chain":
        links = chain(add.s(number, 1), add.s(2), add.s(3))
        first = links.apply_async(producer=producer)
        while first.parent is not None:
            first = first.parent
        notebook.write("published", first.id, 0)
        return 3
    if kind == "group":
        members = group(add.s(number, item) for item in range(4)).apply_async(producer=producer)
        for member in members.results:
            notebook.write("published", member.id, 0)
        return 4
    if kind == "chord":
        body = chord((add.s(number, item) for item in range(4)), total.s()).apply_async()
        for member in body.parent.results:
            notebook.write("published", member.id, 0)
        return 5
    task, args, makes = {
        "nothing": (nothing, (number,), 1),
        "sturdy": (sturdy, (number,), 1),
        "fail": (fail, (f"order {number} has no address",), 1),
        "flaky": (flaky, (chance.randint(1, 2),), 1),
        "nap": (nap, (chance.uniform(0.01, 0.05),), 1),
        "sturdy_nap": (sturdy_nap, (chance.uniform(0.01, 0.05),), 1),
        "spawn": (spawn, (2,), 3),
    }[kind]
    notebook.write("published", task.apply_async(args, producer=producer).id, 0)
    return makes


def main() -> None:
    count, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
    made = number = 0
    with app.producer_or_acquire() as producer:
        while made < count:
            (kind,) = chance.choices(list(KINDS), list(KINDS.values()))
            made += publish(kind, number, chance, producer)
            number += 1


if __name__ == "__main__":
    main()
