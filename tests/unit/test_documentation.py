"""The documents say what is so: every dependency, every subcommand, every file they link to."""

from __future__ import annotations

import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.attributes import STEPS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")])


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def names_of(requirements: list[Any]) -> set[str]:
    """The names of other people's packages in a list of requirements."""
    texts = [text for text in requirements if isinstance(text, str)]
    names = {re.split(r"[\[<>=;!~ ]", text, maxsplit=1)[0] for text in texts}
    return names - {"celerytrail"}


def test_every_dependency_is_explained(project: dict[str, Any]) -> None:
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    explained = (ROOT / "docs" / "dependencies.md").read_text()
    for name in set[str]().union(*map(names_of, lists)):
        assert re.search(rf"\b{re.escape(name)}\b", explained), f"docs/dependencies.md: {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_event_names_are_those_of_the_table() -> None:
    rows = (ROOT / "docs" / "from-z4j.md").read_text().partition("## Events")[2]
    told = set(re.findall(r"\| `(task-[a-z-]+)` \| `([a-z_]+)` \|", rows))
    assert told
    assert told <= {(step.event, step.name) for step in STEPS}


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        told = re.findall(r"(?:^|[`$] ?)make ([a-z0-9-]+)", document.read_text(), re.MULTILINE)
        assert set(told) <= targets, document.name


def test_settings_in_the_documents_are_those_that_the_code_reads() -> None:
    setting = re.compile(r"CELERYTRAIL_[A-Z]+(?:_[A-Z]+)*")
    documented = set(setting.findall((ROOT / "docs" / "configuration.md").read_text()))
    read = {
        name
        for folder in ("exporter", "sql", "action_api")
        for source in (ROOT / folder).rglob("*.py")
        for name in setting.findall(source.read_text())
    }
    assert documented == read - {"CELERYTRAIL_SINK", "CELERYTRAIL_ACTIONS"}  # prefixes alone


def test_every_check_of_the_doctor_is_told_of() -> None:
    from celerytrail.exporter.agent.doctor.examination import (
        APP_AND_RECORDER_CHECKS,
        APP_CHECKS,
        RECORDER_CHECKS,
    )

    told = set(
        re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/loading.md").read_text(), re.MULTILINE)
    )
    checks = (*APP_CHECKS, *RECORDER_CHECKS, *APP_AND_RECORDER_CHECKS)
    assert told == {check.__name__ for check in checks} | {"app", "settings"}


def test_every_check_of_the_doctor_of_the_ledger_is_told_of() -> None:
    from celerytrail.sql.doctor.examination import CHECKS

    told = re.findall(r"^\| `([a-z_]+)` \|", (ROOT / "docs/doctor.md").read_text(), re.MULTILINE)
    assert told == [row.name for row in CHECKS]


def test_every_subcommand_is_told_of() -> None:
    said = "\n".join(document.read_text() for document in DOCUMENTS)
    for point in entry_points(group="celerytrail.commands"):
        assert re.search(rf"celerytrail {point.name}\b", said), point.name
