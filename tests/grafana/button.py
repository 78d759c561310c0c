"""A click on a button of a dashboard: the request that Grafana's front end makes of an action.

Restates ``public/app/features/actions/utils.ts``: variables and fields are put into address, query,
headers and body as text; only the query is URL-encoded; the address becomes one of the same origin;
``X-Grafana-Action: 1`` is added. A click in Grafana 11.6 and 12.0 leaves the names of the action's
own variables (``$reason``) as they are, since these came with 12.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

_FIELD = re.compile(r"\$\{__data\.fields(?:\.(\w+)|\[\"?([^\]\"]+)\"?\])\}")
_VARIABLE = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)")


@dataclass(frozen=True, slots=True)
class Click:
    """The request that a click makes, as the browser sends it to Grafana."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    confirmation: str


def actions_of(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every action of a dashboard with the title of its panel."""
    for panel in panels_of(dashboard):
        field_config = panel.get("fieldConfig", {})
        for action in field_config.get("defaults", {}).get("actions", []):
            yield panel.get("title", ""), action
        for override in field_config.get("overrides", []):
            for prop in override["properties"]:
                if prop["id"] == "actions":
                    for action in prop["value"]:
                        yield panel.get("title", ""), action


def panels_of(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every panel, those of collapsed rows included, without the rows themselves."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels", [])
        if panel["type"] != "row":
            yield panel


def click(
    action: Mapping[str, Any],
    row: Mapping[str, Any],
    *,
    variables: Mapping[str, str] | None = None,
    answers: Mapping[str, str] | None = None,
) -> Click:
    """Return the request of one click on the button in a row of a table.

    ``variables`` are the dashboard's, ``answers`` what the person typed into the action's own
    variables; None for the latter is a Grafana that does not know them yet.
    """
    fetch = action["fetch"]

    def fill(text: str) -> str:
        text = _FIELD.sub(lambda m: _text(row[m.group(1) or m.group(2)]), text)
        return _VARIABLE.sub(
            lambda m: {**(variables or {}), **(answers or {})}.get(
                m.group(1) or m.group(2), m.group(0)
            ),
            text,
        )

    address = urlsplit(fill(fetch["url"]))
    assert not address.netloc, "an address of another origin carries no session"
    assert address.path.startswith("/")
    query = [*parse_qsl(address.query), *((n, fill(v)) for n, v in fetch.get("queryParams", []))]
    headers = {name: fill(value) for name, value in fetch.get("headers", [])}
    headers["X-Grafana-Action"] = "1"
    return Click(
        method=fetch["method"],
        path=address.path + (f"?{urlencode(query)}" if query else ""),
        headers=headers,
        body=fill(fetch.get("body") or "{}").encode(),
        confirmation=fill(action.get("confirmation", "")),
    )


def _text(value: object) -> str:
    # A field is put in as it is shown. Numbers are shown with a unit, or at least with separators,
    # so only text arrives as it is.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,} shown"
    return "" if value is None else str(value)
