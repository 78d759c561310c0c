"""What settings add to the redaction rules: three variables and one file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from celerytrail.exporter.shipper.errors import ConfigError
from celerytrail.exporter.shipper.redaction import DEFAULT_SHOWN_BYTES, Rules

KEYS = "CELERYTRAIL_REDACT_KEYS"
PATTERNS = "CELERYTRAIL_REDACT_PATTERNS"
ARGS = "CELERYTRAIL_REDACT_ARGS"
FILE = "CELERYTRAIL_REDACTION"
SHOWN_BYTES = "CELERYTRAIL_MAX_SHOWN_BYTES"
_SHOWN_RANGE = (256, 256 * 1024)


def rules_from_env(environ: Mapping[str, str]) -> Rules:
    """Read the rules that are added to the defaults.

    ``CELERYTRAIL_REDACT_KEYS``: names, with commas between. ``CELERYTRAIL_REDACT_PATTERNS``: one
    regular expression a line, or a JSON array of them. ``CELERYTRAIL_REDACT_ARGS``: positions by
    task, ``shop.pay:0,2;shop.login:1``. ``CELERYTRAIL_REDACTION``: a JSON file with the keys
    ``keys``, ``patterns`` (arrays) and ``args`` (object of arrays). Raises ConfigError naming the
    variable that cannot be read.
    """
    names = _split(environ.get(KEYS, ""))
    patterns = [_compiled(PATTERNS, text) for text in _patterns(environ.get(PATTERNS, ""))]
    positions = _positions(environ.get(ARGS, ""))
    path = environ.get(FILE)
    if path:
        more = _read(path)
        names += [str(name) for name in more["keys"]]
        patterns += [_compiled(FILE, str(text)) for text in more["patterns"]]
        for task, indexes in more["args"].items():
            positions[task] = positions.get(task, frozenset()) | frozenset(indexes)
    return Rules(tuple(names), tuple(patterns), positions, _shown_bytes(environ))


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _patterns(text: str) -> Iterable[str]:
    stripped = text.strip()
    if stripped.startswith('["'):
        try:
            return [str(item) for item in json.loads(stripped)]
        except ValueError as exc:
            raise ConfigError(f"{PATTERNS} begins like a JSON array and is none: {exc}") from exc
    return [line.strip() for line in stripped.splitlines() if line.strip()]


def _compiled(name: str, text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as exc:
        raise ConfigError(f"{name}: {text!r} is no regular expression: {exc}") from exc
    if pattern.search(""):
        raise ConfigError(f"{name}: {text!r} matches nothing at all, and so everywhere")
    return pattern


def _positions(text: str) -> dict[str, frozenset[int]]:
    positions: dict[str, frozenset[int]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        task, colon, numbers = part.rpartition(":")
        indexes = _split(numbers)
        if not colon or not task.strip() or not indexes or not all(i.isdecimal() for i in indexes):
            raise ConfigError(f"{ARGS}: {part!r} is not task:position,position")
        positions[task.strip()] = positions.get(task.strip(), frozenset()) | {
            int(index) for index in indexes
        }
    return positions


def _read(path: str) -> dict[str, Any]:
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{FILE}={path} cannot be read as JSON: {exc}") from exc
    if not isinstance(found, dict) or set(found) - {"keys", "patterns", "args"}:
        raise ConfigError(f"{FILE}={path}: give an object with keys, patterns and args")
    rules = {"keys": [], "patterns": [], "args": {}, **found}
    if not (
        isinstance(rules["keys"], list)
        and isinstance(rules["patterns"], list)
        and isinstance(rules["args"], dict)
        and all(
            isinstance(indexes, list) and all(type(i) is int and i >= 0 for i in indexes)
            for indexes in rules["args"].values()
        )
    ):
        raise ConfigError(
            f"{FILE}={path}: keys and patterns are arrays, args maps task names to arrays of positions"
        )
    return rules


def _shown_bytes(environ: Mapping[str, str]) -> int:
    text = environ.get(SHOWN_BYTES, "").strip()
    if not text:
        return DEFAULT_SHOWN_BYTES
    least, most = _SHOWN_RANGE
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ConfigError(f"{SHOWN_BYTES}={text!r}: give a number of bytes from {least} to {most}")
    return int(text)
