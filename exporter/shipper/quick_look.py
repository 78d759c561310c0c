"""A quick look at a value: tells that redaction would leave it as it is, without rewriting it.

Sound, not complete: whatever a rule would hide makes it say no, and then the long way is gone. All
texts of a value are looked at together, so that the cost is that of a few searches in one text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from celerytrail.exporter.shipper.needles import Needles
from celerytrail.exporter.shipper.secret_values import (
    MARK,
    MAY_BE_CARD,
    SHORTEST_CARD,
    SecretValue,
    hide_number,
)
from celerytrail.exporter.shipper.sensitive_names import SensitiveNames
from celerytrail.exporter.shipper.sensitive_text import SensitiveText

MAX_DEPTH = 100
LONGEST_NAME = 64
NAMING = frozenset(("name", "key", "field", "header", "param", "parameter", "variable", "option"))
"""Names whose value may be the name of what stands beside it."""

_MAX_NAMES = 20_000
_LONGEST_REMEMBERED = 128
_NO_CARD = 10**11
_SEPARATOR = "\0"
_KEPT = set(b"abcdefghijklmnopqrstuvwxyz0123456789\0")
_NOT_LETTERS = bytes(sorted(set(range(256)) - _KEPT))
_AS_DIGITS = bytes(ord("0") if chr(code).isdigit() and code < 128 else code for code in range(256))
_WITHIN_CARDS = b" .-"
_DIGITS = b"0" * SHORTEST_CARD
# Rare in what people write; what secrets are known by mostly has one of them.
_RARE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_~=:/.-@0123456789jkqvxyz")
_NOT_RARE = "".join(chr(code) for code in range(128) if chr(code) not in _RARE).encode()
_QUOTES = ('"', "'", "`")


class _NotClean(Exception):
    pass


class QuickLook:
    """Looks at values by the names and kinds of secrets in force; built once."""

    def __init__(
        self, names: SensitiveNames, text: SensitiveText, values: Iterable[SecretValue]
    ) -> None:
        self._names = names
        self._text = text
        self._terms = Needles((*names.contained, *names.whole))
        self._by_rare, self._others = _by_rare(
            tuple(literal for secret in values for literal in secret.literals)
        )
        self._rare = Needles(part for part, _ in self._by_rare)
        self._clean_names: set[str] = set()
        self._naming: set[str] = set()

    def is_clean(
        self, value: Any, json: bytes | None = None, *, without: str | None = None
    ) -> bool:
        """Tell that redaction finds nothing in a value of JSON's kinds.

        ``json`` is the text it was read from, where that counts as well: then no object in it has
        a name twice, of which the value has only the last. An object that has the name ``without``
        is never clean.
        """
        texts: list[str] = []
        terms: list[str] = []
        try:
            count = self._gather((value,), texts, terms, without, -1)
        except _NotClean:
            return False
        text = _SEPARATOR.join(texts)
        if texts and text.count(_SEPARATOR) != len(texts) - 1:
            return False
        if json is not None and not (
            json.isascii()
            and (b"\\" not in json or b"\\u" not in json)  # it may write a colon
            and b"\0" not in json  # UTF-16, where the line before would not see it
            and json.count(b":") == count + text.count(":")
        ):
            return False
        return self._is_clean(text, terms)

    def is_clean_text(self, text: str) -> bool:
        """Tell that redaction finds nothing in a text."""
        return _SEPARATOR not in text and self._is_clean(text, ())

    def _gather(
        self, value: Any, texts: list[str], terms: list[str], without: str | None, depth: int
    ) -> int:
        """Collect the texts, and those that may be the name of another value; count the names."""
        if depth >= MAX_DEPTH:
            raise _NotClean
        count = 0
        longest = LONGEST_NAME
        if type(value) is dict:
            if not self._clean_names.issuperset(value):
                self._look_at_names(value)
            if without is not None and without in value:
                raise _NotClean
            count = len(value)
            longest = -1 if self._naming.isdisjoint(value) else 1 << 62
            value = value.values()
        for item in value:
            kind = type(item)
            if kind is str:
                texts.append(item)
                if len(item) <= longest:
                    terms.append(item)
            elif kind is int or kind is float:
                if not -_NO_CARD < item < _NO_CARD and hide_number(item) is MARK:
                    raise _NotClean
            elif kind is dict or kind is list or kind is tuple:
                if item or depth >= MAX_DEPTH - 1:
                    count += self._gather(item, texts, terms, without, depth + 1)
            elif item is not None and kind is not bool:
                raise _NotClean
        return count

    def _look_at_names(self, value: Mapping[Any, Any]) -> None:
        known = self._clean_names
        for name in value:
            if name in known:
                continue
            if (
                type(name) is not str
                or ":" in name
                or name in self._names
                or self._text.hide(name) != name
            ):
                raise _NotClean
            if name.casefold() in NAMING:
                self._naming.add(name)
            # They come from other people's data: what is remembered must stay bounded.
            if len(known) < _MAX_NAMES and len(name) <= _LONGEST_REMEMBERED:
                known.add(name)

    def _is_clean(self, text: str, terms: Iterable[str]) -> bool:
        if not text.isascii():
            return False
        data = text.encode("ascii")
        rare = data.translate(None, _NOT_RARE).decode("ascii")
        if rare and self._rare.any_in(rare):
            for part, literals in self._by_rare:
                if part in rare and literals.any_in(text):
                    return False
        if self._others.any_in(text):
            return False
        if (
            _DIGITS in data.translate(_AS_DIGITS, _WITHIN_CARDS)
            and MAY_BE_CARD.search(text) is not None
        ):
            return False
        if not _has_sign(text):
            # A name inside a text says nothing of what follows, but one that is all of it may.
            if not terms:
                return True
            data = _SEPARATOR.join(terms).encode("ascii")
        return not self._terms.any_in(data.lower().translate(None, _NOT_LETTERS).decode("ascii"))


def _has_sign(text: str) -> bool:
    """Tell whether a text has what stands between a name and its value, see ``SensitiveText``."""
    # To look for one character is ten times as fast as for two.
    return (
        ":" in text
        or "=" in text
        or ("-" in text and "--" in text)
        or ("%" in text and "%3" in text)
        or ("," in text and any(quote in text for quote in _QUOTES))
    )


@lru_cache(maxsize=4)
def _by_rare(literals: tuple[str, ...]) -> tuple[tuple[tuple[str, Needles], ...], Needles]:
    """Return literals by what they have of rare letters, and those that have none."""
    found: dict[str, list[str]] = {}
    for literal in literals:
        found.setdefault("".join(c for c in literal if c in _RARE), []).append(literal)
    others = Needles(found.pop("", ()))
    return tuple((part, Needles(those)) for part, those in sorted(found.items())), others
