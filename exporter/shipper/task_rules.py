"""Which arguments, results and exceptions of a task are hidden: by settings, and as the task says.

What tasks say of themselves comes with the records, as the text of ``exporter/agent/task_rules.py``.
It is remembered by task name, so that a process that sends a task by its name alone is helped by
the worker that has the task, where both write into one spool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from celerytrail.exporter.shipper.sensitive_names import SensitiveNames

MAX_TASKS = 4096
"""Tasks that are remembered; the one that was learned first is forgotten."""

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class TaskSetting:
    """What settings hide of the tasks whose names fit a pattern, as in ``shop.*``."""

    tasks: str
    positions: frozenset[int] = frozenset()
    names: tuple[str, ...] = ()
    result: bool = False
    exception: bool = False


@dataclass(frozen=True, slots=True)
class TaskRule:
    """What is hidden of one task.

    ``positions`` are indexes of positional arguments, ``rest`` the index from which all are hidden.
    ``names`` are further names of secrets in whatever belongs to this task.
    """

    positions: frozenset[int] = frozenset()
    rest: int | None = None
    names: tuple[str, ...] = ()
    result: bool = False
    exception: bool = False

    @property
    def hides_positions(self) -> bool:
        """Whether a positional argument is hidden."""
        return bool(self.positions) or self.rest is not None

    @property
    def hides_arguments(self) -> bool:
        """Whether something in the arguments is hidden that the general rules would show."""
        return self.hides_positions or bool(self.names)

    def hides(self, index: int) -> bool:
        """Tell whether the positional argument at an index is hidden."""
        return index in self.positions or (self.rest is not None and index >= self.rest)


NOTHING = TaskRule()
EVERYTHING = TaskRule(rest=0, result=True, exception=True)
"""For a record whose text was damaged: what its task asked for is not known."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What a task said of itself."""

    task: str
    params: tuple[str, ...]
    rest: str | None
    own: TaskSetting


class TaskRules:
    """The rules by task name, out of settings and of what records say."""

    def __init__(self, settings: Sequence[TaskSetting], names: SensitiveNames) -> None:
        self._settings = tuple(settings)
        self._names = names
        self._said: dict[str, _Said] = {}
        self._parsed: dict[str, _Said] = {}
        self._rules: dict[str, TaskRule] = {}
        self.any_arguments = any(s.positions or s.names for s in settings)
        """Whether there is a task at all of which more is hidden than the general rules hide."""

    def of_record(self, task: str | None, said: object) -> TaskRule:
        """Learn what a record says of tasks, and return the rule of its own task."""
        if said is not None:
            for text in said if isinstance(said, (tuple, list)) else (said,):
                if not self._learn(text):
                    return EVERYTHING
        return self.of(task)

    def of(self, task: str | None) -> TaskRule:
        """Return the rule of the task of that name, known or not."""
        if task is None:
            return NOTHING
        rule = self._rules.get(task)
        if rule is None:
            rule = self._resolve(task, self._said.get(task))
            _keep(self._rules, task, rule)
        return rule

    def _learn(self, text: object) -> bool:
        if not isinstance(text, str):
            return False
        said = self._parsed.get(text)
        if said is None:
            said = _parse(text)
            if said is None:
                return False
            _keep(self._parsed, text, said)
        if self._said.get(said.task) is not said:
            _keep(self._said, said.task, said)
            rule = self._resolve(said.task, said)
            _keep(self._rules, said.task, rule)
            self.any_arguments = self.any_arguments or rule.hides_arguments
        return True

    def _resolve(self, task: str, said: _Said | None) -> TaskRule:
        rules = [s for s in self._settings if s.tasks == task or fnmatchcase(task, s.tasks)]
        params: tuple[str, ...] = ()
        if said is not None:
            rules.append(said.own)
            params = said.params
        positions = {index for rule in rules for index in rule.positions}
        names = [name for rule in rules for name in rule.names]
        # An argument that is hidden by its position may be passed by its name as well.
        names += [params[index] for index in sorted(positions) if index < len(params)]
        own = tuple(dict.fromkeys(name for name in names if name not in self._names))
        secret = self._names.with_terms(own)
        positions |= {index for index, name in enumerate(params) if name in secret}
        rest = said.rest if said is not None else None
        return TaskRule(
            frozenset(positions),
            len(params) if rest is not None and rest in secret else None,
            own,
            any(rule.result for rule in rules),
            any(rule.exception for rule in rules),
        )


def _parse(text: str) -> _Said | None:
    try:
        found = json.loads(text)
        rest = found.get("rest")
        params, keys, args = (found.get(key, ()) for key in ("params", "keys", "args"))
        if not (
            isinstance(found["task"], str)
            and (rest is None or isinstance(rest, str))
            and all(isinstance(name, str) for name in (*params, *keys))
            and all(type(index) is int for index in args)
        ):
            return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    own = TaskSetting(
        found["task"],
        frozenset(args),
        tuple(keys),
        found.get("result") is True,
        found.get("exception") is True,
    )
    return _Said(found["task"], tuple(params), rest, own)


def _keep(table: dict[K, V], key: K, value: V) -> None:
    # Task names come from messages: what is remembered of them must stay bounded.
    if len(table) >= MAX_TASKS and key not in table:
        del table[next(iter(table))]
    table[key] = value


def setting_of(task: str, entry: Any) -> TaskSetting:
    """Read one entry of ``tasks`` in the file of rules. Raises ValueError saying what is wrong."""
    if not isinstance(entry, dict):
        raise ValueError("it is no object")  # noqa: TRY004 (bad data, not a wrong argument)
    unknown = set(entry) - {"args", "keys", "result", "exception"}
    if unknown:
        raise ValueError("it has more than args, keys, result and exception")
    args, keys = entry.get("args", []), entry.get("keys", [])
    if not isinstance(args, list) or not all(type(i) is int and i >= 0 for i in args):
        raise ValueError("args is no array of positions")
    if not isinstance(keys, list) or not all(isinstance(k, str) and k.strip() for k in keys):
        raise ValueError("keys is no array of names")
    for flag in ("result", "exception"):
        if not isinstance(entry.get(flag, False), bool):
            raise ValueError(f"{flag} is neither true nor false")  # noqa: TRY004
    return TaskSetting(
        task,
        frozenset(args),
        tuple(key.strip() for key in keys),
        entry.get("result", False),
        entry.get("exception", False),
    )
