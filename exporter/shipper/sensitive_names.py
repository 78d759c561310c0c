"""Which names mark a value as secret: keys of objects, keyword arguments, headers, variables.

A name is taken apart into words (``apiKey``, ``API-KEY`` and ``api key`` are ``api`` and ``key``).
A term of five letters or more marks every name that contains it, whatever separates its words; a
shorter one only the names in which it is a word of its own, or a run of whole words: ``pin`` must
not hide ``shipping``, ``cc_no`` hides ``ccNo`` and ``k8s`` hides ``my-k8s``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

DEFAULT_TERMS: tuple[str, ...] = (
    "password", "passwd", "passphrase", "passcode", "pass", "pwd", "pw",
    "secret", "token", "jwt", "otp", "totp", "mfa",
    "api_key", "access_key", "private_key", "signing_key", "encryption_key", "account_key",
    "authorization", "authentication", "auth", "bearer",
    "cookie", "session", "sid", "csrf", "xsrf",
    "credential", "creds", "cred",
    "credit_card", "card_number", "card_no", "cc_number", "pan", "cvv", "cvc", "csc", "pin",
    "ssn", "social_security", "iban", "account_number",
    "dsn", "connection_string", "database_url", "broker_url",
)  # fmt: skip
"""Names that are always treated as secret; settings add to them."""

SHORTEST_CONTAINED = 5
_WORD = re.compile(r"A+(?!a)|A?a+|0+")
"""A word in the shape of a name: capitals, other letters and digits, each kind one character."""

_MAX_REMEMBERED = 20_000
_LONGEST_REMEMBERED = 128


class SensitiveNames:
    """The terms, and the answer for each name that was asked for, remembered."""

    def __init__(self, extra_terms: Iterable[str] = ()) -> None:
        self.terms = tuple(dict.fromkeys((*DEFAULT_TERMS, *extra_terms)))
        joined = {_joined(term) for term in self.terms} - {""}
        long = {term for term in joined if len(term) >= SHORTEST_CONTAINED}
        self.contained = tuple(sorted(t for t in long if not any(o in t for o in long if o != t)))
        """Terms that mark every name which contains them, in lower case and without separators."""
        self.whole = frozenset(joined - long)
        """Terms that must be a word of the name, in lower case."""
        self._known: dict[str, bool] = {}

    def with_terms(self, terms: Iterable[str]) -> SensitiveNames:
        """Return these names with further terms; themselves where there are none."""
        more = tuple(terms)
        return SensitiveNames((*self.terms, *more)) if more else self

    def __contains__(self, name: object) -> bool:
        """Tell whether a value under this name has to be hidden; False for what is not text."""
        if not isinstance(name, str):
            return False
        known = self._known.get(name)
        if known is None:
            known = self._decide(name)
            # The names come from other people's data: what is remembered must stay bounded.
            if len(self._known) < _MAX_REMEMBERED and len(name) <= _LONGEST_REMEMBERED:
                self._known[name] = known
        return known

    def _decide(self, name: str) -> bool:
        folded = name if name.isascii() else unicodedata.normalize("NFKC", name)
        joined = _joined(folded)
        if any(term in joined for term in self.contained):
            return True
        words = [_joined(word) for word in words_of(folded)]
        for first in range(len(words)):
            run = ""
            for word in words[first : first + SHORTEST_CONTAINED - 1]:
                run += word
                if run in self.whole:
                    return True
                if len(run) >= SHORTEST_CONTAINED:
                    break
        return False


def words_of(name: str) -> list[str]:
    """Take a name apart: at separators, before capitals, and between letters and digits."""
    shape = "".join(
        "A" if c.isupper() else "a" if c.isalpha() else "0" if c.isalnum() else "_" for c in name
    )
    return [name[word.start() : word.end()] for word in _WORD.finditer(shape)]


def _joined(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))
