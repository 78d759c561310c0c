"""What the shipper has to know of a task to hide its arguments: one constant text a task.

The message says ``["ann", "hunter2"]``; that the second is called ``password`` only the task's own
signature says, and only the application's process knows that. So the names of the parameters go
into the record, with what ``@sensitive`` declared. The text is made once a task, and is JSON::

    {"task": "shop.login", "params": ["user", "password"], "rest": "more",
     "keys": ["card"], "args": [2], "result": true, "exception": true}

``rest`` is the name of ``*args``. What is empty or false is left out.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from celery import _state

from celerytrail.exporter.agent.sensitive import declared_by

MAX_PARAMETERS = 64
MAX_NAME = 100
MAX_REMEMBERED = 10_000
MAX_EMBEDDED = 100
"""Signatures inside one message that are looked at: a canvas may carry thousands."""
_MAX_LOOKS = 10 * MAX_EMBEDDED

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_OPTIONS = ("link", "link_error", "chord")
_AROUND = frozenset(_OPTIONS)
_task_of, _options_of = itemgetter("task"), itemgetter("options")
_EMBEDDED = ("chain", "chord", "callbacks", "errbacks")
_OF_CELERYS_OWN = ("tasks", "header", "body", "task", "callback")

Rules = str | tuple[str, ...] | None


class TaskRules:
    """The texts of the tasks of this process, remembered by name. Nothing in it raises.

    ``known`` has the identity of a task and its text, for those that were asked for before.
    """

    def __init__(self) -> None:
        self.known: dict[Any, tuple[int, str]] = {}
        self._missing: dict[Any, int] = {}

    def of_task(self, task: Any) -> str | None:
        """Return the text of a task that is at hand."""
        try:
            known = self.known.get(task.name)
            if known is not None and known[0] == id(task):
                return known[1]
            return self._remember(task.name, task)
        except Exception:  # noqa: BLE001 (an application's task may do anything when it is asked)
            return None

    def of_name(self, name: Any) -> str | None:
        """Return the text of the task of that name; None where no app of this process has it."""
        try:
            known = self.known.get(name)
            if known is not None:
                return known[1]
            # Looking into every app is dear for who sends by name alone, again and again.
            app = _state._tls.current_app or _state.default_app
            size = 0 if app is None else len(app._tasks)
            if self._missing.get(name) == size:
                return None
            task = _find(name)
            if task is not None:
                return self._remember(name, task)
            if len(self._missing) >= MAX_REMEMBERED:
                self._missing.clear()
            self._missing[name] = size
            return None
        except Exception:  # noqa: BLE001
            return None

    def of_message(self, name: Any, body: Any) -> Rules:
        """Return the text of a message's task, with those of the tasks that its canvas names.

        ``body`` is the message's before it was encoded, of protocol 1 or 2.
        """
        try:
            known = self.known.get(name)
            own = self.of_name(name) if known is None else known[1]
        except TypeError:
            return None
        try:
            embedded = body[2] if type(body) is tuple and len(body) == 3 else body
            if type(embedded) is not dict:
                return own
            if not (
                embedded.get("chain")
                or embedded.get("chord")
                or embedded.get("callbacks")
                or embedded.get("errbacks")
                or name[:7] == "celery."
            ):
                return own
            kwargs = body[1] if embedded is not body else body.get("kwargs")
            names = _names_inside(name, embedded, kwargs)
            names.discard(name)
            # Sorted: what is written must not depend on the order of a set.
            return tuple(filter(None, (own, *map(self.of_name, sorted(names))))) or None
        except Exception:  # noqa: BLE001
            return own

    def _remember(self, name: Any, task: Any) -> str:
        text = describe(name, task)
        if len(self.known) >= MAX_REMEMBERED:
            self.known.clear()
        self.known[name] = (id(task), text)
        return text


def describe(name: str, task: Any) -> str:
    """Return the text of a task. A signature that cannot be had counts as one without parameters."""
    said: dict[str, Any] = {"task": name}
    params, rest = _parameters(task)
    declared = declared_by(task)
    if params:
        said["params"] = params
    if rest:
        said["rest"] = rest
    if declared is not None:
        found = {
            "keys": declared.names,
            "args": declared.positions,
            "result": declared.result,
            "exception": declared.exception,
        }
        said |= {key: value for key, value in found.items() if value}
    return json.dumps(said, separators=(",", ":"))


def _parameters(task: Any) -> tuple[list[str], str | None]:
    try:
        # Of a bound method this leaves out self, and it looks through functools.wraps.
        parameters = inspect.signature(task.run).parameters.values()
    except (TypeError, ValueError, AttributeError):
        return [], None
    params = [p.name[:MAX_NAME] for p in parameters if p.kind in _POSITIONAL]
    rest = next((p.name[:MAX_NAME] for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    return params[:MAX_PARAMETERS], rest


def _find(name: Any) -> Any:
    # Not app.tasks: that would finalize the app, and import what the application imports later.
    for app in (_state._tls.current_app, _state.default_app, *_state._get_active_apps()):
        task = None if app is None else app._tasks.get(name)
        if task is not None:
            return task
    return None


def _names_inside(name: Any, embedded: dict[str, Any], kwargs: Any) -> set[str]:
    names: set[str] = set()
    waiting = [embedded.get(key) for key in _EMBEDDED]
    if type(name) is str and name[:7] == "celery." and isinstance(kwargs, dict):
        waiting += [kwargs.get(key) for key in _OF_CELERYS_OWN]
    left = MAX_EMBEDDED
    # Lists are not counted as tasks, and one that was pickled may hold itself.
    for _ in range(_MAX_LOOKS):
        if not waiting or not left:
            break
        found = waiting.pop()
        if isinstance(found, dict):
            left -= 1
            task = found.get("task")
            if type(task) is str:
                names.add(task)
                if task[:7] == "celery.":
                    inner = found.get("kwargs")
                    if isinstance(inner, dict):
                        waiting += [inner.get(key) for key in _OF_CELERYS_OWN]
            options = found.get("options")
            if options and isinstance(options, dict):
                waiting += [options[key] for key in _OPTIONS if key in options]
        elif isinstance(found, (list, tuple)):
            # What is around the links of a chain is on its last one, which comes first.
            waiting += found[:1]
            rest = found[1:left]
            if _are_plain(rest, names):
                left -= len(rest)
            else:
                waiting += rest
    return names


def _are_plain(signatures: Sequence[Any], names: set[str]) -> bool:
    """Note the tasks of signatures in which no other task is named; False, and none, where one is or may be."""
    try:
        tasks = set(map(_task_of, signatures))
        if not all(map(_AROUND.isdisjoint, map(_options_of, signatures))):
            return False
    except (LookupError, TypeError):
        return False
    if not all(type(task) is str and task[:7] != "celery." for task in tasks):
        return False
    names |= tasks
    return True
