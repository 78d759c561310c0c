"""Publish 1,000 tasks of every kind and print, as JSON lines, what was sent and what to expect."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta, timezone

from celery import chain, chord, group
from celery.utils import uuid
from ordinary import add, app, fail, flaky, nap, total

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)


def say(result, kind: str, task: str, args: list, **expected) -> None:
    print(json.dumps({"id": result.id, "kind": kind, "task": task, "args": args, **expected}))


def plain(count: int) -> None:
    for number in range(count):
        before = time.time()
        result = add.apply_async((number, 1), {"password": f"hunter{number}"})
        say(result, "plain", "ordinary.add", [number, 1], before=before)


def failing(count: int) -> None:
    for number in range(count):
        before = time.time()
        result = fail.apply_async((f"order {number} has no address",))
        say(result, "failing", "ordinary.fail", [f"order {number} has no address"], before=before)


def retrying(count: int) -> None:
    for number in range(count):
        before = time.time()
        result = flaky.apply_async((number % 3,))
        say(result, "retrying", "ordinary.flaky", [number % 3], before=before)


def revoked(count: int) -> None:
    """Revoke half before they are published, and half while they wait for their ETA in the only worker."""
    early = [uuid() for _ in range(count // 2)]
    began = time.monotonic()
    app.control.revoke(early, reply=True, limit=1, timeout=60)
    results = [nap.apply_async((0.0,), task_id=task_id) for task_id in early]
    # The other half takes about as long: by so much it can be late, whatever the machine.
    due = datetime.now(timezone.utc) + timedelta(seconds=3 + 20 * (time.monotonic() - began))
    late = [nap.apply_async((0.0,), eta=due) for _ in range(count - len(early))]
    app.control.revoke([result.id for result in late], reply=True, limit=1, timeout=60)
    if datetime.now(timezone.utc) >= due:
        sys.exit("the worker has heard of the revoke too late: the time of the tasks had come")
    for result in results + late:
        say(result, "revoked", "ordinary.nap", [0.0])


def workflows() -> None:
    before = time.time()
    members = group(add.s(number, 2) for number in range(50)).apply_async()
    for number, result in enumerate(members.results):
        say(
            result, "group", "ordinary.add", [number, 2], group=members.id, root_group=members.id,
            before=before,
        )  # fmt: skip
    body = chord((add.s(number, 3) for number in range(20)), total.s()).apply_async()
    headers = body.parent
    for number, result in enumerate(headers.results):
        say(
            result, "header", "ordinary.add", [number, 3], group=headers.id, root_group=headers.id,
            body=body.id, before=before,
        )  # fmt: skip
    say(body, "body", "ordinary.total", [[number + 3 for number in range(20)]],
        root_group=headers.id, before=before)  # fmt: skip
    last = chain(add.s(0, 1), *(add.s(1) for _ in range(9))).apply_async()
    links = [last]
    while links[-1].parent is not None:
        links.append(links[-1].parent)
    links.reverse()
    for number, result in enumerate(links):
        say(result, "chain", "ordinary.add", [number, 1], root=links[0].id, before=before)


if __name__ == "__main__":
    revoked(20)
    workflows()
    rest = 1000 - 20 - 50 - 21 - 10
    retrying(60)
    failing(100)
    plain(rest - 160)
    sys.stdout.flush()
