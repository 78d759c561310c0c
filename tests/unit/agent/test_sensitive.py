"""What a task declares sensitive is found on it, however it was made."""

from __future__ import annotations

import functools
import subprocess
import sys
from typing import Any

import pytest
from celery import Celery, Task, _state, shared_task

from celerytrail.exporter.agent import sensitive
from celerytrail.exporter.agent.sensitive import Sensitive, SensitiveError, declared_by

CARD = Sensitive(("card",), (2,), result=True)


@pytest.fixture
def bare() -> Celery:
    return Celery("sensitive", broker="memory://", set_as_current=False)


def test_it_is_found_on_every_kind_of_task(bare: Celery) -> None:
    @bare.task(shared=False, name="below")
    @sensitive("card", 2, result=True)
    def below(card: str) -> None: ...

    @sensitive("card", 2, result=True)
    @bare.task(shared=False, name="above")
    def above(card: str) -> None: ...

    @bare.task(shared=False, name="bound", bind=True, autoretry_for=(KeyError,))
    @sensitive("card", 2, result=True)
    def bound(self: Any, card: str) -> None: ...

    @sensitive("card", 2, result=True)
    def inner(card: str) -> None: ...

    @functools.wraps(inner)
    def wrapper(*args: Any) -> None:
        inner(*args)

    bare.task(shared=False, name="wrapped")(wrapper)

    class Method(Task):  # type: ignore[misc]
        name = "method"

        @sensitive("card", 2, result=True)
        def run(self, card: str) -> None: ...

    @sensitive("card", 2, result=True)
    class Whole(Task):  # type: ignore[misc]
        name = "whole"

        def run(self, card: str) -> None: ...

    bare.register_task(Method())
    bare.register_task(Whole())
    bare.finalize()
    for name in ("below", "above", "bound", "wrapped", "method", "whole"):
        assert declared_by(bare.tasks[name]) == CARD, name


def test_marking_a_task_does_not_make_it_before_its_time(bare: Celery) -> None:
    @sensitive(0)
    @bare.task(shared=False, name="late")
    def late(card: str) -> None: ...

    assert "late" not in bare._tasks
    assert not bare.configured
    assert declared_by(bare.tasks["late"]) == Sensitive(positions=(0,))


def test_a_shared_task_can_be_marked() -> None:
    before = set(_state._on_app_finalizers)

    @shared_task(name="shared_card")
    @sensitive("card")
    def shared_card(card: str) -> None: ...

    try:
        assert declared_by(shared_card) == Sensitive(("card",))
    finally:
        # A shared task is put into every app that is made later, those of other tests too.
        _state._on_app_finalizers.difference_update(_state._on_app_finalizers - before)


def test_several_decorators_add_up() -> None:
    @sensitive("a", 1, exception=True)
    @sensitive("b", "a", result=True)
    def task() -> None: ...

    assert declared_by(task) == Sensitive(("b", "a"), (1,), result=True, exception=True)


@pytest.mark.parametrize("what", [(), (-1,), (True,), ("",), ("--",), (1.5,), (None,), (len,)])
def test_what_says_nothing_is_refused_with_the_reason(what: tuple[Any, ...]) -> None:
    with pytest.raises(SensitiveError, match="sensitive"):
        sensitive(*what)


def test_what_cannot_be_marked_is_refused() -> None:
    with pytest.raises(SensitiveError, match="right above the function"):
        sensitive("a")(len)


def test_the_task_runs_as_before() -> None:
    def task(card: str) -> str:
        return card

    assert sensitive("card")(task) is task


def test_importing_the_decorator_imports_nothing_of_celery() -> None:
    code = (
        "import sys; from celerytrail.exporter.agent import sensitive; "
        "print([m for m in ('celery', 'kombu', 'marshal', 'socket', 'asyncio', 'json') "
        "if m in sys.modules and m != 'marshal'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "celery" not in done.stdout
    assert "kombu" not in done.stdout
