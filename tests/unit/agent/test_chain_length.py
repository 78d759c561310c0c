"""A link knows its place in its chain, and finds it out without a look at each of the other links."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, chain
from celery.app.trace import build_tracer

from celerytrail.exporter.agent.chain_length import chain_length
from tests.unit.agent.conftest import Recorded


def links(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return the links that a message carries: the next one is the last."""
    numbers = range(first + count - 1, first - 1, -1)
    return [{"task": "add", "args": [], "options": {"task_id": f"t{n}"}} for n in numbers]


def running(own: Any) -> Any:
    return SimpleNamespace(id="t", chain=own)


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


OWN = links(3)
PLACES: dict[str, tuple[Any, Any, int | None]] = {
    "the first link": (OWN, None, 4),
    "the first link, sent from within a task": (OWN, running(None), 4),
    "a task alone": (None, running(None), None),
    "another task that a link sends": (None, running(OWN), None),
    "the next link": (OWN[:-1], running(OWN), -3),
    "the next link, up to 5.5: it was taken off": (OWN, running(OWN), -4),
    "the next link, copied": (copied(OWN[:-1]), running(OWN), -3),
    "a retry": (OWN, running(OWN), -4),
    "a retry, copied": (copied(OWN), running(OWN), -4),
    "the last link": ([], running(OWN[:1]), -1),
    "the last link, up to 5.5": ([], running([]), -1),
    "a link too far": (OWN[:-2], running(OWN), None),
    "another chain of as many links": (links(3, 7), running(OWN), None),
    "another chain of one less": (links(2, 7), running(OWN), None),
    "the same ends around another link": ([OWN[0], links(1, 9)[0], OWN[2]], running(copied(OWN)), None),
    "a chain in place of the last link": (links(2, 7), running(None), 3),
    "a chain with the task itself in it": ([*OWN, {"options": {"task_id": "t"}}], running(None), None),
    "what is no chain": ("abc", running(OWN), None),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_a_message_has_its_place(case: str) -> None:
    carried, request, place = PLACES[case]
    assert chain_length({"chain": carried, "chord": None}, request) == place


class OnlyItsEnds(list[dict[str, Any]]):
    """Links that cannot be compared or copied: each of them would be looked at."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    def __getitem__(self, index: Any) -> Any:
        assert index in (0, -1, len(self) - 1, len(self) - 2), index
        return super().__getitem__(index)

    __hash__ = None  # type: ignore[assignment]


def test_the_links_between_are_not_looked_at() -> None:
    own = links(1000)
    assert chain_length({"chain": OnlyItsEnds(own[:-1])}, running(OnlyItsEnds(own))) == -1000


def test_each_link_of_a_long_chain_says_its_place(recorded: Recorded, app: Celery) -> None:
    add = app.tasks["add"]
    chain([add.si(1, 1) for _ in range(150)], app=app).apply_async()
    trace = build_tracer("add", add, app=app)
    with app.connection_for_read() as connection:
        while (message := connection.default_channel.basic_get("unit")) is not None:
            args, kwargs, embedded = message.decode()
            request = {**message.headers, **embedded, "called_directly": False, "delivery_info": {}}
            trace(message.headers["id"], args, kwargs, request)
    places = [record.fields["chain_length"] for record in recorded.of("sent")]
    assert places == [150, *range(-149, 0)]
