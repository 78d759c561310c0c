"""Lengths of time as Grafana writes them: 5m, 30s, 1500ms."""

from __future__ import annotations

import re
from typing import Final

from celerytrail.dashboards.grafana_sql.errors import MacroError

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
YEAR_MS: Final = 365 * DAY_MS

_LARGEST_FIRST: Final = (
    ("y", YEAR_MS),
    ("d", DAY_MS),
    ("h", HOUR_MS),
    ("m", MINUTE_MS),
    ("s", SECOND_MS),
    ("ms", 1),
)
# Weeks and months are read, though never written.
_UNITS_MS: Final = dict(_LARGEST_FIRST) | {"w": 7 * DAY_MS, "M": 30 * DAY_MS}
_INTERVAL: Final = re.compile(r"(\d+)(ms|[smhdwMy])")

# The steps of a chart: a raw step below the first number becomes the second. Milliseconds.
_STEPS: Final = (
    (10, 1),
    (15, 10),
    (35, 20),
    (75, 50),
    (150, 100),
    (350, 200),
    (750, 500),
    (1_500, 1_000),
    (3_500, 2_000),
    (7_500, 5_000),
    (12_500, 10_000),
    (17_500, 15_000),
    (25_000, 20_000),
    (45_000, 30_000),
    (90_000, 60_000),
    (210_000, 120_000),
    (450_000, 300_000),
    (750_000, 600_000),
    (1_050_000, 900_000),
    (1_500_000, 1_200_000),
    (2_700_000, 1_800_000),
    (5_400_000, HOUR_MS),
    (9_000_000, 2 * HOUR_MS),
    (16_200_000, 3 * HOUR_MS),
    (32_400_000, 6 * HOUR_MS),
    (86_400_000, 12 * HOUR_MS),
    (7 * DAY_MS, DAY_MS),
    (30 * DAY_MS, 7 * DAY_MS),
    (YEAR_MS, 30 * DAY_MS),
)


def written(interval_ms: int) -> str:
    """Write milliseconds in the largest unit that fits, cut off: 90000 is 1m, 1500 is 1s."""
    for unit, size_ms in _LARGEST_FIRST:
        if interval_ms >= size_ms:
            return f"{interval_ms // size_ms}{unit}"
    return "1ms"


def read_ms(text: str) -> int:
    """Return the milliseconds of an interval such as 5m, with or without single quotes around it.

    Raises:
        MacroError: the text is no interval, or one of length zero.
    """
    match = _INTERVAL.fullmatch(text.strip().strip("'"))
    if match is None or int(match[1]) == 0:
        message = f"{text!r} is no interval: write a number and a unit, such as '5m' or '30s'"
        raise MacroError(message)
    return int(match[1]) * _UNITS_MS[match[2]]


def step_ms(range_ms: int, points: int, least_ms: int = 1) -> int:
    """Return the step, in ms, that shows a range of time in at most about so many points."""
    raw_ms = max(range_ms / max(points, 1), least_ms)
    rounded = next((step for limit, step in _STEPS if raw_ms < limit), YEAR_MS)
    return max(rounded, least_ms)
