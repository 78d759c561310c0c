"""The decorator by which a task says which of its arguments and results nobody may be shown.

It only writes the rules down on the function. The shipper follows them; the task is not wrapped and
costs nothing more. Nothing of Celery or of the recorder is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from celerytrail.exporter.agent.errors import AgentError

T = TypeVar("T")

SENSITIVE_ATTRIBUTE = "__celerytrail_sensitive__"


class SensitiveError(AgentError):
    """The decorator was used in a way that says nothing."""


@dataclass(frozen=True, slots=True)
class Sensitive:
    """What a task declared: names at any depth, positions, and whether its outcome is hidden."""

    names: tuple[str, ...] = ()
    positions: tuple[int, ...] = ()
    result: bool = False
    exception: bool = False


def sensitive(*what: str | int, result: bool = False, exception: bool = False) -> Callable[[T], T]:
    """Declare what of a task is not shown: ``@app.task`` over ``@sensitive("card", 2, result=True)``.

    A text is the name of a parameter or of a key at any depth of the arguments; a number is the
    position of an argument, from 0 and without ``self``. ``result`` hides the return value,
    ``exception`` the message and traceback of an exception, both wholly. Several decorators on one
    task add up. Raises SensitiveError, naming what is wrong, where the application is imported.
    """
    if not what and not result and not exception:
        raise SensitiveError("sensitive() hides nothing: give names, positions, result, exception")
    for item in what:
        if callable(item):
            raise SensitiveError("write @sensitive(...) with what is sensitive in the brackets")
        if type(item) is str and any(map(str.isalnum, item)):
            continue
        if type(item) is not int or item < 0:
            raise SensitiveError(f"sensitive({item!r}): give a name, or a position from 0")
    declared = Sensitive(
        tuple(item for item in what if isinstance(item, str)),
        tuple(item for item in what if isinstance(item, int)),
        bool(result),
        bool(exception),
    )

    def mark(task: T) -> T:
        # A task that Celery makes on first use says so; marking it at once would make it too early.
        later = getattr(type(task), "__then__", None)
        if later is None:
            _add(task, declared)
        else:
            later(task, _add, task, declared)
        return task

    return mark


def declared_by(task: Any) -> Sensitive | None:
    """Return what a task, or the function that it runs, declared; None for nothing."""
    found = None
    for holder in (getattr(task, "run", None), task):
        declared = getattr(holder, SENSITIVE_ATTRIBUTE, None)
        if isinstance(declared, Sensitive):
            found = declared if found is None else _both(found, declared)
    return found


def _add(task: Any, declared: Sensitive) -> None:
    before = getattr(task, SENSITIVE_ATTRIBUTE, None)
    if isinstance(before, Sensitive):
        declared = _both(before, declared)
    try:
        setattr(task, SENSITIVE_ATTRIBUTE, declared)
    except (AttributeError, TypeError) as exc:
        raise SensitiveError(
            f"sensitive() cannot mark {type(task).__name__}: put it right above the function"
        ) from exc


def _both(one: Sensitive, other: Sensitive) -> Sensitive:
    return Sensitive(
        tuple(dict.fromkeys(one.names + other.names)),
        tuple(dict.fromkeys(one.positions + other.positions)),
        one.result or other.result,
        one.exception or other.exception,
    )
