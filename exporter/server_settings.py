"""Reading the environment variables that every server of ours has a kind of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_LEVELS = ("debug", "info", "warning", "error", "critical")


class SettingError(ValueError):
    """A variable is missing or wrong; the message names it and says what to do."""


def dsn_setting(environ: Mapping[str, str], name: str = "CELERYTRAIL_DSN") -> str:
    """Return ``CELERYTRAIL_DSN``, or what the file that ``CELERYTRAIL_DSN_FILE`` names holds.

    ``name`` is that of another variable of this kind. Raises SettingError, which never quotes the DSN.
    """
    dsn = environ.get(name)
    if dsn:
        return dsn
    file = environ.get(f"{name}_FILE")
    if not file:
        raise SettingError(f"no database: set {name}, or {name}_FILE to a file that holds it")
    try:
        text = Path(file).read_text("utf-8").strip()
    except OSError as exc:
        why = exc.strerror or "unknown"
        raise SettingError(f"{name}_FILE {file} cannot be read: {why}") from exc
    except UnicodeDecodeError as exc:
        raise SettingError(f"{name}_FILE {file} cannot be read: it is not text") from exc
    if not text:
        raise SettingError(f"{name}_FILE {file} is empty: write the DSN into it")
    return text


def integer_setting(
    environ: Mapping[str, str], name: str, default: int, highest: int, *, lowest: int = 1
) -> int:
    """Return a whole number from ``lowest`` to ``highest``. Raises SettingError for anything else."""
    text = environ.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingError(f"{name} has to be a whole number, not {text!r}") from None
    if not lowest <= value <= highest:
        raise SettingError(f"{name} has to be from {lowest} to {highest}, not {value}")
    return value


def flag_setting(environ: Mapping[str, str], name: str) -> bool:
    """Return whether a variable says yes; unset is no. Raises SettingError for other words."""
    text = environ.get(name, "").strip().lower()
    if text in ("", "0", "false", "no"):
        return False
    if text in ("1", "true", "yes"):
        return True
    raise SettingError(f"{name} has to be true or false, not {text!r}")


def level_setting(environ: Mapping[str, str], name: str) -> str:
    """Return the name of a log level in small letters, ``info`` when unset. Raises SettingError."""
    level = (environ.get(name) or "info").lower()
    if level not in _LEVELS:
        raise SettingError(
            f"{name} has to be debug, info, warning, error or critical, not {level!r}"
        )
    return level
