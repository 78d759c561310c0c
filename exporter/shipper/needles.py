"""Looking for any of many short texts in another one, by what they have in common first.

A search in ``str`` costs about as much as the text is long, whatever is looked for. Texts that share
a part, such as the keys ``ghp_`` and ``gho_``, are looked for one by one only where that part is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_RARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_-~=/:.")
_SHORTEST_PART = 3
_WORTH_A_PAIR = 4


class Needles:
    """Texts to look for, none of them empty; built once."""

    __slots__ = ("_groups",)

    def __init__(self, needles: Iterable[str]) -> None:
        self._groups: tuple[tuple[str, Needles | None], ...] = _grouped(sorted(set(needles)), "")

    def any_in(self, text: str) -> bool:
        """Tell whether one of them occurs in a text."""
        for part, those in self._groups:
            if part in text and (those is None or those.any_in(text)):
                return True
        return False

    @classmethod
    def _sharing(cls, needles: list[str], part: str) -> Needles:
        made = cls(())
        made._groups = _grouped(needles, part)
        return made


def _grouped(needles: list[str], found: str) -> tuple[tuple[str, Needles | None], ...]:
    """Return parts that stand for several needles with those, and the other needles alone.

    ``found`` is what all of them have and was found already, or empty.
    """
    left = [n for n in needles if not any(o in n for o in needles if o != n)]
    groups: list[tuple[str, Needles | None]] = []
    while True:
        parts = _parts(left, found, len(needles) - 1 if found else len(needles))
        if not parts:
            break
        part = max(sorted(parts), key=lambda each: (parts[each], len(each)))
        those = [needle for needle in left if part in needle]
        left = [needle for needle in left if part not in needle]
        groups.append((part, Needles._sharing(those, part)))
    return (*groups, *((needle, None) for needle in left))


def _parts(needles: list[str], found: str, most: int) -> Mapping[str, int]:
    """Return the parts that are worth a look of their own, and how many needles have each."""
    counts: dict[str, int] = {}
    for needle in needles:
        ends = range(len(needle) + 1)
        for part in {needle[first:last] for first in ends for last in ends if first < last}:
            counts[part] = counts.get(part, 0) + 1
    return {
        part: count
        for part, count in counts.items()
        if 1 < count <= most
        and part not in found
        and (
            len(part) >= _SHORTEST_PART
            or not _RARE.isdisjoint(part)
            or (len(part) > 1 and count >= _WORTH_A_PAIR)
        )
    }
