"""Hides secrets inside text: reprs, messages, tracebacks, URLs, JSON or headers within a string.

Text has no structure to rely on, so this errs on the side of hiding: the value after a sensitive
name reaches to the end of its quotes or brackets, or, where it has none, to the next delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from celerytrail.exporter.shipper.secret_values import (
    MARK,
    MAY_BE_CARD,
    SECRET_VALUES,
    hide_card_numbers,
)
from celerytrail.exporter.shipper.sensitive_names import SensitiveNames

_LONGEST_NAME = 80
_NAME_TAIL = re.compile(r"[\w.\-]*")
_NAME_START = re.compile(r"[\w.\-]*\Z")
_AFTER_NAME = re.compile(
    r"(?P<quote>\\*[\"'`])?(?P<close>[\])]{0,3})(?P<gap>\s{0,40})(?P<sign>=>|:=|==?|:|%3[dDaA]|,)?(?P<space>\s{0,40})"
)
_OPENING = re.compile(r"(?P<prefix>[bBrRuUfF]{0,2})(?P<slashes>\\*)(?P<quote>'''|\"\"\"|[\"'`])")
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|negotiate|ntlm|apikey|hmac|aws4-hmac-sha256)\s+", re.IGNORECASE
)
_BARE_END = re.compile(r"[\s,;&)\]}>\"'`]")
_BARE_END_OF_PHRASE = re.compile(r"[\r\n,;&)\]}>\"'`]")
_END_OF_LINE = re.compile(r"[\r\n\"'`]")
_BRACKET = re.compile(r"[\[\](){}\"'\\]")
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_WHOLE_LINE = ("authorization", "cookie")


class SensitiveText:
    """Hides what is secret in a string; built once from the names and patterns in force."""

    def __init__(
        self, names: SensitiveNames, extra_patterns: Iterable[re.Pattern[str]] = ()
    ) -> None:
        self._names = names
        self._extra = tuple(extra_patterns)
        pattern = "|".join(
            r"[\W_]{0,2}".join(map(re.escape, re.findall(r"[^\W_]+", term.casefold())))
            for term in sorted(names.terms, key=len, reverse=True)
            if re.search(r"[^\W_]", term)
        )
        self._term = re.compile(pattern)
        self._term_any_case = re.compile(pattern, re.IGNORECASE)
        self._needles = (*names.contained, *sorted(names.whole))

    def hide(self, text: str) -> str:
        """Return the text with ``[redacted]`` in the place of every secret found in it."""
        if len(text) < 6 and not self._extra:
            return text  # too short for a name, a sign and a value
        for secret in SECRET_VALUES:
            for literal in secret.literals:
                if literal in text:
                    text = secret.pattern.sub(secret.replace, text)
                    break
        for pattern in self._extra:
            text = pattern.sub(MARK, text)
        if MAY_BE_CARD.search(text):
            text = hide_card_numbers(text)
        return self._hide_named(text)

    def _hide_named(self, text: str) -> str:
        # Lower case keeps the length of ASCII text only; matching that is ten times cheaper than
        # matching without regard to case.
        search = self._term.search if text.isascii() else self._term_any_case.search
        haystack = text.lower() if text.isascii() else text
        match = search(haystack)
        if match is None:
            return text
        parts: list[str] = []
        done = 0
        while match is not None:
            found = self._value_after(text, match.start(), match.end())
            if found is None:
                match = search(haystack, match.end())
                continue
            start, end = found
            parts += (text[done:start], MARK)
            done = end
            match = search(haystack, end)
        parts.append(text[done:])
        return "".join(parts)

    def _value_after(self, text: str, start: int, end: int) -> tuple[int, int] | None:
        """Return where the value of the name around ``start`` and ``end`` lies, if it has one."""
        tail = _NAME_TAIL.match(text, end, min(len(text), end + _LONGEST_NAME))
        end = tail.end() if tail else end
        before = text[max(0, start - _LONGEST_NAME) : start]
        head = _NAME_START.search(before)
        name = (head[0] if head else "") + text[start:end]
        if name not in self._names:
            return None
        after = _AFTER_NAME.match(text, end)
        if after is None:  # the pattern matches the empty string; this is for the type checker
            return None
        sign, value = after["sign"], after.end()
        if sign is None:
            if not name.startswith("--") or not after["gap"]:
                return None
            value = after.end("gap")
        elif sign == "," and not after["quote"]:
            return None
        if value >= len(text):
            return None
        opening = _OPENING.match(text, value)
        if opening is not None:
            return opening.end(), _end_of_quoted(text, opening)
        if "\n" in after["space"] or "\r" in after["space"]:
            return None
        if text[value] in _CLOSING:
            return value, _end_of_bracket(text, value)
        stop = self._end_of_bare(text, value, sign or " ", name)
        return (value, stop) if stop > value else None

    def _end_of_bare(self, text: str, start: int, sign: str, name: str) -> int:
        lowered = name.casefold()
        if any(word in lowered for word in _WHOLE_LINE):
            pattern = _END_OF_LINE
        else:
            pattern = _BARE_END_OF_PHRASE if sign.startswith(":") else _BARE_END
            scheme = _SCHEME.match(text, start)
            start = scheme.end() if scheme else start
        position = start
        while True:
            match = pattern.search(text, position)
            if match is None:
                return len(text)
            stop = match.start()
            opened = re.search(r"[\[({]", text[position:stop])
            if opened is not None:
                # A call or a container: SecretStr('abc'), Token(a, b).
                position = _end_of_bracket(text, position + opened.start())
                if position >= len(text):
                    return len(text)
                continue
            if text[stop] in "\"'`" and stop > position and text[stop - 1] not in " \t":
                # A quote inside the value, as in <Secret'abc'>; one after a blank belongs to others.
                quoted = _OPENING.match(text, stop)
                position = _past_quote(text, quoted) if quoted else stop + 1
                if pattern is _END_OF_LINE or position >= len(text):
                    return stop if pattern is _END_OF_LINE else len(text)
                continue
            return stop


def _end_of_quoted(text: str, opening: re.Match[str]) -> int:
    """Return where the closing quote (with its escapes) begins, or the end of the text.

    A quote that was itself escaped by k backslashes is closed by one with k backslashes, and what
    is quoted inside has more: n backslashes close when (n - k) is a multiple of 2 (k + 1).
    """
    quote, escapes = opening["quote"], len(opening["slashes"])
    step = 2 * (escapes + 1)
    position = opening.end()
    while (position := text.find(quote, position)) >= 0:
        slashes = 0
        while position - slashes > opening.end() and text[position - slashes - 1] == "\\":
            slashes += 1
        if slashes >= escapes and (slashes - escapes) % step == 0:
            return position - escapes
        position += 1
    return len(text)


def _past_quote(text: str, opening: re.Match[str]) -> int:
    closing = len(opening["slashes"]) + len(opening["quote"])
    return min(len(text), _end_of_quoted(text, opening) + closing)


def _end_of_bracket(text: str, start: int) -> int:
    """Return the place after the bracket that closes the one at ``start``, or the end of the text."""
    open_brackets: list[str] = []
    position = start
    while True:
        match = _BRACKET.search(text, position)
        if match is None:
            return len(text)
        sign, position = match[0], match.end()
        if sign == "\\" or sign in "\"'":
            quoted = _OPENING.match(text, match.start())
            if quoted is not None:
                position = _past_quote(text, quoted)
        elif sign in _CLOSING:
            open_brackets.append(_CLOSING[sign])
        elif open_brackets and sign == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return position
