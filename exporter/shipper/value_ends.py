"""Where a value inside a text ends: at its quote, its bracket, a delimiter, or after its operations.

All of it takes a text and a place in it, and returns a place.
"""

from __future__ import annotations

import re

OPENING = re.compile(r"(?P<prefix>[bBrRuUfF]{0,2})(?P<slashes>\\*)(?P<quote>'''|\"\"\"|[\"'`])")
BARE_END = re.compile(r"[\s,;&)\]}>\"'`]")
END_OF_LINE = re.compile(r"[\r\n\"'`]")
_AFTER_OPERATOR_OR_BLANK = re.compile(r"[ \t=+%|?:,(\[{][bBrRuUfF]{0,2}\Z")
_AFTER_CLOSING = re.compile(r"[,)\]};:]|\s|\Z")
_OPERATOR = re.compile(
    # An operator between blanks, one that needs none, a word, a method or a call, or a blank before
    # another string, which Python and shells join.
    r"[ \t]{1,40}[-+*/%|&^@?<>=!:~]{1,3}(?=[ \t])"
    r"|[ \t]{0,40}(?:\|\||&&|[+%*|^@?](?![\s+%*|^@?])|//?(?=[\w\"'`]))"
    r"|[ \t]{0,40}(?:or|and|if|else)(?![\w.\-=:])"
    r"|\.(?=\w)|(?=[\[(])"
    r"|[ \t]{1,40}(?=[bBrRuUfF]{0,2}\\*[\"'`])"
)
KEYWORDS = re.compile(r"(?:(?:await|new|not|yield|lambda|from)[ \t]{1,40}){1,3}")
_BEFORE_OPERAND = re.compile(rf"[ \t]{{0,40}}(?:{KEYWORDS.pattern})?[-+!~]{{0,2}}")
OPENED = re.compile(r"[\[({]")
_BRACKET = re.compile(r"[\[\](){}\"'\\]")
CLOSING = {"[": "]", "(": ")", "{": "}"}


def end_of_operations(text: str, position: int) -> int:
    """Return where an expression ends of which the first operand ends at ``position``."""
    while (operator := _OPERATOR.match(text, position)) is not None:
        end = end_of_operand(text, operator.end())
        if end <= operator.end():
            break
        position = end
    return position


def end_of_operand(text: str, position: int) -> int:
    """Return where the operand ends that begins at ``position``, or there where none does."""
    before = _BEFORE_OPERAND.match(text, position)
    start = before.end() if before else position
    opening = OPENING.match(text, start)
    if opening is None:
        end = end_of_bare(text, start, BARE_END)
        return end if end > start else position
    end = past_quote(text, opening)
    while end < len(text) and text.startswith(opening["slashes"] + opening["quote"], end):
        again = OPENING.match(text, end)
        end = past_quote(text, again) if again else len(text)
    return end


def end_of_bare(text: str, start: int, pattern: re.Pattern[str]) -> int:
    """Return where a value without quotes ends: where the ``pattern`` of its delimiters is found."""
    position = start
    while True:
        match = pattern.search(text, position)
        if match is None:
            return len(text)
        stop = match.start()
        opened = OPENED.search(text, position, stop)
        if opened is not None:
            # A call or a container: SecretStr('abc'), Token(a, b).
            position = end_of_bracket(text, opened.start())
            if position >= len(text):
                return len(text)
            continue
        if text[stop] not in "\"'`" or stop == position:
            return stop
        first = stop
        while first > position and text[first - 1] == "\\":
            first -= 1
        if pattern is END_OF_LINE and not _AFTER_OPERATOR_OR_BLANK.search(
            text[max(0, first - 3) : first]
        ):
            return stop  # the quotes around the line
        if _AFTER_CLOSING.match(text, stop + 1) and not _AFTER_OPERATOR_OR_BLANK.search(
            text[max(0, first - 3) : first]
        ):
            return first  # the quotes around the text
        # A quote inside the value, as in <Secret'abc'> and in the annotated str = 'abc'.
        quoted = OPENING.match(text, first)
        position = past_quote(text, quoted) if quoted else stop + 1
        if position >= len(text):
            return len(text)


def end_of_quoted(text: str, opening: re.Match[str]) -> int:
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


def past_quote(text: str, opening: re.Match[str]) -> int:
    """Return the place after the closing quote, or the end of the text."""
    closing = len(opening["slashes"]) + len(opening["quote"])
    return min(len(text), end_of_quoted(text, opening) + closing)


def end_of_bracket(text: str, start: int) -> int:
    """Return the place after the bracket that closes the one at ``start``, or the end of the text."""
    open_brackets: list[str] = []
    position = start
    while True:
        match = _BRACKET.search(text, position)
        if match is None:
            return len(text)
        sign, position = match[0], match.end()
        if sign == "\\" or sign in "\"'":
            quoted = OPENING.match(text, match.start())
            if quoted is not None:
                position = past_quote(text, quoted)
        elif sign in CLOSING:
            open_brackets.append(CLOSING[sign])
        elif open_brackets and sign == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return position
