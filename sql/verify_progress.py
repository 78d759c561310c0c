"""Shows on stderr how far a long verification has come: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from celerytrail.sql.verification import Progress
from celerytrail.sql.verify import READ_MODEL, ProgressOf

LINE_SECONDS = 10.0


@contextmanager
def shown_progress(wanted: bool | None) -> Iterator[ProgressOf | None]:
    """Give what shows the progress of each way; the last bar ends with the block.

    ``wanted`` None means on a terminal only; then and with False it gives None where nobody sees.
    """
    terminal = sys.stderr.isatty()
    if not (terminal if wanted is None else wanted):
        yield None
        return
    shown = _Bars() if terminal else _Lines()
    try:
        yield shown.begin
    finally:
        shown.end()


class _Bars:
    """One bar a way, redrawn in place."""

    def __init__(self) -> None:
        self._bar: Any = None

    def begin(self, way: str) -> Progress:
        self.end()

        def draw(done: int, total: int) -> None:
            if self._bar is None:
                self._bar = click.progressbar(
                    length=max(total, 1), file=sys.stderr, label=way, show_pos=True
                ).__enter__()
            self._bar.update(min(done, self._bar.length) - self._bar.pos)

        return draw

    def end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        self._bar = None


class _Lines:
    """A line every few seconds and one at the end of each way."""

    def begin(self, way: str) -> Progress:
        unit = "slices" if way == READ_MODEL else "rows"
        started = time.monotonic()
        due = started + LINE_SECONDS

        def say(done: int, total: int) -> None:
            nonlocal due
            now = time.monotonic()
            if now < due and done < total:
                return
            due = now + LINE_SECONDS
            rate = done / max(now - started, 1e-3)
            left = f", {max(total - done, 0) / rate:,.0f} s left" if 0 < done < total else ""
            share = 100 * done // max(total, 1)
            speed = f", {rate:,.0f} rows/s" if unit == "rows" else ""
            click.echo(f"{way}: {done:,} of {total:,} {unit}, {share} %{speed}{left}", err=True)

        return say

    def end(self) -> None:
        pass
