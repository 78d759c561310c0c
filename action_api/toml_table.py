"""One table of the configuration file: every value is asked for by name, kind and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from celerytrail.action_api.errors import ConfigError


class Table:
    """Reads the values of one TOML table; every complaint names file, table and key.

    ``file`` is the configuration file, ``name`` the table as people write it, with its number
    where there are several. Call ``finish`` at the end: a key that nobody asked for is an error,
    because a misspelt bound would otherwise be no bound.
    """

    def __init__(self, file: Path, name: str, values: Any) -> None:
        self._file = file
        self._name = name
        self._asked: set[str] = set()
        if not isinstance(values, Mapping):
            raise ConfigError(f"{file}: {name}: has to be a table")
        self._values: Mapping[str, Any] = values

    def wrong(self, key: str, problem: str) -> ConfigError:
        """Return the error that says what is wrong with one key."""
        return ConfigError(f"{self._file}: {self._name}: {key}: {problem}")

    def get(self, key: str) -> Any:
        """Return a value as it is, None where it is not given."""
        self._asked.add(key)
        return self._values.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; without a default it has to be there and not be empty."""
        value = self.get(key)
        if value is None and default is not None:
            return default
        if value is None or (value == "" and default is None):
            raise self.wrong(key, "has to be given")
        if not isinstance(value, str):
            raise self.wrong(key, "has to be a text in quotes")
        if any(ord(character) < 32 or ord(character) == 127 for character in value):
            raise self.wrong(key, "holds a control character")
        return value

    def texts(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of texts, none of them empty, none twice."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.wrong(key, "has to be a list of texts that are not empty")
        if len(set(value)) != len(value):
            raise self.wrong(key, "names something twice")
        return tuple(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, "has to be true or false, without quotes")
        return value

    def integer(self, key: str, default: int | None, lowest: int, highest: int) -> int:
        """Return a whole number within bounds, both included."""
        value = self.get(key)
        if value is None:
            if default is None:
                raise self.wrong(key, "has to be given")
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, "has to be a whole number, without quotes")
        if not lowest <= value <= highest:
            raise self.wrong(key, f"has to be from {lowest} to {highest}, not {value}")
        return value

    def number(self, key: str, default: float, lowest: float, highest: float) -> float:
        """Return a number within bounds, both included."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.wrong(key, "has to be a number, without quotes")
        if not lowest <= value <= highest:
            raise self.wrong(key, f"has to be from {lowest:g} to {highest:g}, not {value}")
        return float(value)

    def path(self, key: str) -> Path | None:
        """Return the path of a file that is there; a relative one is beside the configuration."""
        if self.get(key) is None:
            return None
        return self._existing(key, self.text(key))

    def paths(self, key: str) -> tuple[Path, ...]:
        """Return the paths of files that are there."""
        return tuple(self._existing(key, text) for text in self.texts(key))

    def secret(self, key: str, *, required: bool) -> str | None:
        """Return a secret that is given in the file, or by ``<key>_file`` in one of its own.

        The text of a file is stripped of blanks and line ends around it.
        """
        in_file = f"{key}_file"
        given, path = self.get(key), self.path(in_file)
        if given is not None and path is not None:
            raise self.wrong(key, f"is given twice: leave out {key} or {in_file}")
        if given is not None:
            return self.text(key)
        if path is None:
            if required:
                raise self.wrong(key, f"has to be given, or {in_file}")
            return None
        try:
            text = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise self.wrong(in_file, f"{path} cannot be read: {_why(exc)}") from exc
        if not text:
            raise self.wrong(in_file, f"{path} is empty")
        return text

    def finish(self) -> None:
        """Raise ConfigError for a key that is not one of this table."""
        unknown = sorted(set(self._values) - self._asked)
        if unknown:
            raise self.wrong(
                unknown[0], f"is not known here; known are {', '.join(sorted(self._asked))}"
            )

    def _existing(self, key: str, text: str) -> Path:
        path = self._file.parent / text
        if not path.is_file():
            raise self.wrong(key, f"there is no file {path}")
        return path


def _why(exc: Exception) -> str:
    return exc.strerror or "unknown" if isinstance(exc, OSError) else "it is not text"
