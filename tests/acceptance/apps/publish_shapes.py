"""Publish workflows of many shapes and print, as JSON lines, which tasks and group each has."""

from __future__ import annotations

import json

from celery import chain, chord, group
from ordinary import add, total
from shapes import again, check, skip, spawn

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)

WRONG = list(range(30, 70))


def say(name: str, results: list, group_id: str | None = None, body: str | None = None) -> None:
    line = {"name": name, "ids": [result.id for result in results], "group": group_id, "body": body}
    print(json.dumps(line), flush=True)


def nested_chord() -> None:
    """20 headers: 15 plain, one that is retried, and a group of four inside."""
    inside = group(add.s(number, 100) for number in range(4))
    headers = group([*(add.s(number, 1) for number in range(15)), again.s(7), inside])
    body = chord(headers, total.s()).apply_async()
    say("nested", leaves(body.parent), body.parent.id, body.id)


def chord_of_chords() -> None:
    """An outer chord of three, each an inner chord of two with its own body."""
    inner = [chord([add.s(n, 1), add.s(n, 2)], total.s()) for n in range(3)]
    body = chord(inner, total.s()).apply_async()
    say("chords", [], body.parent.id, body.id)


def leaves(result) -> list:
    children = getattr(result, "results", None)
    return [result] if children is None else [leaf for one in children for leaf in leaves(one)]


def failing_chord(name: str, size: int, wrong: list[int]) -> None:
    body = chord([check.s(number, wrong) for number in range(size)], total.s()).apply_async()
    say(name, body.parent.results, body.parent.id, body.id)


if __name__ == "__main__":
    nested_chord()
    chord_of_chords()
    failing_chord("failed", 100, WRONG)
    failing_chord("fine", 5, [])
    body = chord([add.s(1, 1), skip.s(2), add.s(3, 3)], total.s()).apply_async()
    say("skipped", body.parent.results, body.parent.id, body.id)
    members = group(check.s(number, [2]) for number in range(4)).apply_async()
    say("group", members.results, members.id)
    last = chain(add.s(1, 1), check.s([2]), add.s(5)).apply_async()
    say("chain", [last.parent.parent, last.parent, last])
    say("spawn", [spawn.delay(3)])
    say("single", [check.delay(1, [1])])
    body = chord([add.s(1, 1), add.s(2, 2)], total.s().set(queue="nobody")).apply_async()
    say("waiting", body.parent.results, body.parent.id, body.id)
