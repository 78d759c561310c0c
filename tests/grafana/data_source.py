"""What Grafana's Postgres data source does with the queries of a dashboard.

Variables of the dashboard are put in by the front end, macros by the back end, and the text is sent
by the simple protocol as the role ``celerytrail_grafana``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.dashboards.grafana_sql.macros import expand
from celerytrail.dashboards.grafana_sql.templating import definitions_of
from celerytrail.dashboards.grafana_sql.variables import ALL, Definition, substitute
from tests.grafana.button import panels_of

DASHBOARDS = Path(__file__).parents[2] / "provisioning" / "grafana" / "dashboards"
Value = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Frame:
    """An answer: column names, types by OID name, and rows."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def dashboard(uid: str) -> dict[str, Any]:
    """Return the committed dashboard of that uid."""
    return all_dashboards()[uid]


def all_dashboards() -> dict[str, dict[str, Any]]:
    """Return all committed dashboards by uid."""
    found = [json.loads(path.read_text()) for path in sorted(DASHBOARDS.glob("*.json"))]
    return {one["uid"]: one for one in found}


def panel(of: Mapping[str, Any], title: str) -> Mapping[str, Any]:
    """Return the panel with this title. Raises LookupError, naming those that there are."""
    titles = []
    for one in panels_of(of):
        titles.append(one.get("title"))
        if one.get("title") == title:
            return one
    raise LookupError(f"no panel {title!r} in {of['uid']}: {titles}")


def targets(of: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every query of a dashboard's panels, with the title of its panel."""
    for one in panels_of(of):
        for target in one.get("targets", []):
            yield one.get("title", ""), target


def defaults(of: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values that the variables of a dashboard have when it is opened."""
    values: dict[str, Value] = {}
    for variable in of["templating"]["list"]:
        if variable.get("includeAll"):
            values[variable["name"]] = ALL
        else:
            values[variable["name"]] = variable.get("current", {}).get("value") or ""
    return values


@dataclass(frozen=True, slots=True)
class DataSource:
    """The data source ``celerytrail-pg``, as its role."""

    dsn: str

    def ask(
        self,
        sql: str,
        values: Mapping[str, Value],
        *,
        opened: Mapping[str, Any] | None = None,
        hours: float = 6,
        until: datetime | None = None,
        definitions: Mapping[str, Definition] | None = None,
    ) -> Frame:
        """Return what a query gives for a time range that ends now, or at ``until``.

        What All is depends on the dashboard's variables: ``opened`` is the dashboard, or
        ``definitions`` are those of its variables.
        """
        known = definitions if definitions is not None else definitions_of(opened) if opened else {}
        until = until or datetime.now(timezone.utc) + timedelta(seconds=1)
        text = expand(
            substitute(sql, values, definitions=known),
            time_from=until - timedelta(hours=hours),
            time_to=until,
        )
        with (
            psycopg.connect(self.dsn, autocommit=True) as connection,
            psycopg.ClientCursor(connection) as cursor,
        ):
            cursor.execute(text.encode())  # no parameters: a % in it means nothing
            assert cursor.description is not None, text
            types = [
                connection.adapters.types.get(column.type_code) for column in cursor.description
            ]
            return Frame(
                tuple(column.name for column in cursor.description),
                tuple(known.name if known else "?" for known in types),
                tuple(cursor.fetchall()),
            )

    def panel(
        self, uid: str, title: str, values: Mapping[str, Value] | None = None, ref: str = "A"
    ) -> list[dict[str, Any]]:
        """Return the rows of one panel, as a person who opened the dashboard sees them."""
        opened = dashboard(uid)
        (target,) = [t for t in panel(opened, title)["targets"] if t["refId"] == ref]
        return self.ask(
            target["rawSql"],
            {**defaults(opened), **(values or {})},
            definitions=definitions_of(opened),
        ).dicts()
