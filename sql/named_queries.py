"""Loads the SQL of sql/queries: named statements, one file a subject."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)$", re.MULTILINE)


@cache
def queries(stem: str) -> Mapping[str, bytes]:
    """Return the statements of ``queries/<stem>.sql`` by name.

    A statement begins after a line ``-- name: <name>`` and ends before the next such line; the
    comment under its name says what it does. They are bytes, which psycopg takes as a query that
    is ours and not put together from input. Raises KeyError for a file without names or with the
    same name twice, which a test finds for all files.
    """
    text = files("celerytrail.sql").joinpath("queries", f"{stem}.sql").read_text("utf-8")
    marks = list(_NAME.finditer(text))
    if not marks:
        raise KeyError(f"queries/{stem}.sql holds no line '-- name: ...'")
    statements: dict[str, bytes] = {}
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        name = mark.group(1)
        if name in statements:
            raise KeyError(f"queries/{stem}.sql names {name!r} twice")
        end = following.start() if following else len(text)
        statements[name] = text[mark.end() : end].strip().encode()
    return MappingProxyType(statements)
