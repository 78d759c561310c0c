"""The fingerprint of an exception: equal where the same fault happens again, and made of no value of the user's.

It is the hash of the class and of the names of the functions it went through. What the exception said is
left out: its words are user data, and an unsalted hash of words that can be guessed tells them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

DOMAIN = b"celerytrail/failure/v1\0"
"""Prefix of what is hashed: the class and the frames follow, each part ended by a zero byte."""

HEX_DIGITS = 16

_BEGIN = '  File "'
_FRAME = re.compile(r'  File "([^"\n]{1,1000})", line \d+, in (\S.{0,500})')
_AFTER_ANOTHER = re.compile(
    r"\n\n(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n\n"
)
_HEADER = "Traceback (most recent call last):"
_GROUP_HEADER = "  + Exception Group " + _HEADER
_GROUP_PREFIX = len("  | ")

# Packages and the standard library; the machinery that calls every task.
_FOREIGN = re.compile(r"/(?:site|dist)-packages/|/lib/python\d|/Lib/(?!.*/)|^<")
_MACHINERY = re.compile(r"/(?:celery|billiard|kombu)/(?=[^/]+(?:/|\.py$))")
# Comprehensions have frames of their own up to Python 3.11.
_INLINED = frozenset(("<listcomp>", "<dictcomp>", "<setcomp>"))
_NUMBERS = re.compile(r"[0-9a-fA-F]{8,}|\d+")


def fingerprint(exception_class: str, traceback: object = None) -> str:
    """Return 16 hex digits for an exception's class and traceback, the latter as text, UTF-8 or None.

    Of the traceback count the frames in the application's own code, or all but Celery's where there are
    none: the file with its folder, numbers and ids taken out, and the function; each frame once. Lines,
    source code, messages and earlier exceptions that this one was raised from do not count.
    """
    hashed = sha256(DOMAIN + exception_class.encode("utf-8", "replace") + b"\0")
    for frame in _told(traceback):
        hashed.update(frame.encode("utf-8", "replace") + b"\0")
    return hashed.hexdigest()[:HEX_DIGITS]


def _told(traceback: object) -> list[str]:
    if isinstance(traceback, bytes):
        traceback = traceback.decode("utf-8", "replace")
    if not isinstance(traceback, str):
        return []
    frames = [
        (path.replace("\\", "/"), name)
        for path, name in dict.fromkeys(_frames(traceback))
        if name not in _INLINED
    ]
    own = [frame for frame in frames if not _FOREIGN.search(frame[0])]
    chosen = own or [frame for frame in frames if not _is_machinery(frame[0])]
    return list(dict.fromkeys(f"{_place(path)}\0{name}" for path, name in chosen))


def _frames(text: str) -> Iterator[tuple[str, str]]:
    """Yield path and function of each frame of the exception that a traceback ends with."""
    lines = _AFTER_ANOTHER.split(text)[-1].split("\n")
    if lines and lines[0] == _GROUP_HEADER:
        lines = [line[_GROUP_PREFIX:] for line in lines]
    elif not lines or lines[0] != _HEADER:
        # Its front was cut off.
        first = next((n for n, line in enumerate(lines) if line.startswith(_BEGIN)), len(lines))
        lines = ["", *lines[first:]]
    for line in lines[1:]:
        # What the exception says begins at the margin, and may look like anything.
        if not line.startswith(" "):
            return
        found = _FRAME.fullmatch(line) if line.startswith(_BEGIN) else None
        if found is not None:
            yield found[1], found[2]


def _is_machinery(path: str) -> bool:
    return bool(_MACHINERY.search(path)) and bool(_FOREIGN.search(path))


def _place(path: str) -> str:
    # The folder tells two files of one name apart; above it is where somebody installed it.
    return _NUMBERS.sub("#", "/".join(path.rsplit("/", 2)[-2:]))
