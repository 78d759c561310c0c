"""Forty kinds of secrets that are recognised, how each is written, and values for each.

A kind is recognised by the name that stands before it, by its own shape, or by the task: by the
name of a parameter in the task's signature, or by what the task declared.
"""

from __future__ import annotations

import base64
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

LETTERS = string.ascii_letters + string.digits
PASSWORDS = st.text(LETTERS + "-_.~!$", min_size=11, max_size=24).map(lambda text: f"q{text}Z")


@dataclass(frozen=True, slots=True)
class SecretKind:
    """One kind: values for it, and how it is written. ``{}`` in ``written`` is the secret.

    ``name`` is the name that announces it, or empty where its own shape does.
    """

    label: str
    secrets: st.SearchStrategy[str]
    name: str = ""
    written: str = "{}"

    def value(self, secret: str) -> Any:
        """Return the secret as an argument that holds it."""
        return {self.name: secret} if self.name else self.written.format(secret)

    def texts(self, secret: str) -> Iterator[str]:
        """Yield texts as they stand in messages, reprs, source lines and query strings."""
        if not self.name:
            text = self.written.format(secret)
            yield text
            yield f"could not use {text}"
            if "\n" not in text:
                yield f"<Client {text!r} at 0x7f>"
                yield f"call({text!r}, retry=True)"
            return
        name = self.name
        plain = name.replace("-", "_").replace(" ", "_")
        yield f"{name}={secret}"
        yield f"{name}: {secret}"
        yield f"refused, {plain}={secret!r} is wrong"
        yield repr({"user": "ann", name: secret, "n": 1})
        yield f"User(name='ann', {plain}={secret!r}, age=3)"
        yield f"https://host/path?a=1&{plain}={secret}&b=2"
        yield f"['--{plain}', {secret!r}]"
        yield f"{plain} = os.environ.get('X') or {secret!r}"
        yield f"{name}:\n  {secret}"

    def lines(self, secret: str) -> Iterator[str]:
        """Yield lines of source code, as tracebacks quote them."""
        if self.name:
            plain = self.name.replace("-", "_")
            yield f"user, {plain} = 'ann', {secret!r}"
            yield f"{plain}, user = ({secret!r}, 'ann')"
            yield f"def login(user, {plain}: str | None = {secret!r}) -> None:"
            yield f'headers["{self.name}"] = prefix + "{secret}"'
        else:
            text = self.written.format(secret)
            yield f"connect({text!r}, retry=True)"


def characters(alphabet: str, count: int, most: int | None = None) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=count, max_size=most or count)


def shaped(before: str, alphabet: str = LETTERS, count: int = 36, after: str = "") -> Any:
    """Return values that begin and end alike, with random characters between."""
    return characters(alphabet, count).map(lambda text: f"{before}{text}{after}")


@st.composite
def card_numbers(draw: Callable[[Any], Any]) -> str:
    digits = draw(st.sampled_from(["4", "51", "55", "2221", "6011"]))
    digits += draw(characters(string.digits, 15 - len(digits)))
    for check in string.digits:
        total = 0
        for place, digit in enumerate(reversed(digits + check)):
            number = int(digit) * (1 + place % 2)
            total += number - 9 * (number > 9)
        if total % 10 == 0:
            digits += check
            break
    separator = draw(st.sampled_from(["", " ", "-"]))
    return separator.join(digits[i : i + 4] for i in range(0, 16, 4))


def basic(password: str) -> str:
    return base64.b64encode(f"user:{password}".encode()).decode()


HEX = "0123456789abcdef"
BASE64 = LETTERS + "+/"
JWT = st.tuples(*(characters(LETTERS + "-_", 20, 40) for _ in range(3))).map(
    lambda parts: f"eyJ{parts[0]}.eyJ{parts[1]}.{parts[2]}"
)
PEM = "-----BEGIN {kind}PRIVATE KEY-----\n{{}}\n-----END {kind}PRIVATE KEY-----"

NAMED = tuple(
    SecretKind(f"name {name}", PASSWORDS, name)
    for name in (
        "password", "api_key", "X-Api-Key", "clientSecret", "ACCESS-TOKEN", "sessionid", "cookie",
        "passphrase", "cvv", "pin", "iban", "AWS_SECRET_ACCESS_KEY", "AccountKey",
    )
)  # fmt: skip
SHAPED = (
    SecretKind("bearer token", shaped("", count=30), written="Authorization: Bearer {}"),
    SecretKind("bearer without a header", shaped("", count=30), written="bearer {}"),
    SecretKind("basic credentials", PASSWORDS.map(basic), written="Basic {}"),
    SecretKind("digest header", shaped("", HEX, 32), written='Authorization: Digest username="u", response="{}"'),
    SecretKind("cookie header", shaped("", HEX, 32), written="Cookie: theme=dark; sid={}"),
    SecretKind("JSON web token", JWT),
    SecretKind("RSA key in PEM", shaped("MII", BASE64, 61), written=PEM.format(kind="RSA ")),
    SecretKind("key in PEM", shaped("MII", BASE64, 61), written=PEM.format(kind="")),
    SecretKind("AWS key id", shaped("AKIA", string.ascii_uppercase + string.digits, 16)),
    SecretKind("Google API key", shaped("AIza", LETTERS + "-_", 35)),
    SecretKind("Google OAuth token", shaped("ya29.", LETTERS + "-_", 40)),
    SecretKind("Azure client secret", shaped("aB3", LETTERS, 31).map(lambda s: f"{s[:3]}8Q~{s[3:]}xyz")),
    SecretKind("Azure SAS", shaped("", LETTERS, 40), written="https://a.blob.core.windows.net/c?sv=1&sig={}%3D&se=2"),
    SecretKind("GitHub token", shaped("ghp_")),
    SecretKind("GitLab token", shaped("glpat-", LETTERS, 20)),
    SecretKind("Stripe key", shaped("sk_live_", LETTERS, 24)),
    SecretKind("Square token", shaped("sq0atp-", LETTERS, 22)),
    SecretKind("Slack token", shaped("xoxb-1234567890-", LETTERS, 24)),
    SecretKind("Slack webhook", shaped("", LETTERS, 24), written="https://hooks.slack.com/services/T0AB/B0CD/{}"),
    SecretKind("sk- key", shaped("sk-", LETTERS, 40)),
    SecretKind("SendGrid key", shaped("SG.", LETTERS, 22, after=".abcdefghijklmnop")),
    SecretKind("npm token", shaped("npm_")),
    SecretKind("PyPI token", shaped("pypi-", LETTERS, 60)),
    SecretKind("Vault token", shaped("hvs.", LETTERS, 24)),
    SecretKind("password of a URL", PASSWORDS, written="amqp://user:{}@host:5672/vhost"),
    SecretKind("quotes in a URL's password", PASSWORDS, written="postgresql://user:it's{}@host/db"),
    SecretKind("connection string", PASSWORDS, written="Server=db;User Id=app;Password={};Timeout=3"),
    SecretKind("card number", card_numbers()),
)  # fmt: skip
BY_TASK = ("a parameter's name", "the name of *args", "what the task declared")
"""Kinds that only the task makes recognisable; they are planted by the tests of tasks."""
