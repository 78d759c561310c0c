"""Loads the SQL of a panel or variable from queries/<folder>/<name>.sql.

The comment at the head of a file says what it answers and stays out of the dashboard: some versions
of Grafana expand macros in comments too. A line ``-- include: <name> as <alias>`` takes in
queries/variables/<name>.sql, where ``{alias}`` stands for the table that the conditions are about.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from celerytrail.dashboards.errors import QueryFileError

_INCLUDE = re.compile(
    r"^(?P<indent> *)-- include: (?P<name>[a-z_]+) as (?P<alias>[a-z]+)$", re.MULTILINE
)
_HEAD = re.compile(r"\A(?:--[^\n]*\n)+")


@cache
def sql_text(folder: str, name: str) -> str:
    """Return the statement of ``queries/<folder>/<name>.sql``, includes taken in.

    Raises QueryFileError when the file, or one that it includes, is missing or has no statement.
    """

    def included(match: re.Match[str]) -> str:
        text = _body("variables", match["name"]).replace("{alias}", match["alias"])
        return "\n".join(match["indent"] + line for line in text.splitlines())

    return _INCLUDE.sub(included, _body(folder, name))


def _body(folder: str, name: str) -> str:
    path = files("celerytrail.dashboards") / "queries" / folder / f"{name}.sql"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as exc:
        raise QueryFileError(
            f"dashboards/queries/{folder}/{name}.sql is missing: write it, or correct the name"
        ) from exc
    body = _HEAD.sub("", text).strip()
    if not body:
        raise QueryFileError(f"dashboards/queries/{folder}/{name}.sql holds no statement")
    return body
