"""The part of ``tests/README.md`` that the table of scenarios says.

``python -m tests.scenarios.readme`` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.expected import Expected
from tests.scenarios.table import EVERY_POOL, SCENARIOS, TARGETS, Scenario, played_on

README = Path(__file__).parents[1] / "README.md"
BEGIN = "<!-- scenarios: python -m tests.scenarios.readme -->"
END = "<!-- end of scenarios -->"


def rendered() -> str:
    """Return the table of scenarios in Markdown."""
    lines = [
        "| scenario | state | runs | steps | where |",
        "|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        for expected, targets in _cases(scenario).items():
            state = expected.state or "(no task id)"
            steps = ", ".join(expected.steps)
            runs = ", ".join(expected.runs) or "none"
            lines.append(
                f"| {scenario.name} | {state} | {runs} | {steps} | {_where(targets, scenario)} |"
            )
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return the text of the file with the table in its place. Raises ValueError without the marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README} has not the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{rendered()}\n{END}{after}"


def _cases(scenario: Scenario) -> dict[Expected, list[str]]:
    cases: dict[Expected, list[str]] = {}
    for target in TARGETS:
        if scenario in played_on(target):
            cases.setdefault(scenario.on(target), []).append(f"{target.pool} {target.celery}")
    return cases


def _where(targets: list[str], scenario: Scenario) -> str:
    if len(targets) == len(TARGETS) and scenario.pools == EVERY_POOL:
        return "everywhere"
    return ", ".join(targets)


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
