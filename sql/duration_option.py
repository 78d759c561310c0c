"""The type of options that say how long: a range that has no room for NaN and infinity."""

from __future__ import annotations

import math
from typing import Any

import click


class Duration(click.FloatRange):
    """A finite number within bounds; anything else is a usage error that names the option."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number. NaN compares as if it were within any bounds, hence this."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no length of time.", param, ctx)
        return number
