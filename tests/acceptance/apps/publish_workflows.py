"""Publish one workflow of each shape and print which tasks belong to it."""

from __future__ import annotations

import json

from celery import chain, chord, group
from ordinary import add, flaky, total

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)


def say(name: str, results: list, group_id: str | None = None) -> None:
    print(json.dumps({"name": name, "ids": [result.id for result in results], "group": group_id}))


if __name__ == "__main__":
    say("single", [add.delay(1, 1)])
    say("retries", [flaky.delay(2)])
    members = group(add.s(number, 1) for number in range(4)).apply_async()
    say("group", members.results, members.id)
    body = chord([add.s(number, 1) for number in range(3)], total.s()).apply_async()
    say("chord", [*body.parent.results, body], body.parent.id)
    last = chain(add.s(1, 1), add.s(2), add.s(3)).apply_async()
    say("chain", [last.parent.parent, last.parent, last])
