"""Redaction: what may be shown of arguments, results, messages and tracebacks.

Everything here takes values and returns values. What comes out is always valid JSON. Nothing is
ever loaded but JSON: a body of any other kind is shown as the text that Celery's own repr gave.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from celerytrail.exporter.shipper.json_body import arguments_of, has_repeated_names, parsed
from celerytrail.exporter.shipper.json_text import CUT, dump, dump_bounded
from celerytrail.exporter.shipper.quick_look import LONGEST_NAME, MAX_DEPTH, NAMING, QuickLook
from celerytrail.exporter.shipper.secret_values import (
    EMAIL,
    MARK,
    SECRET_VALUES,
    UUID,
    hide_number,
)
from celerytrail.exporter.shipper.sensitive_names import SensitiveNames
from celerytrail.exporter.shipper.sensitive_text import SensitiveText
from celerytrail.exporter.shipper.task_rules import (
    EVERYTHING,
    NOTHING,
    TaskRule,
    TaskRules,
    TaskSetting,
)

MAX_PARSED_BYTES = 1024 * 1024
"""A JSON body over this is not parsed: its arguments are shown as Celery's repr of them."""

DEFAULT_SHOWN_BYTES = 16 * 1024

_NAMED = frozenset(("value", "val", "content", "contents", "data", "default"))


_NAME = re.compile(r"-{0,2}\w[\w.\-]*[:=]?")
_MAX_OF_NAMES = 256
_MAX_OF_PARTS = 2048
_MAX_REMEMBERED_PARTS = 1024
_ATOMS = frozenset((str, int, bool, float, type(None)))


@dataclass(frozen=True, slots=True)
class Rules:
    """What settings add to the defaults.

    ``names`` are further names of secrets, ``patterns`` regular expressions whose matches are
    hidden, ``tasks`` what is hidden of single tasks. ``emails`` hides mail addresses too, and
    ``shown_bytes`` bounds each item.
    """

    names: tuple[str, ...] = ()
    patterns: tuple[re.Pattern[str], ...] = ()
    tasks: tuple[TaskSetting, ...] = ()
    emails: bool = False
    shown_bytes: int = DEFAULT_SHOWN_BYTES


class Redacted(NamedTuple):
    """What may be shown: JSON, whether something was hidden in it, whether it was cut."""

    data: bytes
    changed: bool
    truncated: bool


class RedactedBody(NamedTuple):
    """The arguments of a JSON message body; ``changed`` is about all of the body."""

    args: Redacted
    kwargs: Redacted
    changed: bool


class Redactor:
    """Applies the default rules and those of the settings; built once for a process."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self._names = SensitiveNames(self.rules.names)
        self.tasks = TaskRules(self.rules.tasks, self._names)
        self._of_names: dict[tuple[str, ...], Redactor] = {}
        self._of_parts: dict[bytes | tuple[Any, ...], bool] = {}
        values = (*SECRET_VALUES, EMAIL) if self.rules.emails else SECRET_VALUES
        self._text = SensitiveText(self._names, self.rules.patterns, values)
        # Patterns of the settings may match anything: then there is no short way.
        self._quick = None if self.rules.patterns else QuickLook(self._names, self._text, values)

    def of_rule(self, rule: TaskRule) -> Redactor:
        """Return the redactor for what belongs to a task: with its names, if it has some."""
        return self._with_names(rule.names) if rule.names else self

    def body(self, body: bytes, rule: TaskRule = NOTHING) -> RedactedBody | None:
        """Redact the arguments in a JSON message body of Celery's protocol 1 or 2, by a task's rule.

        Returns None for what is no such body, is too large or nested too deep to be looked through.
        """
        if len(body) > MAX_PARSED_BYTES:
            return None
        try:
            value = parsed(body)
            args, kwargs = arguments_of(value)
            if args is None:
                return None
            if not rule.hides_positions and self._is_clean(value, body):
                return RedactedBody(self._bounded(args), self._bounded(kwargs), False)
            if isinstance(value, dict):
                hidden = self._hide(value, 0)
                if not isinstance(value.get("task"), str):
                    hidden["args"] = _without_positions(hidden["args"], rule)
                shown_args, shown_kwargs = hidden["args"], hidden["kwargs"]
            else:
                shown_args = _without_positions(self._hide(args, 0), rule)
                shown_kwargs = self._hide(kwargs, 0)
                hidden = [shown_args, shown_kwargs, *self._hide(value[2:], 0)]
            return RedactedBody(
                self._bounded(shown_args, shown_args != args),
                self._bounded(shown_kwargs, shown_kwargs != kwargs),
                hidden != value or has_repeated_names(body),
            )
        except (ValueError, RecursionError):
            return None

    def value(self, value: Any) -> Redacted:
        """Redact a value of JSON's kinds; others become the text of their repr."""
        if self._is_clean(value):
            return self._bounded(value)
        hidden = self._hide(value, 0)
        return self._bounded(hidden, hidden != _plain(value))

    def hold_secrets(self, values: Iterable[Any], key: bytes | None = None) -> bool:
        """Tell whether redaction would hide something in values that stand beside each other.

        UUIDs are not looked at: the ids of a task are shown wherever the task is. What is left is
        the same for many messages, so the answer is remembered: by the ``key`` of all that is no
        UUID, where the caller has one, and then the values are only asked for when it is new.
        """
        if key is not None:
            told = self._of_parts.get(key)
            if told is None:
                told = self.hold_secrets(values)
                self._remember(key, told)
            return told
        parts = [
            tuple(value) if type(value) is list else value
            for value in values
            if value is not None and not (type(value) is str and UUID.fullmatch(value))
        ]
        if not _are_short(parts):
            return self._holds_secrets(parts)
        given = tuple(parts)
        known = self._of_parts.get(given)
        if known is None:
            known = self._holds_secrets(parts)
            self._remember(given, known)
        return known

    def _remember(self, parts: bytes | tuple[Any, ...], secret: bool) -> None:
        if len(self._of_parts) >= _MAX_OF_PARTS:
            self._of_parts.clear()
        self._of_parts[parts] = secret

    def _holds_secrets(self, parts: list[Any]) -> bool:
        # As fields of an object: the values of an array may name what the next one is.
        value = {str(number): part for number, part in enumerate(parts)}
        return not self._is_clean(value) and self._hide(value, 0) != _plain(value)

    def text(self, text: str) -> Redacted:
        """Redact a text and give it as a JSON string."""
        clean = self._quick is not None and self._quick.is_clean_text(text)
        hidden = text if clean else self._text.hide(text)
        return self._bounded(hidden, hidden != text)

    def hide_text(self, text: str) -> str:
        """Return text with what is secret hidden in it, as text."""
        return self._text.hide(text)

    def argument_text(self, text: str, rule: TaskRule, *, positional: bool) -> Redacted:
        """Redact Celery's repr of the arguments and give it as a JSON string.

        Where single positional arguments of this task are to be hidden, all of the repr is: it is
        text, in which they cannot be told apart for certain.
        """
        if (positional and rule.hides_positions) or rule is EVERYTHING:
            return self.hidden()
        return self.text(text)

    def hidden(self) -> Redacted:
        """Return what stands for an item of which nothing is shown."""
        return Redacted(dump(MARK), True, False)

    def _with_names(self, names: tuple[str, ...]) -> Redactor:
        names = (*self.rules.names, *names)
        known = self._of_names.get(names)
        if known is None:
            if len(self._of_names) >= _MAX_OF_NAMES:
                self._of_names.clear()
            known = Redactor(replace(self.rules, names=names))
            known.tasks, known._of_names = self.tasks, self._of_names
            self._of_names[names] = known
        return known

    def _bounded(self, value: Any, changed: bool = False) -> Redacted:
        try:
            data, cut = dump_bounded(value, self.rules.shown_bytes)
        except RecursionError:
            return Redacted(dump(CUT), True, True)
        return Redacted(data, changed, cut)

    def _is_clean(self, value: Any, body: bytes | None = None) -> bool:
        if self._quick is None:
            return False
        # Arguments in signatures are hidden by their tasks' rules.
        without = "task" if self.tasks.any_arguments else None
        return self._quick.is_clean(value, body, without=without)

    def _hide(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text.hide(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return hide_number(value)
        if depth >= MAX_DEPTH:
            return CUT
        if isinstance(value, dict):
            return self._hide_object(value, depth)
        if isinstance(value, (list, tuple)):
            return self._hide_array(value, depth)
        return self._text.hide(repr(value))

    def _hide_object(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        names = self._names
        named = any(
            isinstance(key, str) and key.casefold() in NAMING and item in names
            for key, item in value.items()
            if isinstance(item, str)
        )
        hidden: dict[Any, Any] = {}
        for key, item in value.items():
            secret = key in names or (named and isinstance(key, str) and key.casefold() in _NAMED)
            shown = self._text.hide(key) if isinstance(key, str) else key
            while shown in hidden:
                shown = f"{shown}+"
            hidden[shown] = _marked(item) if secret else self._hide(item, depth + 1)
        task = value.get("task")
        if isinstance(task, str):
            self._hide_signature(task, value, hidden, depth)
        elif isinstance(task, dict) and isinstance(hidden.get("it"), list):
            # What celery.map and celery.starmap run, and the arguments for each time.
            rule = self.tasks.of(_text(task.get("task")))
            if rule.hides_positions:
                hidden["it"] = [
                    _without_positions(item, rule) if isinstance(item, list) else MARK
                    for item in hidden["it"]
                ]
        return hidden

    def _hide_signature(
        self, task: str, value: dict[Any, Any], hidden: dict[Any, Any], depth: int
    ) -> None:
        """Hide what the rule of its task says in a signature, inside of a chain or chord."""
        rule = self.tasks.of(task)
        if not rule.hides_arguments:
            return
        if rule.names:
            own = self._with_names(rule.names)
            for part in ("args", "kwargs"):
                if isinstance(value.get(part), (list, tuple, dict)):
                    hidden[part] = own._hide(value[part], depth + 1)
        if isinstance(hidden.get("args"), list):
            # What the task before returns is put in front, unless the signature is immutable.
            shift = 1 if "options" in value and not value.get("immutable") else 0
            hidden["args"] = _without_positions(hidden["args"], rule, shift)

    def _hide_array(self, value: Iterable[Any], depth: int) -> list[Any]:
        hidden: list[Any] = []
        secret_follows = False
        for item in value:
            # ("password", "x") and ["--password", "x"]: a pair that was not written as an object.
            if secret_follows:
                hidden.append(_marked(item))
                secret_follows = False
                continue
            hidden.append(self._hide(item, depth + 1))
            secret_follows = (
                isinstance(item, str)
                and len(item) <= LONGEST_NAME
                and _NAME.fullmatch(unicodedata.normalize("NFKC", item)) is not None
                and item in self._names
            )
        return hidden


def _without_positions(args: list[Any], rule: TaskRule, shift: int = 0) -> list[Any]:
    return [
        _marked(item) if rule.hides(index) or (shift and rule.hides(index + shift)) else item
        for index, item in enumerate(args)
    ]


def _are_short(parts: list[Any]) -> bool:
    """Tell that values can be a key, and one that is worth remembering."""
    length = 0
    for part in parts:
        for item in part if type(part) is tuple else (part,):
            if type(item) not in _ATOMS:
                return False
            length += len(item) if type(item) is str else 8
    return length <= _MAX_REMEMBERED_PARTS


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _plain(value: Any) -> Any:
    """Return what ``_hide`` makes of a value in which there is nothing to hide."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return repr(value)


def _marked(value: Any) -> Any:
    # What says nothing stays: that a password was not given is worth seeing.
    empty = value is None or isinstance(value, bool) or value in ("", [], {}, ())
    return value if empty else MARK
