"""Values of a command's options that go to Postgres as text."""

from __future__ import annotations

from typing import TypeVar

import click

T = TypeVar("T")


def utf8_text(context: click.Context, parameter: click.Parameter, value: T) -> T:
    """Return the value of an option, or the values of one that repeats; the callback of such an option.

    Raises click.BadParameter for what Postgres would refuse: a wrong usage, and no traceback.
    """
    texts = value if isinstance(value, tuple) else (value,)
    if not all(can_be_stored(text) for text in texts if isinstance(text, str)):
        raise click.BadParameter(
            "is not text in UTF-8, or holds a NUL character", context, parameter
        )
    return value


def can_be_stored(text: str) -> bool:
    """Return whether Postgres takes a text; what the system could not decode has lone surrogates."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
