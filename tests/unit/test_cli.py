from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import click
import pytest
from click.testing import CliRunner

from celerytrail.exporter import cli
from celerytrail.exporter.spool.errors import SpoolDirectoryError


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, cli.GROUP)


def test_help_lists_every_subcommand_and_imports_none() -> None:
    code = (
        "import sys\nfrom celerytrail.exporter.cli import celerytrail\n"
        "try: celerytrail(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in sys.modules if n.startswith(('celerytrail.sql', 'celerytrail.exporter.s', 'celery.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for found in entry_points(group=cli.GROUP):
        assert f"  {found.name} " in done.stdout


def test_every_subcommand_has_a_summary() -> None:
    names = {found.name for found in entry_points(group=cli.GROUP)}
    assert names == set(cli.SUMMARIES)
    assert set(cli.EXTRAS) <= names


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, EntryPoint]:
        return {"sink": entry("sink", "a_package_that_is_not_there.x:y")}

    monkeypatch.setattr(cli, "_commands", missing)
    done = CliRunner().invoke(cli.celerytrail, ["sink"])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert 'celerytrail sink needs pip install "celerytrail[sink]"' in line
    assert "a_package_that_is_not_there" in line


def test_an_unknown_subcommand_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli.celerytrail, ["nonsense"])
    assert done.exit_code == 2
    assert "nonsense" in done.stderr


def test_an_error_of_a_component_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise SpoolDirectoryError("spool directory /x: do this")

    monkeypatch.setattr(cli, "celerytrail", broken)
    with pytest.raises(SystemExit) as exited:
        cli.main()
    assert exited.value.code == 1
    assert capsys.readouterr().err == "Error: spool directory /x: do this\n"


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "celerytrail", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_the_command_is_a_click_group() -> None:
    assert isinstance(cli.celerytrail, click.Group)
