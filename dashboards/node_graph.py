"""The node graph: two queries, one for the nodes and one for the edges, told apart by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import nodegraph
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue, Threshold, ThresholdsMode

from celerytrail.dashboards.links import Link
from celerytrail.dashboards.postgres_query import QueryFile, data_source
from celerytrail.dashboards.state_colours import CALM, series_colour


def node_graph(
    title: str,
    folder: str,
    *,
    description: str,
    no_value: str,
    arcs: Mapping[str, str],
    links: Sequence[Link],
    span: int,
    height: int,
) -> nodegraph.Panel:
    """Return the graph of ``queries/<folder>/nodes.sql`` and ``edges.sql``.

    ``arcs`` are the colours of the rings around a node by the part of the column's name after
    ``arc__``; ``links`` are offered on each node.
    """
    panel = (
        nodegraph.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(QueryFile(folder, "nodes", ref_id="nodes"))
        .with_target(QueryFile(folder, "edges", ref_id="edges"))
        .unit("string")
        .no_value(no_value)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(None, CALM)]))
        .span(span)
        .height(height)
    )
    for name, colour in arcs.items():
        panel.override_by_name(f"arc__{name}", series_colour(colour))
    # The text of the panel is for a graph without nodes: what a node or edge lacks stays empty.
    panel.override_by_regexp(
        "/^(subtitle|mainstat|secondarystat|detail__.*)$/", [DynamicConfigValue("noValue", "")]
    )
    panel.override_by_name("id", [DynamicConfigValue("links", list(links))])
    return panel
