"""The live view in the terminal: pure, from one or two observations to something rich can print."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from celerytrail.examples.demo.observation import Observation

_STATES = {
    "sent": "cyan",
    "received": "cyan",
    "started": "blue",
    "retried": "yellow",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
    "revoked": "magenta",
    "expired": "magenta",
}
_MICROSECONDS_A_SECOND = 1_000_000
_TEXT_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Rates:
    """How many a second came in between two observations."""

    tasks: float
    spans: float


def rates(before: Observation | None, now: Observation) -> Rates:
    """Return what came in a second between two observations, 0 without an earlier one."""
    if before is None:
        return Rates(0.0, 0.0)
    seconds = (now.verified.now - before.verified.now).total_seconds() or 1.0
    return Rates(
        (now.counts.tasks - before.counts.tasks) / seconds,
        (now.counts.spans - before.counts.spans) / seconds,
    )


def render(observation: Observation, sent: int, rate: Rates, button: str = "") -> RenderableType:
    """Return the whole view.

    ``sent`` is how many tasks the workload wrote down, ``button`` the command that sends a task
    again when its id is put after it.
    """
    tables = [slowest_table(observation), failures_table(observation)]
    # The longest last: a small terminal cuts the end off.
    return Group(
        headline(observation, sent, rate),
        button_line(observation, button),
        Columns(tables, padding=(0, 3)),
        Text(),
        states_table(observation),
    )


def headline(observation: Observation, sent: int, rate: Rates) -> Text:
    """Return the lines that answer: is it all there, and is it untouched."""
    counts = observation.counts
    missing_style = "bold red" if counts.missing else "green"
    return Text.assemble(
        ("celerytrail demo", "bold"),
        f"   tasks written down {sent}, stored {counts.tasks} ({rate.tasks:.1f}/s)",
        f"   spans {counts.spans} ({rate.spans:.1f}/s)   ",
        (f"events missing {counts.missing}", missing_style),
        f"   processes that died {counts.unterminated}\n",
        *chain_line(observation),
        "\n",
    )


def chain_line(observation: Observation) -> tuple[str | tuple[str, str], ...]:
    """Return what is known about the chain, as parts of a Text."""
    verified, counts = observation.verified, observation.counts
    if verified.broken or verified.status == "broken":
        return (("chain BROKEN: somebody changed the ledger", "bold white on red"),)
    if verified.verified_to is None:
        return (("chain not verified yet", "yellow"), f", {counts.blocks} blocks")
    return (
        (f"chain verified up to block {verified.verified_to}", "green"),
        f" of {counts.head}",
    )


def button_line(observation: Observation, button: str) -> Text:
    """Return the command that sends the last failed task again, to be copied whole."""
    failed = next((failure.task_id for failure in observation.failures), None)
    if not button or failed is None:
        return Text()
    return Text.assemble("send it again: ", (f"{button} {failed}", "bold"), "\n")


def states_table(observation: Observation) -> Table:
    """Return how many tasks of each name are in each state."""
    seen = {row.state for row in observation.states}
    states = [state for state in _STATES if state in seen] + sorted(seen - set(_STATES))
    table = Table(title="tasks by state", title_justify="left", box=None, pad_edge=False)
    table.add_column("task")
    for state in states:
        table.add_column(state, justify="right", style=_STATES.get(state, ""))
    by_name: dict[str, dict[str, int]] = defaultdict(dict)
    for row in observation.states:
        by_name[row.task_name or "?"][row.state] = row.count
    for name, counts in sorted(by_name.items()):
        table.add_row(name, *(str(counts.get(state, "")) for state in states))
    return table


def slowest_table(observation: Observation) -> Table:
    """Return the slowest tasks, with how long they waited in their queue."""
    table = Table(title="slowest", title_justify="left", box=None, pad_edge=False)
    table.add_column("task")
    table.add_column("ran", justify="right")
    table.add_column("waited", justify="right")
    table.add_column("on")
    for slow in observation.slowest:
        table.add_row(
            slow.task_name, _seconds(slow.runtime_us), _seconds(slow.queue_wait_us), slow.worker
        )
    return table


def failures_table(observation: Observation) -> Table:
    """Return the last failures, each with what its workflow began with."""
    table = Table(title="last failures", title_justify="left", box=None, pad_edge=False)
    table.add_column("task", style="red")
    table.add_column("because")
    table.add_column("began with")
    for failure in observation.failures:
        name = (failure.exception_class or "?").rpartition(".")[2]
        because = f"{name}: {_message(failure.exception)}"
        root = f"{failure.root_name or '?'} {(failure.root_id or '')[:8]}"
        table.add_row(failure.task_name, Text(because[:_TEXT_WIDTH]), root)
    return table


def _seconds(microseconds: int | None) -> str:
    return "" if microseconds is None else f"{microseconds / _MICROSECONDS_A_SECOND:.3f} s"


def _message(text: str | None) -> str:
    try:
        return str(json.loads(text or '""'))
    except ValueError:
        return text or ""
