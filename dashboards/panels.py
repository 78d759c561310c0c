"""Panels of each kind with what every panel must have: description, unit, thresholds, text for no data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import logs as logs_panel
from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import statetimeline as timeline_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.builders import timeseries as series_panel
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTextDisplayOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, Panel, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    LogsDedupStrategy,
    LogsSortOrder,
    SortOrder,
    StackingMode,
    TableCellHeight,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
)

from celerytrail.dashboards.columns import Column
from celerytrail.dashboards.links import Link
from celerytrail.dashboards.postgres_query import QueryFile, data_source
from celerytrail.dashboards.state_colours import CALM, series_colour, value_map

Steps = Sequence[Threshold]

FULL_WIDTH = 24


def steps(base: str, *above: tuple[float, str]) -> list[Threshold]:
    """Return thresholds: the colour ``base``, and from each value on another colour."""
    return [Threshold(None, base), *(Threshold(value, colour) for value, colour in above)]


def plain() -> list[Threshold]:
    """Return thresholds that judge nothing."""
    return steps(CALM)


def stat(
    title: str,
    query: QueryFile,
    *,
    description: str,
    unit: str,
    no_value: str,
    thresholds: Steps,
    span: int,
    height: int = 4,
    decimals: int | None = None,
    link: Link | None = None,
    mappings: Sequence[ValueMap] = (),
    colours: Mapping[str, str] | None = None,
    columns: Sequence[Column] = (),
) -> stat_panel.Panel:
    """Return a panel of one big number, or of one for each numeric column of the row.

    ``colours`` fixes the colour of the number whose column has that name.
    """
    panel = (
        stat_panel.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit(unit)
        .no_value(no_value)
        .thresholds(_thresholds(thresholds))
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.AUTO)
        .wide_layout(False)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("/.*/").values(False))
        .span(span)
        .height(height)
    )
    if decimals is not None:
        panel.decimals(decimals)
    if columns or colours:
        # Left to itself Grafana takes the size at which the longest of them fits.
        panel.text(VizTextDisplayOptions().title_size(14).value_size(30))
    if link is not None:
        panel.override_by_regexp("/.*/", [DynamicConfigValue("links", [link])])
    if mappings:
        panel.mappings(list(mappings))
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, series_colour(colour))
    for column in columns:
        panel.override_by_name(
            column.name, [p for p in column.properties() if not p.id_val.startswith("custom.")]
        )
    return panel


def table(
    title: str,
    query: QueryFile,
    columns: Sequence[Column],
    *,
    description: str,
    no_value: str,
    height: int,
    span: int = FULL_WIDTH,
    unit: str = "string",
    tall_rows: bool = False,
) -> table_panel.Panel:
    """Return a table; ``columns`` names every column of its query, in the order of the query."""
    panel = (
        table_panel.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit(unit)
        .no_value(no_value)
        .thresholds(_thresholds(plain()))
        .cell_height(TableCellHeight.MD if tall_rows else TableCellHeight.SM)
        .show_header(True)
        .span(span)
        .height(height)
    )
    for column in columns:
        panel.override_by_name(column.name, column.properties())
    return panel


def time_series(
    title: str,
    query: QueryFile,
    *,
    description: str,
    unit: str,
    no_value: str,
    span: int,
    height: int = 8,
    thresholds: Steps = (),
    bars: bool = False,
    colours: Mapping[str, str] | None = None,
    name_by: str | None = None,
) -> series_panel.Panel:
    """Return lines over time, or stacked bars.

    ``colours`` fixes the colour of the series of that name. ``name_by`` is the label that names a series.
    """
    panel = (
        series_panel.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit(unit)
        .no_value(no_value)
        .min(0)
        .thresholds(_thresholds(thresholds or plain()))
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .draw_style(GraphDrawStyle.BARS if bars else GraphDrawStyle.LINE)
        .fill_opacity(80 if bars else 8)
        .line_width(0 if bars else 1)
        .show_points(VisibilityMode.NEVER if bars else VisibilityMode.AUTO)
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .span(span)
        .height(height)
    )
    if bars:
        panel.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if name_by:
        panel.display_name("${__field.labels." + name_by + "}")
    for name, colour in (colours or {}).items():
        panel.override_by_name(name, series_colour(colour))
    return panel


def timeline(
    title: str,
    query: QueryFile,
    *,
    description: str,
    no_value: str,
    by: str,
    colours: Mapping[str, str],
    height: int,
    span: int = FULL_WIDTH,
) -> timeline_panel.Panel:
    """Return bars from ``time`` to ``timeend``, a row for each value of the column ``by``."""
    return (
        timeline_panel.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit("string")
        .no_value(no_value)
        .thresholds(_thresholds(plain()))
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
        .mappings([value_map(colours)])
        .display_name("${__field.labels." + by + "}")
        .with_transformation(
            DataTransformerConfig(
                id_val="partitionByValues",
                options={"fields": [by], "keepFields": False, "naming": {"asLabels": True}},
            )
        )
        .merge_values(False)
        .show_value(VisibilityMode.AUTO)
        .row_height(0.8)
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
        .span(span)
        .height(height)
    )


def text_lines(
    title: str, query: QueryFile, *, description: str, no_value: str, span: int, height: int
) -> logs_panel.Panel:
    """Return long texts with their line breaks: each row of ``time`` and ``body`` is one."""
    return (
        logs_panel.Panel()
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit("string")
        .no_value(no_value)
        .thresholds(_thresholds(plain()))
        .show_time(False)
        .show_labels(False)
        .wrap_log_message(True)
        .prettify_log_message(False)
        .enable_log_details(False)
        .sort_order(LogsSortOrder.DESCENDING)
        .dedup_strategy(LogsDedupStrategy.NONE)
        .span(span)
        .height(height)
    )


def traces(title: str, query: QueryFile, *, description: str, no_value: str, height: int) -> Panel:
    """Return the waterfall of one trace.

    The columns that hold JSON come as text and are parsed here: Grafana makes null of a value that is
    parsed already.
    """
    parsed = ("tags", "serviceTags", "logs", "references")
    return (
        Panel()
        .type("traces")
        .title(title)
        .description(description)
        .datasource(data_source())
        .with_target(query)
        .unit("ms")
        .no_value(no_value)
        .thresholds(_thresholds(plain()))
        .with_transformation(
            DataTransformerConfig(
                id_val="convertFieldType",
                options={
                    "fields": {},
                    "conversions": [
                        {"targetField": name, "destinationType": "other"} for name in parsed
                    ],
                },
            )
        )
        .span(FULL_WIDTH)
        .height(height)
    )


def _thresholds(values: Steps) -> ThresholdsConfig:
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(values))
