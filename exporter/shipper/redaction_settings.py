"""What settings add to the redaction rules: variables, and one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from celerytrail.exporter.shipper.errors import ConfigError
from celerytrail.exporter.shipper.flags import flag
from celerytrail.exporter.shipper.redaction import DEFAULT_SHOWN_BYTES, Rules
from celerytrail.exporter.shipper.task_rules import TaskSetting, setting_of

KEYS = "CELERYTRAIL_REDACT_KEYS"
PATTERNS = "CELERYTRAIL_REDACT_PATTERNS"
ARGS = "CELERYTRAIL_REDACT_ARGS"
EMAIL = "CELERYTRAIL_REDACT_EMAIL"
FILE = "CELERYTRAIL_REDACTION"
SHOWN_BYTES = "CELERYTRAIL_MAX_SHOWN_BYTES"
_SHOWN_RANGE = (256, 256 * 1024)


def rules_from_env(environ: Mapping[str, str]) -> Rules:
    """Read the rules that are added to the defaults.

    ``CELERYTRAIL_REDACT_KEYS``: names, with commas between. ``CELERYTRAIL_REDACT_PATTERNS``: one
    regular expression a line, or a JSON array of them. ``CELERYTRAIL_REDACT_ARGS``: positions by
    task, ``shop.pay:0,2;shop.login:1``. ``CELERYTRAIL_REDACT_EMAIL``: 1 hides mail addresses.
    ``CELERYTRAIL_REDACTION``: a JSON file with ``keys``, ``patterns`` (arrays), ``args`` (object of
    arrays) and ``tasks`` (object of objects with ``args``, ``keys``, ``result``, ``exception``).
    A task's name may be a pattern as in ``shop.*``. Raises ConfigError naming the variable, and the
    entry of it, that cannot be read; it never quotes a regular expression, which may be a secret.
    """
    names = _split(environ.get(KEYS, ""))
    patterns = _compiled(PATTERNS, _patterns(environ.get(PATTERNS, "")))
    tasks = _positions(environ.get(ARGS, ""))
    path = environ.get(FILE)
    if path:
        more = _read(path)
        names += more["keys"]
        patterns += _compiled(f"{FILE}={path}", more["patterns"])
        tasks += [TaskSetting(task, frozenset(args)) for task, args in more["args"].items()]
        tasks += [_task(path, task, entry) for task, entry in more["tasks"].items()]
    return Rules(
        tuple(names),
        tuple(patterns),
        tuple(tasks),
        flag(environ, EMAIL),
        _shown_bytes(environ),
    )


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _patterns(text: str) -> Iterable[str]:
    stripped = text.strip()
    if stripped.startswith('["'):
        try:
            return [str(item) for item in json.loads(stripped)]
        except ValueError as exc:
            raise ConfigError(f"{PATTERNS} begins like a JSON array and is none: {exc}") from None
    return [line.strip() for line in stripped.splitlines() if line.strip()]


def _compiled(setting: str, texts: Iterable[str]) -> list[re.Pattern[str]]:
    patterns = []
    for number, text in enumerate(texts, start=1):
        entry = f"{setting}: pattern {number}"
        try:
            pattern = re.compile(text)
        except re.error as exc:
            # Without the message: it quotes names of groups and the like.
            where = "" if exc.pos is None else f", see its character {exc.pos + 1}"
            raise ConfigError(f"{entry} is no regular expression{where}") from None
        except (OverflowError, RecursionError):
            raise ConfigError(f"{entry} is too large a regular expression") from None
        if pattern.search(""):
            raise ConfigError(f"{entry} matches nothing at all, and so everywhere")
        patterns.append(pattern)
    return patterns


def _positions(text: str) -> list[TaskSetting]:
    settings = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        task, colon, numbers = part.rpartition(":")
        indexes = _split(numbers)
        if not colon or not task.strip() or not indexes or not all(i.isdecimal() for i in indexes):
            raise ConfigError(f"{ARGS}: {part!r} is not task:position,position")
        settings.append(TaskSetting(task.strip(), frozenset(map(int, indexes))))
    return settings


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{FILE}={path} cannot be read as JSON: {exc}") from None
    if not isinstance(found, dict) or set(found) - {"keys", "patterns", "args", "tasks"}:
        raise ConfigError(f"{FILE}={path}: give an object with keys, patterns, args and tasks")
    rules = {"keys": [], "patterns": [], "args": {}, "tasks": {}, **found}
    for key in ("keys", "patterns"):
        if not isinstance(rules[key], list) or not all(isinstance(i, str) for i in rules[key]):
            raise ConfigError(f"{FILE}={path}: {key} is no array of texts")
    for key in ("args", "tasks"):
        if not isinstance(rules[key], dict):
            raise ConfigError(f"{FILE}={path}: {key} is no object with names of tasks")
    for task, indexes in rules["args"].items():
        if not isinstance(indexes, list) or not all(type(i) is int and i >= 0 for i in indexes):
            raise ConfigError(f"{FILE}={path}: args of {task!r} is no array of positions")
    return rules


def _task(path: str, task: str, entry: Any) -> TaskSetting:
    try:
        return setting_of(task, entry)
    except ValueError as exc:
        raise ConfigError(f"{FILE}={path}: tasks, entry {task!r}: {exc}") from None


def _shown_bytes(environ: Mapping[str, str]) -> int:
    text = environ.get(SHOWN_BYTES, "").strip()
    if not text:
        return DEFAULT_SHOWN_BYTES
    least, most = _SHOWN_RANGE
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigError(f"{SHOWN_BYTES}={text!r}: give a number of bytes from {least} to {most}")
    return int(text)
