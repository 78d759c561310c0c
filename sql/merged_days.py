"""Days that retention dropped, put together from the chains that had rows of them."""

from __future__ import annotations

from collections.abc import Iterable

from celerytrail.sql.verification import DroppedDay


def by_day(found: Iterable[DroppedDay]) -> tuple[DroppedDay, ...]:
    """Return each day once, in order, with the groups and rows that all chains had of it."""
    days: dict[str, DroppedDay] = {}
    for one in found:
        before = days.get(one.day)
        groups = one.groups + (before.groups if before else 0)
        rows = one.rows + (before.rows if before else 0)
        days[one.day] = DroppedDay(one.day, groups, rows, one.by)
    return tuple(days[day] for day in sorted(days))
