"""The table in ``tests/README.md`` is the table of scenarios."""

from __future__ import annotations

from tests.scenarios.readme import README, with_table


def test_the_readme_has_the_table_of_scenarios() -> None:
    text = README.read_text()
    assert text == with_table(text), "write it anew: .venv/bin/python -m tests.scenarios.readme"
