"""A sheet: a dashboard with the answers of its queries, all that the page needs to draw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from celerytrail.dashboards.drawing.data_source import DataSource, TimeRange
from celerytrail.dashboards.drawing.errors import QueryFailed
from celerytrail.dashboards.drawing.grid import Place, places
from celerytrail.dashboards.grafana_sql import intervals
from celerytrail.dashboards.grafana_sql.errors import VariableError
from celerytrail.dashboards.grafana_sql.formats import Value, as_list
from celerytrail.dashboards.grafana_sql.templating import definition, opening_value, variables_of
from celerytrail.dashboards.grafana_sql.variables import ALL, Definition, substitute

Theme = Literal["dark", "light"]

# Grafana hides a variable's box, or just its name.
_HIDDEN: Final = 2
_WITHOUT_NAME: Final = 1
# The panels of these types have no queries.
_WITHOUT_QUERIES: Final = {"row", "text"}


@dataclass(frozen=True, slots=True)
class View:
    """How a dashboard is looked at.

    ``least_step_ms`` is the shortest interval of a chart, as the data source is configured.
    """

    within: TimeRange
    values: Mapping[str, Value] = field(default_factory=dict)
    theme: Theme = "dark"
    width: int = 1600
    least_step_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one panel's query, for the report."""

    panel: str
    ref_id: str
    rows: int = 0
    milliseconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the page gets, as JSON, and what came of each query."""

    page: Mapping[str, Any]
    asked: tuple[Asked, ...]


def sheet(
    dashboard: Mapping[str, Any],
    view: View,
    data_source: DataSource,
    neighbours: Sequence[Mapping[str, Any]] = (),
) -> Sheet:
    """Ask every query of a dashboard, of its variables first.

    ``neighbours`` are the other dashboards, for its list of links. A query that fails is an error of
    its panel, and the others are asked all the same.

    Raises:
        DrawingError: the grid is wrong, or a variable cannot be used.
    """
    return _Writer(dashboard, view, data_source).write(neighbours)


class _Writer:
    def __init__(self, dashboard: Mapping[str, Any], view: View, data_source: DataSource) -> None:
        self._dashboard = dashboard
        self._view = view
        self._data_source = data_source
        self._values: dict[str, Value] = {}
        self._definitions: dict[str, Definition] = {}
        self._asked: list[Asked] = []

    def write(self, neighbours: Sequence[Mapping[str, Any]]) -> Sheet:
        for variable in variables_of(self._dashboard):
            self._choose(variable)
        items = [self._item(place, key) for key, place in enumerate(places(self._dashboard))]
        within = self._view.within
        page = {
            "theme": self._view.theme,
            "width": self._view.width,
            "dashboard": {
                "title": self._dashboard["title"],
                "tags": self._dashboard.get("tags") or [],
                "refresh": self._dashboard.get("refresh") or "",
            },
            "range": {
                "from": round(within.start.timestamp() * 1000),
                "to": round(within.end.timestamp() * 1000),
                "text": _written(within),
            },
            "variables": list(self._boxes()),
            "links": list(self._links(neighbours)),
            "items": items,
        }
        return Sheet(page, tuple(self._asked))

    def _choose(self, variable: Mapping[str, Any]) -> None:
        name, options = variable["name"], []
        if variable["type"] == "query":
            query = variable["query"]
            sql = query if isinstance(query, str) else query["rawSql"]
            answer, error = self._ask(f"variable {name}", sql, "variable", "table", 1000)
            columns = {one["name"]: one["values"] for one in (answer or {}).get("fields", [])}
            found = columns.get("__value") or next(iter(columns.values()), ())
            options = list(dict.fromkeys("" if one is None else str(one) for one in found))
            if error is not None:
                raise QueryFailed(f"the query of the variable {name}: {error}")
        self._definitions[name] = definition(variable, options)
        self._values[name] = self._view.values.get(name, opening_value(variable, options))

    def _item(self, place: Place, key: int) -> dict[str, Any]:
        panel = place.panel
        frames: list[Mapping[str, Any]] = []
        errors: list[str] = []
        if panel["type"] not in _WITHOUT_QUERIES:
            least = self._view.least_step_ms
            if panel.get("interval"):
                least = intervals.read_ms(panel["interval"])
            points = panel.get("maxDataPoints") or place.width_px(self._view.width)
            step = intervals.step_ms(self._view.within.milliseconds, points, least)
            for target in panel.get("targets", []):
                if target.get("hide"):
                    continue
                format_name = target.get("format", "table")
                frame, error = self._ask(
                    panel.get("title", ""), target["rawSql"], target["refId"], format_name, step
                )
                if frame is not None:
                    frames.append(frame)
                if error is not None:
                    errors.append(error)
        shown = {name: value for name, value in panel.items() if name not in ("targets", "panels")}
        return {
            "key": str(key),
            "x": place.x,
            "y": place.y,
            "w": place.w,
            "h": place.h,
            "hidden_panels": place.hidden_panels,
            "panel": self._with_values(shown),
            "frames": frames,
            "errors": errors,
        }

    def _ask(
        self, panel: str, sql: str, ref_id: str, format_name: str, step_ms: int
    ) -> tuple[Mapping[str, Any] | None, str | None]:
        within = self._view.within
        try:
            text = substitute(
                sql,
                self._values,
                definitions=self._definitions,
                time_from=within.start,
                time_to=within.end,
            )
            answer = self._data_source.ask(
                text, ref_id=ref_id, format_name=format_name, within=within, interval_ms=step_ms
            )
        except (VariableError, QueryFailed) as error:
            self._asked.append(Asked(panel, ref_id, error=str(error)))
            return None, str(error)
        self._asked.append(Asked(panel, ref_id, answer.rows, answer.milliseconds))
        return answer.frame, None

    def _with_values(self, value: Any) -> Any:
        """Put the variables into every text of a panel; what names a row's field stays for the page."""
        if isinstance(value, dict):
            return {name: self._with_values(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._with_values(one) for one in value]
        if not isinstance(value, str):
            return value
        within = self._view.within
        start, end = (round(at.timestamp() * 1000) for at in (within.start, within.end))
        return substitute(
            value,
            self._values,
            definitions=self._definitions,
            scoped={"__url_time_range": f"from={start}&to={end}"},
            time_from=within.start,
            time_to=within.end,
            for_sql=False,
        )

    def _boxes(self) -> Iterator[dict[str, Any]]:
        for variable in variables_of(self._dashboard):
            if variable.get("hide") == _HIDDEN or variable["type"] == "constant":
                continue
            values = as_list(self._values[variable["name"]])
            label = variable.get("label") or variable["name"]
            yield {
                "name": variable["name"],
                "label": "" if variable.get("hide") == _WITHOUT_NAME else label,
                "text": " + ".join("All" if one == ALL else one for one in values),
                "typed": variable["type"] == "textbox",
            }

    def _links(self, neighbours: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, str]]:
        for link in self._dashboard.get("links", []):
            if link["type"] != "dashboards":
                yield {"title": link["title"], "icon": "external-link-alt"}
            elif link.get("asDropdown"):
                yield {"title": link["title"], "icon": "bars"}
            else:
                tags = set(link.get("tags", []))
                for one in neighbours:
                    if tags <= set(one.get("tags") or []):
                        yield {"title": one["title"], "icon": "apps"}


def _written(within: TimeRange) -> str:
    """Write a range of time, to the millisecond where the seconds would say little."""
    start, end = f"{within.start:%Y-%m-%d %H:%M:%S}", f"{within.end:%H:%M:%S}"
    if within.milliseconds < 10_000:
        start += f".{within.start.microsecond // 1000:03d}"
        end += f".{within.end.microsecond // 1000:03d}"
    return f"{start} to {end} UTC"
