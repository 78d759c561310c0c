"""The wheel holds what the tree holds, and works where nothing else of us is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
FOLDERS = ("exporter", "sql", "action_api", "dashboards", "examples")
DATA_SUFFIXES = {".sql", ".json", ".typed"}
NODE_PROJECT = ROOT / "dashboards" / "pictures"
"""A tool of the checkout, with its packages from npm beside it: no part of the wheel."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def files_of_the_tree() -> Iterator[Path]:
    """The files of our folders, without the Node project."""
    for folder in FOLDERS:
        for where, folders, names in os.walk(ROOT / folder):
            folders[:] = [name for name in folders if Path(where, name) != NODE_PROJECT]
            yield from (Path(where, name) for name in names)


def packages_of_the_tree() -> set[str]:
    """Every folder with an __init__.py, and any folder of Python files without one."""
    folders = {
        path.parent.relative_to(ROOT) for path in files_of_the_tree() if path.suffix == ".py"
    }
    return {".".join(("celerytrail", *folder.parts)) for folder in folders}


def test_the_package_list_is_that_of_the_tree(project: dict[str, Any]) -> None:
    assert set(project["tool"]["setuptools"]["packages"]) == packages_of_the_tree()


def test_every_folder_of_code_is_a_package() -> None:
    for name in packages_of_the_tree():
        folder = ROOT.joinpath(*name.split(".")[1:])
        assert (folder / "__init__.py").exists(), f"{folder} has no __init__.py"


def test_every_entry_point_names_a_file_that_exists(project: dict[str, Any]) -> None:
    groups = project["project"]["entry-points"].values()
    targets = [*project["project"]["scripts"].values()]
    targets += [target for group in groups for target in group.values()]
    for target in targets:
        module = target.partition(":")[0]
        path = ROOT.joinpath(*module.split(".")[1:])
        assert path.with_suffix(".py").exists(), f"{target}: there is no {path}.py"


def test_the_links_for_type_checkers_are_there() -> None:
    for folder in FOLDERS:
        link = ROOT / ".typing" / "celerytrail" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


def test_the_constraints_hold_hashes_and_no_address() -> None:
    for name, at_least in (
        ("constraints.txt", 20),
        ("constraints-celery52.txt", 20),
        ("constraints-celery55.txt", 20),
        ("constraints-postgres.txt", 1),
    ):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert not any(line.startswith(("-", "/", ".")) for line in text.splitlines())
        pinned = [line for line in text.splitlines() if "==" in line and not line.startswith("#")]
        hashes = text.count("--hash=sha256:")
        assert len(pinned) > at_least
        assert hashes >= len(pinned)
        assert not any(line.startswith("celerytrail") for line in pinned)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as it is for a release."""
    copy = tmp_path_factory.mktemp("source")
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."],
        cwd=copy,
        check=True,
        capture_output=True,
    )
    (made,) = (copy / "dist").glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        "/".join(("celerytrail", *path.relative_to(ROOT).parts))
        for path in files_of_the_tree()
        if path.suffix in DATA_SUFFIXES | {".py"}
    }
    assert held == expected


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True)
    # The dependencies are those that we run with: what is under test is our wheel. A .pth file in
    # there, which is what an editable install is, has no effect for a path given this way.
    dependencies = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    settings = {"PATH": os.defpath, "PYTHONPATH": dependencies}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=settings, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    script = (
        "from importlib.resources import files\n"
        "import celerytrail.exporter.cli as cli\n"
        "print(cli.__file__)\n"
        "print(*[path.name for path in files('celerytrail.sql').joinpath('migrations').iterdir()])\n"
        "print(files('celerytrail.sql').joinpath('queries', 'ingest.sql').is_file())\n"
    )
    imported_from, migrations, has_queries = run(str(python), "-c", script).splitlines()
    assert Path(imported_from).is_relative_to(environment)
    assert {path.name for path in (ROOT / "sql" / "migrations").glob("*.sql")} <= set(
        migrations.split()
    )
    assert has_queries == "True"
    usage = run(str(environment / "bin" / "celerytrail"), "--help")
    for command in ("demo", "migrate", "ship", "sink", "verify"):
        assert command in usage
