"""The files that Grafana provisions are those that their sources make."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip(
    "grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11 or newer"
)

from grafana_foundation_sdk.models import dashboard as models

from celerytrail.dashboards import build, sql_files
from celerytrail.dashboards.command import dashboards
from celerytrail.dashboards.errors import DashboardsError, QueryFileError
from celerytrail.dashboards.sql_files import sql_text

PROVISIONED = Path(__file__).parents[3] / "provisioning" / "grafana"
QUERIES = Path(str(files("celerytrail.dashboards").joinpath("queries")))


def test_committed_files_are_what_the_sources_make() -> None:
    assert build.stale(PROVISIONED) == [], "run make dashboards"


def test_no_dashboard_is_left_over_from_before() -> None:
    generated = {PROVISIONED / name for name in build.files()}
    assert set((PROVISIONED / "dashboards").glob("*.json")) <= generated


def test_the_same_sources_give_the_same_bytes() -> None:
    assert build.files() == build.files()


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    run = CliRunner().invoke
    assert run(dashboards, ["build", "--to", str(tmp_path), "--check"]).exit_code == 1
    written = run(dashboards, ["build", "--to", str(tmp_path)])
    assert written.exit_code == 0, written.output
    assert f"wrote {tmp_path / 'dashboards' / 'tasks.json'}" in written.output
    assert run(dashboards, ["build", "--to", str(tmp_path), "--check"]).exit_code == 0

    changed = tmp_path / "dashboards" / "tasks.json"
    changed.write_text(changed.read_text().replace("Retry", "Retri"))
    checked = run(dashboards, ["build", "--to", str(tmp_path), "--check"])
    assert checked.exit_code == 1
    assert "tasks.json" in checked.output
    assert "overview.json" not in checked.output
    assert "make dashboards" in checked.output


def test_an_older_python_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 14))
    said = CliRunner().invoke(dashboards, ["build", "--to", str(tmp_path)])
    assert said.exit_code == 1
    assert "3.11" in said.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "dashboards").write_text("a file")
    with pytest.raises(DashboardsError, match="dashboards"):
        build.write(tmp_path)


def test_the_types_are_those_of_this_generation_of_grafana() -> None:
    # An index offers builds with an epoch, which look newer and have the types of Grafana 10.
    assert hasattr(models, "Action")


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a value as JSON and YAML have them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_every_query_file_is_in_a_dashboard_or_in_another_query() -> None:
    # JSON is YAML too.
    made = {text.strip() for one in build.files().values() for text in texts(yaml.safe_load(one))}
    included = set()
    for path in QUERIES.glob("*/*.sql"):
        included |= set(re.findall(r"-- include: (\w+) as", path.read_text()))
    unused = [
        f"{path.parent.name}/{path.name}"
        for path in sorted(QUERIES.glob("*/*.sql"))
        if not (path.parent.name == "variables" and path.stem in included)
        and sql_text(path.parent.name, path.stem) not in made
    ]
    assert unused == []


def test_every_query_file_says_what_it_answers() -> None:
    silent = [
        str(path.relative_to(QUERIES))
        for path in QUERIES.glob("*/*.sql")
        if not path.read_text().startswith("-- ")
    ]
    assert silent == []


def test_a_query_takes_in_its_conditions_for_its_table() -> None:
    text = sql_text("overview", "latest_failures")
    assert "-- include" not in text
    assert "{alias}" not in text
    assert "t.queue IN (${queue:sqlstring})" in text
    assert text.startswith("SELECT")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(QueryFileError, match=r"queries/tasks/nothing\.sql"):
        sql_text("tasks", "nothing")


def test_a_file_without_a_statement_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "queries" / "tasks").mkdir(parents=True)
    (tmp_path / "queries" / "tasks" / "empty.sql").write_text("-- Only a comment.\n")
    monkeypatch.setattr(sql_files, "files", lambda _: tmp_path)
    with pytest.raises(QueryFileError, match="no statement"):
        sql_text("tasks", "empty")


def test_a_panel_is_found_by_its_title() -> None:
    tasks = json.loads(build.files()[Path("dashboards/tasks.json")])
    ids = {panel["title"]: panel["id"] for panel in tasks["panels"]}
    assert build.panel_id("tasks", "Newest tasks") == ids["Newest tasks"]
    with pytest.raises(DashboardsError, match="0 panels named 'Oldest'"):
        build.panel_id("tasks", "Oldest")
    with pytest.raises(DashboardsError, match="no dashboard 'tusks'"):
        build.panel_id("tusks", "Newest tasks")
