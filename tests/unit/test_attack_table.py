"""The tables of attacks in docs/verify.md name tests that are there, and every attack that is tried."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verify.md").read_text("utf-8")
TABLES = PAGE[PAGE.index("## Every attack that was tried") :]
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[([^\]]+)\])?`")
NAMED = sorted({match.groups() for match in REFERENCE.finditer(TABLES)}, key=str)


def functions(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def attacks() -> set[str]:
    """The first argument of every ``Attack(...)``."""
    tree = ast.parse((ROOT / "tests/chain/test_attacks.py").read_text("utf-8"))
    return {
        str(ast.literal_eval(node.args[0]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Attack"
    }


def rows() -> list[str]:
    found = [line for line in TABLES.splitlines() if line.startswith("| ")]
    return [line for line in found if not line.startswith(("| attack |", "| what happens |"))]


@pytest.mark.parametrize(("file", "name"), sorted({(file, name) for file, name, _ in NAMED}))
def test_every_test_that_is_named_is_there(file: str, name: str):
    assert name in functions(file)


def test_every_row_names_a_test():
    assert [row for row in rows() if not REFERENCE.search(row)] == []


def test_every_attack_is_in_the_table_and_no_other():
    assert {parameter for _, _, parameter in NAMED if parameter} == attacks()


@pytest.mark.parametrize(
    "file",
    [
        "tests/chain/test_kept_heads.py",
        "tests/chain/test_restored.py",
        "tests/integration/roles/test_sink_role.py",
        "tests/integration/roles/test_superuser_traps.py",
    ],
)
def test_no_file_of_attacks_is_left_out(file: str):
    assert any(file == one for one, _, _ in NAMED)
