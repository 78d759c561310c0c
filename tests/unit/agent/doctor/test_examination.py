from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celerytrail.exporter.agent.doctor import examination
from celerytrail.exporter.agent.doctor.examination import examine, is_well, report
from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, Finding


def finding(severity: str) -> Finding:
    return Finding(severity, "found", "means", "todo", "check")


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERYTRAIL_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("CELERYTRAIL_ENDPOINT", "http://127.0.0.1:1")


def test_only_what_is_good_to_know_is_no_fault() -> None:
    assert is_well([])
    assert is_well([finding(INFO)])
    assert not is_well([finding(INFO), finding(WARNING)])
    assert not is_well([finding(ERROR)])


def test_a_report_says_what_it_means_and_what_to_do() -> None:
    lines = [*report([finding(ERROR), finding(INFO)])]
    assert lines[0] == "ERROR check: found"
    assert "means" in lines[1]
    assert "todo" in lines[2]
    assert lines[-1].endswith("checks: 1 error, 0 warning, 1 info")


def test_the_worst_comes_first_and_each_names_its_check(tmp_path: Path) -> None:
    app = Celery("shop", broker="redis://127.0.0.1:1", set_as_current=False)
    app.conf.update(task_always_eager=True, task_track_started=True)
    found = examine(app)
    severities = [one.severity for one in found]
    assert severities == sorted(severities, key=(ERROR, WARNING, INFO).index)
    assert {"always_eager", "not_needed", "endpoint", "token", "sealing"} <= {
        one.check for one in found
    }
    assert not (tmp_path / "spool").exists()


def test_without_an_app_the_recorder_is_looked_at() -> None:
    checks = {one.check for one in examine(None)}
    assert {"app", "endpoint"} <= checks
    assert "results" not in checks


def test_an_app_that_cannot_be_loaded_is_a_finding() -> None:
    app = Celery("shop", set_as_current=False)
    app.conf.imports = ["no_such_module_anywhere"]
    (found,) = [one for one in examine(app) if one.check == "app"]
    assert found.severity == ERROR
    assert "ModuleNotFoundError" in found.found


def test_a_check_that_fails_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(app: Any) -> Iterator[Finding]:
        yield finding(INFO)
        raise KeyError("hush")

    def works(app: Any) -> Iterator[Finding]:
        yield finding(INFO)

    monkeypatch.setattr(examination, "APP_CHECKS", (broken, works))
    found = {one.check: one for one in examine(Celery("shop", set_as_current=False))}
    assert found["broken"].severity == WARNING
    assert "KeyError" in found["broken"].found
    assert "hush" not in str(found)
    assert found["works"].severity == INFO
