"""Hides secrets inside text: reprs, messages, tracebacks, URLs, JSON or headers within a string.

Text has no structure to rely on, so this errs on the side of hiding: the value after a sensitive
name reaches to the end of its quotes or brackets, or, where it has none, to the next delimiter. An
operator after it, as in ``token = environ["X"] or "abc"``, makes what follows a part of the value;
so does indentation, as in YAML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from celerytrail.exporter.shipper.secret_values import (
    MARK,
    MAY_BE_CARD,
    SECRET_VALUES,
    SecretValue,
    hide_card_numbers,
)
from celerytrail.exporter.shipper.sensitive_names import (
    SHORTEST_CONTAINED,
    SensitiveNames,
    words_of,
)
from celerytrail.exporter.shipper.value_ends import (
    BARE_END,
    CLOSING,
    END_OF_LINE,
    KEYWORDS,
    OPENED,
    OPENING,
    end_of_bare,
    end_of_bracket,
    end_of_operand,
    end_of_operations,
    end_of_quoted,
    past_quote,
)

_LONGEST_NAME = 80
_NAME_TAIL = re.compile(r"[\w.\-]*")
_NAME_START = re.compile(r"[\w.\-]*\Z")
_AFTER_NAME = re.compile(
    r"(?P<quote>\\*[\"'`])?(?P<close>[\])]{0,3})(?P<gap>\s{0,40})(?P<sign>=>|:=|[!+?|]{0,2}==?|:|%3[dDaA]|,)?"
    r"(?P<space>(?:\s|\\\r?\n){0,40})"
)
_SCHEME = re.compile(
    r"(?:bearer|basic|digest|token|negotiate|ntlm|apikey|hmac|aws4-hmac-sha256)\s+", re.IGNORECASE
)
_BARE_END_OF_PHRASE = re.compile(r"[\r\n,;&)\]}>\"'`]")
_BLOCK_HEAD = re.compile(
    r"[ \t]{0,40}(?P<head>(?:[!&][^\s,]{0,80}[ \t]{1,40}){0,2}(?:[|>][-+0-9]{0,2})?)[ \t]{0,40}"
    r"(?:(?:#[^\r\n]{0,200})?(?P<end>\r?\n)|(?:\\+[rn]){1,3}(?=[ \t]|\\+t|- ))"
)
_INDENT = re.compile(r"(?:[ \t]|- )*")
_LINE = re.compile(r"(?P<indent>[ \t]*)(?P<text>[^\n]*)(?:\n|\Z)")
# A value alone on the line below its name, no deeper than it: one word, and no other field.
_LINE_BELOW = re.compile(
    r"[ \t]{0,40}(?:(?:\r?\n[ \t]{0,40}){1,3}|(?:\\+r)?(?:\\+n){1,3})"
    r"(?![\w.\- ]{1,80}[:=]\s*[^\s=]|[\w.\-]{1,80}:(?:\s|\\+[rn]|\Z)|File\b|\w{1,80}\()"
    r"(?P<value>(?:[^\s\"'`\\]|\\(?![rnt\\\"'`])){1,500})[ \t]{0,40}(?=\r?\n|\\+[rn]|[\"'`]|\Z)"
)
_CONTINUED = re.compile(r"\r?\n(?P<indent>[ \t]+)(?P<text>[^\r\n]*)")
_OTHER_FIELD = re.compile(r"- |[\w.\-\"']{1,80}[ \t]?(?::(?:\s|\Z)|=)|File \"|\^|~")
_TARGETS_BEFORE = re.compile(
    r"(?:\A|\n|\\n|;)[ \t]*[(\[]?(?:\*?[\w.]{1,80}[ \t]*,[ \t]*){1,20}\*?[\w.]{0,80}\Z"
)
_TARGETS_AFTER = re.compile(
    # Blanks stand beside each other nowhere: two runs of them would share a long one in every way.
    r"(?:[ \t]*,[ \t]*\*?[\w.]{1,80}){0,20}[ \t]*(?:(?:,[)\]]?|[)\]])[ \t]*)?=(?!=)[ \t]*"
)
_ASSIGNED = re.compile(
    r"(?:\A|\n|\\n|;)[ \t]*[(\[]?(?:\*?[\w.]{1,80}[ \t]*,[ \t]*){0,20}[\w.]{0,80}\Z"
)
_END_OF_SOURCE = re.compile(r"\r?\n|\\+[rn]")
_WHOLE_LINE = ("authorization", "cookie")


class SensitiveText:
    """Hides what is secret in a string; built once from the names and patterns in force."""

    def __init__(
        self,
        names: SensitiveNames,
        extra_patterns: Iterable[re.Pattern[str]] = (),
        values: Iterable[SecretValue] = SECRET_VALUES,
    ) -> None:
        self._names = names
        self._values = tuple(values)
        self._extra = tuple(extra_patterns)
        spellings = dict.fromkeys(
            spelling
            for term in sorted(names.terms, key=len, reverse=True)
            for spelling in _spellings(term)
        )
        pattern = "|".join(filter(None, spellings))
        self._term = re.compile(pattern)
        self._term_any_case = re.compile(pattern, re.IGNORECASE)

    def hide(self, text: str) -> str:
        """Return the text with ``[redacted]`` in the place of every secret found in it."""
        if len(text) < 6 and not self._extra:
            return text  # too short for a name, a sign and a value
        for secret in self._values:
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
            end = self._end_with_names_inside(text, haystack, search, start, end)
            parts += (text[done:start], MARK)
            done = end
            match = search(haystack, end)
        parts.append(text[done:])
        return "".join(parts)

    def _end_with_names_inside(
        self,
        text: str,
        haystack: str,
        search: Callable[[str, int, int], re.Match[str] | None],
        start: int,
        end: int,
    ) -> int:
        # Where one value was taken too far, it may end between another name and its value.
        position = max(start, end - _LONGEST_NAME)
        while (match := search(haystack, position, end)) is not None:
            position = match.end()
            found = self._value_after(text, match.start(), match.end())
            if found is not None and found[1] > end:
                end = found[1]
                position = max(position, end - _LONGEST_NAME)
        return end

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
        assigned = _assigned_with_others(text, start, end)
        if assigned is not None:
            return assigned
        sign, value = after["sign"], after.end()
        if sign is None:
            if not name.startswith("--") or not after["gap"]:
                return None
            value = after.end("gap")
        elif sign == "," and not after["quote"]:
            return None
        if value >= len(text):
            return None
        block = _block(text, start, after.end("sign")) if sign not in (None, ",") else None
        found = self._expression(text, value, after, name)
        if found is None and block is None and sign not in (None, ","):
            below = _LINE_BELOW.match(text, after.end("sign"))
            return None if below is None else below.span("value")
        if found is not None and sign == ":" and found[0] == value:
            found = value, _end_of_plain(text, start, found[1])
        if block is not None and (
            found is None or text[found[1] : max(found[1], block[1])].strip("\"'`\\")
        ):
            return block
        return found

    def _expression(
        self, text: str, value: int, after: re.Match[str], name: str
    ) -> tuple[int, int] | None:
        sign = after["sign"]
        opening = OPENING.match(text, value)
        if opening is not None:
            found = opening.end(), end_of_quoted(text, opening)
            stop = past_quote(text, opening)
            if text.startswith(opening["slashes"] + opening["quote"], stop):
                stop = end_of_operand(text, stop)  # 'it''s', the quote of SQL
        elif "\n" in after["space"] or "\r" in after["space"]:
            return None
        else:
            if text[value] in CLOSING:
                stop = end_of_bracket(text, value)
            else:
                stop = self._end_of_value(text, value, sign or " ", name)
            if stop <= value:
                return None
            found = value, stop
        end = stop if sign in (None, ",") else end_of_operations(text, stop)
        if opening is not None and end == past_quote(text, opening):
            return found  # the quotes stay
        return value, end

    def _end_of_value(self, text: str, start: int, sign: str, name: str) -> int:
        lowered = name.casefold()
        if any(word in lowered for word in _WHOLE_LINE):
            return end_of_bare(text, start, END_OF_LINE)
        keywords = KEYWORDS.match(text, start)
        if keywords is not None and not sign.startswith(":"):
            return end_of_operand(text, keywords.end())
        scheme = _SCHEME.match(text, start)
        return end_of_bare(
            text,
            scheme.end() if scheme else start,
            _BARE_END_OF_PHRASE if sign.startswith(":") else BARE_END,
        )


def _spellings(term: str) -> Iterable[str]:
    """Return the patterns of a term as it may be written: with separators, accents as one or two."""
    words = words_of(unicodedata.normalize("NFKC", term))
    joined = sum(map(len, words))
    # A short term does not reach over a quote: the quick look at a body relies on it.
    between = r"[\W_]{0,2}" if joined >= SHORTEST_CONTAINED else r"(?:_|[^\w\"]){0,2}"
    for form in ("NFKC", "NFKD"):
        for fold in (str.casefold, str.lower):
            yield between.join(re.escape(unicodedata.normalize(form, fold(w))) for w in words)


def _block(text: str, name: int, start: int) -> tuple[int, int] | None:
    """Return where the lines lie that are indented deeper than the line of the name, as in YAML."""
    head = _BLOCK_HEAD.match(text, start)
    if head is None:
        return None
    if head["end"] is None:
        # The lines are in a repr, where it is not known which are deeper: all of them may be.
        return head.start("head"), end_of_bare(text, head.end(), END_OF_LINE)
    indent = _INDENT.match(text, text.rfind("\n", 0, name) + 1)
    depth = indent.end() - indent.start() if indent else 0
    first, position, end = -1, head.end(), -1
    while position < len(text):
        line = _LINE.match(text, position)
        if line is None:
            break
        if line["text"].strip():
            deep = len(line["indent"])
            if deep < depth or (deep == depth and not line["text"].startswith("- ")):
                break
            first = line.start("text") if first < 0 else first
            end = line.start("text") + len(line["text"].rstrip())
        position = line.end()
    if end < 0:
        return None
    return (head.start("head") if head["head"] else first), end


def _assigned_with_others(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the values lie of ``user, password = "ann", "abc"``: which is whose is not told."""
    signed = _TARGETS_AFTER.match(text, end)
    if signed is None or signed.end() >= len(text):
        return None
    before = text[max(0, start - 400) : start]
    alone = "," not in signed[0]
    if (_TARGETS_BEFORE if alone else _ASSIGNED).search(before) is None:
        return None
    line = _END_OF_SOURCE.search(text, signed.end())
    stop = line.start() if line else len(text)
    opened = OPENED.search(text, signed.end(), stop)
    if opened is not None:
        stop = max(stop, end_of_bracket(text, opened.start()))
    return (signed.end(), stop) if stop > signed.end() else None


def _end_of_plain(text: str, name: int, end: int) -> int:
    """Return where a plain value of YAML ends: lines below that are deeper than its name go on.

    Only where the name begins its line, and not over what looks like another field.
    """
    line = text.rfind("\n", 0, name) + 1
    indent = _INDENT.match(text, line, name)
    depth = indent.end() - line if indent else 0
    if text[line + depth : name].strip("\"'"):
        return end
    while (more := _CONTINUED.match(text, end)) is not None:
        if len(more["indent"]) <= depth or _OTHER_FIELD.match(more["text"]):
            break
        end = more.end()
    return end
