"""One verification of a ledger: its catalog, and its chains by one way or both."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import psycopg

from celerytrail.sql.catalog import catalog_differences
from celerytrail.sql.chain_hash import FORMAT_VERSION
from celerytrail.sql.checkpoint.evidence import Compared, Evidence, compare, demanded
from celerytrail.sql.connection import connect, describe_dsn
from celerytrail.sql.database_verifier import verify_inside
from celerytrail.sql.head_file import Head, Heads
from celerytrail.sql.named_queries import queries
from celerytrail.sql.outside_verifier import verify_outside
from celerytrail.sql.read_model_check import ReadModelCheck, check_read_model
from celerytrail.sql.read_model_slices import SliceFile
from celerytrail.sql.snapshot import what_failed
from celerytrail.sql.verification import (
    EXIT_CANNOT,
    EXIT_READ_MODEL,
    Bad,
    CannotVerify,
    Fault,
    Progress,
    Reading,
    Verdict,
    in_order,
)

SQL = "sql"
OUTSIDE = "outside"
READ_MODEL = "read model"
_WAYS = {SQL: verify_inside, OUTSIDE: verify_outside}

ProgressOf = Callable[[str], Progress]
"""Called with the name of a way that begins; returns what is called with its progress."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The newest link of a chain that was kept outside, and when that was."""

    n: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Verification:
    """Everything one run found.

    ``compared`` says that heads kept outside were given, ``anchors`` which link of a chain was in
    them, ``complete`` that all chains were read, ``notes`` what signed notes from outside said,
    ``trouble`` why those that were to be compared with could not be. ``read_model`` is None where it
    was not asked for.
    """

    ledger_id: uuid.UUID
    format_version: int
    time: datetime
    readings: tuple[Reading, ...]
    catalog: tuple[str, ...]
    compared: bool
    anchors: Mapping[int, Anchor]
    incremental: bool
    complete: bool = True
    notes: Compared | None = None
    read_model: ReadModelCheck | None = None
    trouble: str | None = None

    @property
    def bad(self) -> tuple[Bad, ...]:
        """Return what is wrong, each thing once although both ways found it, the first first."""
        found = dict.fromkeys(bad for reading in self.readings for bad in reading.bad)
        catalog = (Bad(Fault.CATALOG, detail=difference) for difference in self.catalog)
        noted = self.notes.bad if self.notes is not None else ()
        return in_order([*dict.fromkeys([*_but_named(found, noted), *noted]), *catalog])

    @property
    def unanchored(self) -> tuple[int, ...]:
        """Return the chains that have links, none of which was kept outside."""
        return tuple(
            chain
            for chain, (n, _) in sorted(self.readings[-1].heads.items())
            if n > 0 and not (self.compared and chain in self.anchors)
        )

    @property
    def anchored(self) -> bool:
        """Return whether every chain that has links was compared with one kept outside."""
        return self.compared and not self.unanchored and self.trouble is None

    @property
    def compared_with(self) -> str | None:
        """Return what it was to be compared with: ``checkpoint``, ``heads``, or None for nothing."""
        if self.notes is not None or self.trouble is not None:
            return "checkpoint"
        return "heads" if self.compared else None

    @property
    def verdict(self) -> Verdict:
        """Return what may be claimed."""
        if self.bad:
            return Verdict.BROKEN
        return Verdict.CLEAN if self.anchored else Verdict.INTERNAL

    @property
    def exit_code(self) -> int:
        """Return the exit code of the command: what the chain says goes before the read model."""
        if self.trouble is not None and self.verdict is not Verdict.BROKEN:
            return EXIT_CANNOT
        differs = self.read_model is not None and self.read_model.differs
        if differs and self.verdict is not Verdict.BROKEN:
            return EXIT_READ_MODEL
        return self.verdict.exit_code

    @property
    def heads(self) -> Heads:
        """Return where the chains stand, by the last way that read them, for a head file."""
        chains = self.readings[-1].heads
        return Heads(
            self.ledger_id,
            self.format_version,
            self.time,
            tuple(Head(chain, n, hash) for chain, (n, hash) in sorted(chains.items())),
            self.complete,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the object that the command prints."""
        bad = self.bad
        return {
            "verdict": self.verdict.value,
            "words": self.verdict.words,
            "exit_code": self.exit_code,
            "ledger_id": str(self.ledger_id),
            "format": self.format_version,
            "time": self.time.isoformat(),
            "mode": "incremental" if self.incremental else "full",
            "anchored": self.anchored,
            "unanchored_chains": list(self.unanchored),
            "compared_with": self.compared_with,
            "anchors": {
                str(chain): {"n": anchor.n, "time": anchor.time.isoformat()}
                for chain, anchor in sorted(self.anchors.items())
            },
            "trouble": self.trouble,
            "first_bad": bad[0].as_json() if bad else None,
            "catalog_differences": list(self.catalog),
            "notes": None if self.notes is None else self.notes.as_json(),
            "ways": [reading.as_json() for reading in self.readings],
            "read_model": self.read_model.as_json() if self.read_model is not None else None,
        }


def verify_ledger(
    dsn: str,
    *,
    ways: Sequence[str] = (SQL, OUTSIDE),
    chain: int | None = None,
    since: Heads | None = None,
    against: Heads | None = None,
    anchored: bool | None = None,
    evidence: Evidence | None = None,
    trouble: str | None = None,
    jobs: int = 1,
    read_model: bool = False,
    slices: SliceFile | None = None,
    progress: ProgressOf | None = None,
) -> Verification:
    """Verify the ledger at ``dsn`` and return what was found.

    ``since`` reads only what came after those heads; they and the heads of ``against`` must still
    be on the chain. All notes of ``evidence`` are compared, and then they alone vouch. ``trouble``
    says why notes that should be compared are not, or not all. ``anchored``
    says whether any of them was kept outside, by default whether there are some; a chain counts as
    compared from its first kept link on. ``read_model`` compares that with the ledger too, and
    ``slices`` keeps what was found of it, to be gone on with. Raises DatabaseUnreachable, and
    CannotVerify where something cannot be read.
    """
    if evidence is not None and against is None:
        against = evidence.newest
    time = datetime.now(timezone.utc)
    ledger_id, format_version, catalog = _describe(dsn)
    noted = demanded(evidence.notes) if evidence is not None and evidence.is_of(ledger_id) else []
    readings = []
    for way in ways:
        readings.append(
            _WAYS[way](
                dsn,
                chain=chain,
                since=since,
                against=against,
                noted=noted,
                jobs=jobs,
                progress=progress(way) if progress is not None else None,
            )
        )
    model = None
    if read_model:
        shown = progress(READ_MODEL) if progress is not None else None
        model = check_read_model(dsn, shown, kept=slices)
    kept: Sequence[Heads] = [heads for heads in (since, against) if heads is not None]
    if evidence is not None:
        kept = evidence.vouching
    compared = bool(kept) if anchored is None else anchored
    return Verification(
        ledger_id,
        format_version,
        time,
        tuple(readings),
        tuple(catalog),
        compared,
        _anchors(kept) if compared else {},
        since is not None,
        chain is None,
        compare(dsn, evidence, chain) if evidence is not None else None,
        model,
        trouble,
    )


def _anchors(kept: Iterable[Heads]) -> dict[int, Anchor]:
    """Return the link of each chain in the last of these heads that have one."""
    return {
        head.chain: Anchor(head.n, heads.time)
        for heads in kept
        for head in heads.chains
        if head.n > 0
    }


def _but_named(found: Iterable[Bad], noted: Sequence[Bad]) -> list[Bad]:
    """Leave out heads off their chain that the comparison of all notes names, too."""
    places = {(bad.fault, bad.chain, bad.n) for bad in noted}
    named = (Fault.OFF_CHAIN, Fault.OTHER_LEDGER)
    return [
        bad
        for bad in found
        if bad.fault not in named or (bad.fault, bad.chain, bad.n) not in places
    ]


def _describe(dsn: str) -> tuple[uuid.UUID, int, list[str]]:
    with connect(dsn, application_name="celerytrail verify", autocommit=True) as connection:
        try:
            row = connection.execute(queries("verify")["ledger"]).fetchone()
            if row is None:
                raise CannotVerify(f"the ledger at {describe_dsn(dsn)} has no identity row")
            if row[1] != FORMAT_VERSION:
                raise CannotVerify(
                    f"the ledger at {describe_dsn(dsn)} says that it has format {row[1]}, this version"
                    f" knows {FORMAT_VERSION}: upgrade celerytrail, or find out who changed that"
                )
            return row[0], row[1], catalog_differences(connection)
        except psycopg.errors.UndefinedTable as error:
            raise CannotVerify(
                f"there is no ledger at {describe_dsn(dsn)}: check the DSN, or run"
                " `celerytrail migrate`"
            ) from error
        except psycopg.Error as error:
            raise CannotVerify(
                f"cannot read the ledger at {describe_dsn(dsn)}: {what_failed(error)}; connect as"
                " celerytrail_verifier"
            ) from error
