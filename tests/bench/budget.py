"""Figures beside what they must be at least: one table, met or missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure; ``budget`` and ``aim`` are bounds from below, or above for times, or there are none.

    ``low`` and ``high`` are quartiles over the rounds, where there are some.
    """

    what: str
    value: float
    unit: str
    budget: float | None = None
    aim: float | None = None
    at_most: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """Return "aim", "met" or "missed", nothing where there is no budget."""
        if self.budget is None or self.aim is None:
            return ""
        for bound, said in ((self.aim, "aim"), (self.budget, "met")):
            if self.value <= bound if self.at_most else self.value >= bound:
                return said
        return "missed"

    def line(self) -> str:
        """Return the figure as a row of the table."""
        spread = "" if self.low is None else f"{_shown(self.low)} to {_shown(self.high or 0.0)}"
        start = f"  {self.what:62}{_shown(self.value):>9} {self.unit:7}{spread:>18}"
        if self.budget is None or self.aim is None:
            return start.rstrip()
        sign = "<=" if self.at_most else ">="
        bound = f"{sign} {_shown(self.budget)} ({_shown(self.aim)})"
        return f"{start}  {bound:>20}  {self.verdict}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def table(title: str, figures: Sequence[Figure]) -> str:
    """Return the figures below a title; in brackets stands the aim."""
    return "\n".join([title, *(figure.line() for figure in figures)])


def _shown(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.0f}"
