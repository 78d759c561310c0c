"""Showing a run until Ctrl-C: redrawn in a terminal, printed now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console, RenderableType
from rich.live import Live

from celerytrail.examples.demo.observation import Observation
from celerytrail.examples.demo.run import Run
from celerytrail.examples.demo.view import rates, render

_REDRAW_SECONDS = 1.0
_PRINT_SECONDS = 5.0
_PIPE_WIDTH = 150


def watch(run: Run) -> None:
    """Show the run until KeyboardInterrupt. Raises DemoError when a part of it ends."""
    console = Console()
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            before = None
            while True:
                before, picture = _picture(run, before)
                live.update(picture, refresh=True)
                time.sleep(_REDRAW_SECONDS)
    console = Console(width=_PIPE_WIDTH)
    before = None
    while True:
        before, picture = _picture(run, before)
        console.print(picture)
        console.file.flush()
        time.sleep(_PRINT_SECONDS)


def _picture(run: Run, before: Observation | None) -> tuple[Observation, RenderableType]:
    run.check()
    now = run.observer.look()
    return now, render(now, len(run.shop.sent()), rates(before, now), run.button)
