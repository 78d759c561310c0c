"""Checks of the sinks that write to a ledger: do they receive, into which ledger, with which version and clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psycopg

from celerytrail.sql.doctor.finding import Connection, Finding, fail, ok, warn
from celerytrail.sql.doctor.server_checks import CLOCK_FAIL_SECONDS, CLOCK_WARN_SECONDS
from celerytrail.sql.doctor.sink_answer import SinkAnswer, ask, shown
from celerytrail.sql.named_queries import queries


@dataclass(frozen=True, slots=True)
class Sinks:
    """The addresses of sinks, the token that they are asked with, and whom to trust. The token is left out of repr."""

    urls: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    certificate: Path | None = None


def sinks(connection: Connection, asked: Sinks) -> Iterator[Finding]:
    """Ask each sink what it is, and compare that with the database and with the other sinks."""
    try:
        ledger = connection.execute(queries("doctor")["ledger"]).fetchone()
        newest = connection.execute(queries("doctor")["newest_migration"]).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        ledger = newest = None
    here = str(ledger[0]) if ledger is not None else None
    schema = int(newest[0]) if newest is not None and newest[0] is not None else None
    for url in asked.urls:
        answer = ask(url, asked.token, asked.certificate)
        yield from _of_one(shown(url), answer, here, schema, with_token=asked.token is not None)


def _of_one(
    name: str, answer: SinkAnswer, here: str | None, schema: int | None, *, with_token: bool
) -> Iterator[Finding]:
    if answer.trouble:
        yield fail(
            f"{name} {answer.trouble}",
            "see that `celerytrail sink` runs there, the address, and what is between",
        )
        return
    if not with_token:
        yield from _ready(name, answer)
        return
    if answer.status != 200:
        yield from _refused(name, answer)
        return
    said = answer.said
    findings = [
        *_same_ledger(name, said, here),
        *_migrations(name, said, schema),
        *_versions(name, said),
        *_clock(name, said, answer),
    ]
    if said.get("trouble"):
        findings.append(
            fail(
                f"{name} receives nothing: {said['trouble']}",
                "mend that; senders keep what they have",
            )
        )
    yield from findings
    if not findings:
        compared = (
            "of this ledger" if here is not None else "of a ledger that this role may not see"
        )
        yield ok(
            f"{name} is version {said.get('version')} {compared}, {_chains(said.get('chains'))}"
        )


def _ready(name: str, answer: SinkAnswer) -> Iterator[Finding]:
    if answer.status == 200:
        yield ok(f"{name} is ready; with CELERYTRAIL_TOKEN it says of which ledger it is")
    elif answer.status == 503:
        reason = answer.said.get("reason", "it does not say why")
        yield fail(f"{name} receives nothing: {reason}", "mend that; senders keep what they have")
    else:
        yield _something_else(name, answer)


def _refused(name: str, answer: SinkAnswer) -> Iterator[Finding]:
    if answer.status == 401:
        yield fail(
            f"{name} does not know the token: it was revoked, or the sink is of another ledger",
            "ask with a token of this ledger (`celerytrail tokens list`); then see the DSN of that sink",
        )
    elif answer.status == 503:
        yield fail(
            f"{name} receives nothing: {answer.said.get('message', 'it does not say why')}",
            "see its log, and that its database can be reached from there",
        )
    else:
        yield _something_else(name, answer)


def _something_else(name: str, answer: SinkAnswer) -> Finding:
    return fail(
        f"{name} answers {answer.status}: it is no sink, or one of an older version",
        "check the address, upgrade the sink, and let what is between pass /about and /ready",
    )


def _same_ledger(name: str, said: dict[str, Any], here: str | None) -> Iterator[Finding]:
    there = said.get("ledger_id")
    if here is not None and there != here:
        yield fail(
            f"{name} writes to ledger {there}, this is {here}",
            "give sink and doctor the DSN of one database; what it received is in the other one",
        )


def _migrations(name: str, said: dict[str, Any], schema: int | None) -> Iterator[Finding]:
    there, knows = said.get("schema"), said.get("knows")
    if schema is not None and there != schema:
        yield fail(
            f"{name} sees migration {there} as the newest, the database has {schema}",
            "its DSN leads to a copy or a standby: give it that of the primary",
        )
    elif schema is not None and isinstance(knows, int) and knows != schema:
        behind = "older" if knows < schema else "newer"
        todo = "upgrade that sink" if knows < schema else "run `celerytrail migrate`"
        yield warn(
            f"{name} is {behind} than the schema: it knows migration {knows}, not {schema}", todo
        )


def _versions(name: str, said: dict[str, Any]) -> Iterator[Finding]:
    try:
        mine = version("celerytrail")
    except PackageNotFoundError:
        return
    if said.get("version") != mine:
        yield warn(
            f"{name} is version {said.get('version')}, this is {mine}",
            "run the same version everywhere once an upgrade is done",
        )


def _clock(name: str, said: dict[str, Any], answer: SinkAnswer) -> Iterator[Finding]:
    told = said.get("time")
    if not isinstance(told, (int, float)):
        return
    # As long as the answer took, nobody knows when the clock was read.
    ahead = max(0.0, told - answer.answered) or min(0.0, told - answer.asked)
    if abs(ahead) < CLOCK_WARN_SECONDS:
        return
    text = f"the clock of {name} is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
    todo = "let both hosts follow a time server"
    yield fail(text, todo) if abs(ahead) >= CLOCK_FAIL_SECONDS else warn(text, todo)


def _chains(chains: object) -> str:
    if not isinstance(chains, Sequence) or isinstance(chains, str) or not chains:
        return "its tokens say which chain it writes to"
    return f"chain{'s' if len(chains) > 1 else ''} {', '.join(map(str, chains))}"
