"""Components do not import each other, and the agent pulls nothing into other people's processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVER_PACKAGES = (
    "psycopg", "flask", "gunicorn", "grafana_foundation_sdk", "grpc", "google.protobuf",
    "opentelemetry", "cryptography", "rich", "prometheus_client",
)  # fmt: skip


def test_the_contracts_of_the_layers_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "celerytrail.exporter.agent",
        "celerytrail.exporter.agent.command",
        "celerytrail.exporter.auto",
    ],
)
def test_the_agent_imports_no_server_dependency(module: str) -> None:
    script = f"import sys, {module}; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "CELERYTRAIL_DISABLED": "1"},
        check=True,
    )
    loaded = done.stdout.splitlines()
    assert module in loaded
    found = {
        name
        for name in loaded
        for package in SERVER_PACKAGES
        if name == package or name.startswith(f"{package}.")
    }
    assert not found


def test_no_python_file_holds_sql_of_its_own() -> None:
    # Statements live in .sql files, where a person who knows Postgres finds and reads them.
    starts = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "COPY ", "CREATE ", "ALTER ", "DROP ")
    for folder in ("exporter", "sql", "action_api", "dashboards", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                text = line.strip().lstrip("rbf(").lstrip("\"'")
                quoted = line.strip().lstrip("rbf(")[:1] in ("'", '"')
                assert not (quoted and text.startswith(starts)), f"{path}:{number}: {line}"


def test_the_shop_knows_nothing_of_celerytrail() -> None:
    for path in (ROOT / "examples" / "shop").glob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith(("import ", "from ")) and "celerytrail" in line:
                assert "celerytrail.examples.shop" in line, f"{path}: {line}"
