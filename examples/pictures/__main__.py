"""Draw the dashboards with the data of the demo: ``python -m celerytrail.examples.pictures``."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click
import psycopg
import yaml

from celerytrail.dashboards.drawing.draw import Picture, Report, draw
from celerytrail.dashboards.drawing.errors import DrawingError
from celerytrail.dashboards.drawing.sheet import Theme, View
from celerytrail.dashboards.errors import DashboardsError
from celerytrail.dashboards.grafana_sql import intervals
from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.pictures.scene import Scene, scene

_ROOT: Final = Path(__file__).resolve().parents[2]
_GRAFANA: Final = _ROOT / "provisioning" / "grafana"
# Drawn once more in the light theme.
_LIGHT_TOO: Final = "celerytrail-overview"
# Shows the time of its task, as the link "zoom to its time" would.
_OF_A_TASK: Final = "celerytrail-task"
# The names of the variables that say which task and which workflow is shown.
_TASK: Final = "task_id"
_WORKFLOW: Final = "workflow_id"


@click.command()
@click.option("--orders", type=click.IntRange(1), default=60, show_default=True)
@click.option("--every", type=click.FloatRange(0.0), default=1.5, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=_ROOT / "docs" / "pictures",
    help="Where the pictures go.  [docs/pictures]",
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write this too.")
def main(orders: int, every: float, out: Path, report: Path | None) -> None:
    """Run the demo's workload, then draw every dashboard, and one in the light theme too.

    Exits with 1 when a query failed or a panel could not be drawn.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="celerytrail-pictures-") as directory:
            # So that the user nobody reaches the database, where root has to become somebody else.
            Path(directory).chmod(0o711)
            with scene(Path(directory), orders, every, _say) as found:
                reports = draw_all(found, out)
    except (DashboardsError, DemoError, EmbeddedServerError, psycopg.Error) as error:
        raise click.ClickException(str(error)) from error
    if report is not None:
        report.write_text(json.dumps([asdict(one) for one in reports], indent=1, default=str))
    problems = [f"{one.out.name}: {error}" for one in reports for error in one.errors]
    for problem in problems:
        _say(problem)
    sys.exit(1 if problems else 0)


def draw_all(found: Scene, out: Path) -> list[Report]:
    """Draw every provisioned dashboard into a folder."""
    dashboards = [json.loads(path.read_text()) for path in sorted(_dashboard_files())]
    least_step_ms = _least_step_ms()
    pictures = []
    for dashboard in dashboards:
        uid = dashboard["uid"]
        values = {
            name: value
            for name, value in ((_TASK, found.task_id), (_WORKFLOW, found.workflow_id))
            if name in _variables(dashboard)
        }
        themes: Sequence[Theme] = ("dark", "light") if uid == _LIGHT_TOO else ("dark",)
        for theme in themes:
            name = f"{uid}.png" if theme == "dark" else f"{uid}-{theme}.png"
            within = found.task_within if uid == _OF_A_TASK else found.within
            view = View(within, values, theme, least_step_ms=least_step_ms)
            pictures.append(Picture(dashboard, view, out / name))
    if not pictures:
        raise DrawingError(f"no dashboards in {_GRAFANA}: run make dashboards")
    out.mkdir(parents=True, exist_ok=True)
    _say(f"drawing {len(pictures)} pictures")
    return draw(pictures, found.dsn, dashboards)


def _dashboard_files() -> list[Path]:
    return list((_GRAFANA / "dashboards").glob("*.json"))


def _variables(dashboard: dict[str, Any]) -> set[str]:
    return {variable["name"] for variable in dashboard["templating"]["list"]}


def _least_step_ms() -> int:
    """Return the shortest interval of the provisioned data source."""
    for path in sorted((_GRAFANA / "datasources").glob("*.y*ml")):
        for source in yaml.safe_load(path.read_text())["datasources"]:
            interval = source.get("jsonData", {}).get("timeInterval")
            if interval:
                return intervals.read_ms(interval)
    return 1


def _say(text: str) -> None:
    click.echo(f"pictures: {text}", err=True)


if __name__ == "__main__":
    main()
