"""The panels of the dashboard Audit that say whether the tables which dashboards read follow from the ledger."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat as stat_panel
from grafana_foundation_sdk.builders import table as table_panel
from grafana_foundation_sdk.models.dashboard import ValueMap, ValueMappingResult

from celerytrail.dashboards.columns import TIME, Column
from celerytrail.dashboards.links import to_task
from celerytrail.dashboards.panels import FULL_WIDTH, stat, steps, table
from celerytrail.dashboards.postgres_query import QueryFile
from celerytrail.dashboards.state_colours import BAD, GOOD, NEUTRAL, WARNING

_FOUND_COLOURS = {"as the ledger has it": GOOD, "repaired": WARNING, "differs": BAD}


def read_model_checked(span: int) -> stat_panel.Panel:
    """Return how long ago a sample of the read model was compared with the ledger."""
    return stat(
        "Read model checked",
        QueryFile("audit", "read_model_checked"),
        description=(
            "Time since `celerytrail maintain` last recomputed some tasks from the ledger; DIFFERS while a sample of the last "
            "hour was not what the dashboards show. Bad from 15 min, worse from 1 h: maintain does not run."
        ),
        unit="s",
        decimals=0,
        no_value="Never checked",
        thresholds=steps(BAD, (0, GOOD), (900, WARNING), (3600, BAD)),
        span=span,
        mappings=[ValueMap({"-1": ValueMappingResult(text="DIFFERS", color=BAD, index=0)})],
    )


def read_model_checks() -> table_panel.Panel:
    """Return what self-checks and rebuilds of the read model found."""
    return table(
        "Self-checks and rebuilds",
        QueryFile("audit", "read_model_checks"),
        [
            Column("time", "Time", 155, unit=TIME),
            Column("what", "What", 120),
            Column("found", "Found", 150, colours=_FOUND_COLOURS),
            Column("different", "Differ", 85, unit="locale", steps=steps(NEUTRAL, (1, BAD))),
            Column("compared", "Of", 200),
            Column("incomparable", "Not comparable", 120, unit="locale"),
            Column("first", "First difference", 380),
            Column("task_id", "Task", 150, links=[to_task()]),
            Column("seconds", "Took", 85, unit="s"),
            Column("run_by", "By", 170),
        ],
        description=(
            "Samples that celerytrail maintain recomputed from the ledger, and runs of celerytrail rebuild, in the time range; "
            "those with differences first. Not comparable: reaches back before what retention dropped. Bad: "
            "anything that differs."
        ),
        no_value="None in this time range: does celerytrail maintain run?",
        span=FULL_WIDTH,
        height=7,
    )
