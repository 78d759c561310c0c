"""What records say of their tasks: parameters by the signature, and what was declared."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, _state, chain, chord, group

from celerytrail.exporter.agent.sensitive import sensitive
from celerytrail.exporter.agent.task_rules import MAX_PARAMETERS, TaskRules
from tests.unit.agent.conftest import Recorded


@pytest.fixture
def shop(app: Celery) -> Celery:
    @app.task(shared=False, name="login")
    def login(user: str, password: str) -> None: ...

    @app.task(shared=False, name="pay", bind=True)
    @sensitive("card", 1, result=True, exception=True)
    def pay(self: Any, amount: int, card: str, *codes: str, tip: int = 0) -> None:
        raise ValueError(card)

    return app


def said(text: Any) -> dict[str, Any]:
    assert type(text) is str
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


PAY = {
    "task": "pay",
    "params": ["amount", "card"],
    "rest": "codes",
    "keys": ["card"],
    "args": [1],
    "result": True,
    "exception": True,
}
LOGIN = {"task": "login", "params": ["user", "password"]}


def test_a_send_says_what_its_task_is_like(recorded: Recorded, shop: Celery) -> None:
    shop.tasks["login"].delay("ann", "x")
    shop.tasks["pay"].delay(1, "x")
    shop.send_task("login", ("ann", "x"))
    shop.send_task("of somebody else", ("ann", "x"))
    rules = [record.fields["task_rules"] for record in recorded.of("sent")]
    assert [said(text) for text in rules[:3]] == [LOGIN, PAY, LOGIN]
    assert rules[3] is None


def test_a_canvas_says_it_for_the_tasks_inside(recorded: Recorded, shop: Celery) -> None:
    login, pay, add = (shop.tasks[name] for name in ("login", "pay", "add"))
    canvases = (
        chain(add.si(1, 2), login.s("x"), pay.s()),
        add.signature((1, 2), link=login.s("x"), link_error=pay.s()),
        chord([add.si(1, 2)], chain(login.s("x"), pay.s("y"))),
        chain(add.si(1, 2), group(login.s("x"), chain(pay.s(), add.s(1)))),
        chain(add.si(1, 2), login.si("x", "y"), *[add.si(1, 2)] * 50, pay.s(), add.s(1)),
        chain(add.si(1, 2), add.signature((1, 2), link=login.s("x")), pay.s(), add.s(1)),
        chain(add.si(1, 2), pay.chunks([(1, "x")], 1), login.s()),
    )
    for canvas in canvases:
        before = len(recorded.of("sent"))
        canvas.apply_async()
        rules = recorded.of("sent")[before].fields["task_rules"]
        assert said(rules[0])["task"] == "add"
        assert {said(text)["task"] for text in rules} >= {"login", "pay"}


def test_a_map_says_what_its_task_is_like(recorded: Recorded, shop: Celery) -> None:
    shop.tasks["login"].starmap([("ann", "x")]).apply_async()
    (sent,) = recorded.of("sent")
    assert [said(text)["task"] for text in sent.fields["task_rules"]] == ["celery.starmap", "login"]


def test_the_end_of_a_run_says_it_too(recorded: Recorded, shop: Celery) -> None:
    shop.tasks["pay"].apply((1, "x"))
    (failed,) = recorded.of("failed")
    assert said(failed.fields["task_rules"]) == PAY


def test_looking_for_a_task_does_not_finalize_the_app() -> None:
    bare = Celery("lazy", broker="memory://", set_as_current=False)

    @bare.task(shared=False, name="lazy task")
    def lazy(password: str) -> None: ...

    assert TaskRules().of_name("lazy task") is None
    assert not bare.finalized
    bare.finalize()
    assert said(TaskRules().of_name("lazy task"))["params"] == ["password"]


def test_a_task_that_is_made_after_it_was_asked_for_is_found() -> None:
    bare = Celery("later", broker="memory://", set_as_current=False)
    bare.finalize()
    rules = TaskRules()
    with current(bare):
        for _ in range(2):
            assert rules.of_name("later task") is None

        @bare.task(shared=False, name="later task")
        def later(password: str) -> None: ...

        assert said(rules.of_name("later task"))["params"] == ["password"]


def test_another_task_of_the_same_name_is_described_anew(app: Celery) -> None:
    rules = TaskRules()
    assert said(rules.of_task(app.tasks["add"]))["params"] == ["x", "y"]
    other = Celery("other", broker="memory://", set_as_current=False)

    @other.task(shared=False, name="add")
    def add(secret: int) -> None: ...

    other.finalize()
    assert said(rules.of_task(other.tasks["add"]))["params"] == ["secret"]


@contextmanager
def current(app: Celery) -> Iterator[None]:
    before = _state._tls.current_app
    _state._tls.current_app = app
    try:
        yield
    finally:
        _state._tls.current_app = before


class Hostile:
    name = "hostile"

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("name", [None, 3, [], {}, b"x", "unknown"])
def test_what_is_no_task_has_no_rules(name: Any) -> None:
    rules = TaskRules()
    for body in ((), ((), {}, {"chain": [name]}), {"kwargs": name}, None, ((), name, {"chord": 1})):
        assert rules.of_message(name, body) is None
    assert rules.of_task(Hostile()) is None
    assert rules.of_task(name) is None


def test_a_signature_without_end_is_cut() -> None:
    bare = Celery("wide", broker="memory://", set_as_current=False)

    def wide() -> None: ...

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(f"p{n}", kind) for n in range(200)]
    wide.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    bare.task(shared=False, name="wide")(wide)
    bare.finalize()
    assert len(said(TaskRules().of_task(bare.tasks["wide"]))["params"]) == MAX_PARAMETERS


def test_a_canvas_that_contains_itself_ends() -> None:
    loop: dict[str, Any] = {"task": "nowhere"}
    loop["options"] = {"link": [loop, loop]}
    assert TaskRules().of_message("nowhere either", ((), {}, {"chain": [loop]})) is None


def test_a_list_that_contains_itself_ends() -> None:
    lists: list[Any] = [{"task": "nowhere"}]
    lists.insert(0, lists)
    assert TaskRules().of_message("nowhere either", ((), {}, {"chain": lists})) is None
