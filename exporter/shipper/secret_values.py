"""What looks like a secret wherever it stands: tokens of known make, keys, card numbers, URLs.

Each ``SecretValue`` has the literal text without which it cannot occur, so that text which has none
of them costs a substring search and no regular expression.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

MARK = "[redacted]"


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What ids of tasks look like, which are shown wherever the task is."""

_SHORTEST_TOKEN_PART = 5
_END_OF_AUTHORITY = re.compile(r"[/?#]")


@dataclass(frozen=True, slots=True)
class SecretValue:
    """One make of secret: ``literals`` of which one occurs in it, and the pattern that finds it."""

    name: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    replace: Callable[[re.Match[str]], str] = lambda _match: MARK


def _keep_first_group(match: re.Match[str]) -> str:
    return match[1] + MARK


def _basic(match: re.Match[str]) -> str:
    # "basic" is a word of every day: only what decodes to user:password is one.
    try:
        decoded = base64.b64decode(match[2] + "=" * (-len(match[2]) % 4), validate=True)
    except (binascii.Error, ValueError):
        return match[0]
    return match[1] + MARK if b":" in decoded else match[0]


def _token_in_run(run: str) -> str:
    # Taking whole runs of letters keeps this linear: a pattern that begins anywhere would not be.
    start = run.find("eyJ")
    if start < 0:
        return run
    dot = run.find(".", start + _SHORTEST_TOKEN_PART)
    return run if dot < 0 or len(run) - dot < _SHORTEST_TOKEN_PART else run[:start] + MARK


def _without_users(run: str) -> str:
    parts: list[str] = []
    position = 0
    last_at = run.rfind("@")
    while (start := run.find("://", position)) >= 0 and start < last_at:
        start += 3
        parts.append(run[position:start])
        position = start
        end = _END_OF_AUTHORITY.search(run, start)
        authority = run[start : end.start() if end else len(run)]
        if ":" in authority or "@" in authority:
            # A password that holds a slash or an @ is no valid URL, but people have it: only the
            # last @ is certain to come after it, and what looks like a port may be its beginning.
            parts.append(MARK)
            position = last_at
    parts.append(run[position:])
    return "".join(parts)


SECRET_VALUES: tuple[SecretValue, ...] = (
    SecretValue(
        "PEM private key",
        ("-----BEGIN",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
    ),
    SecretValue(
        "bearer token",
        ("earer", "EARER"),
        re.compile(r"\b([Bb][Ee][Aa][Rr][Ee][Rr](?:\s|%20|\+)+)[\w.~+/=%\-]{6,}"),
        _keep_first_group,
    ),
    SecretValue(
        "basic credentials",
        ("asic ", "ASIC "),
        re.compile(r"\b([Bb][Aa][Ss][Ii][Cc] +)([A-Za-z0-9+/]{6,}={0,2})"),
        _basic,
    ),
    SecretValue(
        "JSON web token",
        ("eyJ",),
        re.compile(r"[\w.\-]{13,}"),
        lambda match: _token_in_run(match[0]),
    ),
    SecretValue(
        "AWS access key id",
        ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA"),
        re.compile(r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[0-9A-Z]{16}"),
    ),
    SecretValue("Google API key", ("AIza",), re.compile(r"AIza[\w\-]{30,}")),
    SecretValue("Google OAuth token", ("ya29.", "GOCSPX-"), re.compile(r"(?:ya29\.|GOCSPX-)[\w\-.]{10,}")),
    SecretValue(
        "GitHub token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
        re.compile(r"(?:gh[pousr]_|github_pat_)\w{16,}"),
    ),
    SecretValue(
        "GitLab token",
        ("glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-"),
        re.compile(r"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w\-.]{16,}"),
    ),
    SecretValue(
        "payment key",
        ("k_live_", "k_test_", "whsec_", "sq0", "rzp_"),
        re.compile(
            r"(?:[a-z]k_(?:live|test)_|whsec_)\w{8,}|sq0[a-z]{3}-[\w\-]{20,}|rzp_(?:live|test)_\w{10,}"
        ),
    ),
    SecretValue("Slack token", ("xox", "xapp-"), re.compile(r"(?:xox[a-z]-|xapp-)[\w\-]{8,}")),
    SecretValue(
        "webhook of a chat",
        ("/services/T", "/webhooks/"),
        re.compile(r"(/services/T\w+/B\w+/|/api/webhooks/\d+/)[\w\-]{16,}"),
        _keep_first_group,
    ),
    SecretValue("sk- key", ("sk-",), re.compile(r"\bsk-[\w\-]{16,}")),
    SecretValue("SendGrid key", ("SG.",), re.compile(r"SG\.[\w\-]{10,}\.[\w\-]{10,}")),
    SecretValue(
        "mail service key",
        ("key-", "-us"),
        re.compile(r"\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ),
    SecretValue("Twilio key", ("SK",), re.compile(r"\bSK[0-9a-f]{32}\b")),
    SecretValue("Telegram bot token", (":AA",), re.compile(r"\b[0-9]{8,10}:AA[\w\-]{33}")),
    SecretValue(
        "package registry token",
        ("pypi-", "npm_", "dckr_", "rubygems_"),
        re.compile(r"(?:pypi-|npm_|dckr_[a-z]{3}_|rubygems_)[\w\-]{20,}"),
    ),
    SecretValue(
        "Azure client secret",
        ("Q~",),
        re.compile(r"(?<![\w~.\-])[\w~.\-]{3}[0-9]Q~[\w~.\-]{31,34}(?![\w~.\-])"),
    ),
    SecretValue(
        "signature of a URL",
        ("sig=", "ignature="),
        re.compile(r"((?:\b[Ss]ig|[Ss]ignature)=)[\w%+/=\-]{16,}"),
        _keep_first_group,
    ),
    SecretValue(
        "platform token",
        ("hvs.", "hvb.", "dapi", "_v1_", "shp", "hf_", "glsa_", "ATATT", "tskey-", "AGE-SECRET-"),
        re.compile(
            r"(?:hv[sb]\.|\bdapi(?=[0-9a-f]{32})|do[opr]_v1_|shp(?:at|ca|pa|ss)_|\bhf_|glsa_|ATATT|tskey-"
            r"|AGE-SECRET-KEY-)[\w\-.=]{20,}"
        ),
    ),
    SecretValue(
        "password with quotes in a URL",
        ("://",),
        # A quote is part of it where what follows could not come after a string that has ended.
        re.compile(
            r"(://)[^\s/?#@'\"<>:]{0,64}:"
            r"(?:[^\s'\"<>]|['\"<>](?![\s,;:&|)\]}<>'\"])){1,256}@(?=[\w.\-\[])"
        ),
        lambda match: f"{match[1]}{MARK}@",
    ),
    SecretValue(
        "user and password of a URL",
        ("://",),
        re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s'\"<>]*"),
        lambda match: _without_users(match[0]),
    ),
)  # fmt: skip
"""The makes of secret that are always looked for; settings add patterns to them."""

EMAIL = SecretValue(
    "mail address",
    ("@",),
    re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@(?:[\w\-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"),
)
"""Hidden only where a setting says so: most addresses are what one searches for."""

SHORTEST_CARD = 12
MAY_BE_CARD = re.compile(r"[0-9](?:[ .\-]?[0-9]){11}")
"""Occurs wherever a card number does."""

# A UUID is matched first and left alone: task ids are made of them, and one in a thousand has
# digits that add up.
_UUID_OR_CARD = re.compile(
    r"(?<![0-9A-Za-z])(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?![0-9A-Za-z])"
    r"|(?<![0-9])[2-6](?:[ .\-]?[0-9]){11,18}(?![0-9])"
)
_ISSUERS = re.compile(r"4|5[0-8]|6[0-9]|3[0-9]|2[2-7]")
_DIGITS = re.compile(r"[0-9]")


def hide_card_numbers(text: str) -> str:
    """Replace every payment card number in a text: issuer prefix, 12 to 19 digits, Luhn's sum."""
    return _UUID_OR_CARD.sub(_card, text) if MAY_BE_CARD.search(text) else text


def hide_number(value: float) -> float | str:
    """Return a number, or the mark in the place of one that is a payment card's."""
    if isinstance(value, float):
        if not value.is_integer() or not 1e11 <= abs(value) < 1e20:
            return value
        digits = str(int(abs(value)))
    else:
        if not 10**11 <= abs(value) < 10**19:
            return value
        digits = str(abs(value))
    return MARK if is_card_number(digits) else value


def is_card_number(digits: str) -> bool:
    """Tell whether a string of digits is a card number by prefix, length and check digit."""
    if not SHORTEST_CARD <= len(digits) <= 19 or not _ISSUERS.match(digits):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = ord(digit) - 48
        if place % 2:
            number = number * 2 - 9 if number > 4 else number * 2
        total += number
    return total % 10 == 0


def _card(match: re.Match[str]) -> str:
    if match["uuid"]:
        return match[0]
    return MARK if is_card_number("".join(_DIGITS.findall(match[0]))) else match[0]
