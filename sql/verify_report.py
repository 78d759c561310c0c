"""What `celerytrail verify` tells a person: what was checked, how fast, where the chain stands."""

from __future__ import annotations

from celerytrail.sql.read_model_check import ReadModelCheck
from celerytrail.sql.verification import Verdict
from celerytrail.sql.verify import Verification

_SHOWN_BAD = 10
_MEANING = {
    Verdict.CLEAN: "every row up to the kept head is what was committed, in that order.",
    Verdict.INTERNAL: (
        "no head kept outside was given, so a cut tail or a complete rewrite would not show."
        " Keep one with --head-out FILE, away from the database, and compare with --against FILE."
    ),
    Verdict.BROKEN: "the stored ledger is not what was committed.",
}
_BEFORE_ITS_FIRST = (
    "the kept heads have no link of chain {}, so a cut tail or a complete rewrite of it would not"
    " show. Keep a newer one with --head-out FILE."
)
_NO_NOTE = (
    "no note vouches for the ledger, so a cut tail or a complete rewrite would not show. Name a file"
    " with checkpoints of the given key, cosigned where a witness is asked for."
)
_CATALOG_ALONE = (
    "every hash is right, but the objects that guard the ledger are not those of its migrations."
)


def report_lines(result: Verification) -> list[str]:
    """Return the report, the verdict in the last line."""
    mode = "what came after the given head" if result.incremental else "the whole ledger"
    lines = [f"ledger   {result.ledger_id}, format {result.format_version}: {mode}"]
    lines.append(
        f"catalog  {len(result.catalog)} objects differ from the migrations"
        if result.catalog
        else "catalog  as the migrations made it"
    )
    for reading in result.readings:
        found = f"{len(reading.bad)} things wrong" if reading.bad else "consistent"
        lines.append(
            f"{reading.way:<8} {reading.rows:,} rows in {reading.blocks:,} blocks,"
            f" {reading.rows_per_second:,.0f} rows/s: {found}"
        )
    several = len(result.heads.chains) > 1
    for head in result.heads.chains:
        rows = result.readings[-1].chain_rows.get(head.chain, 0)
        of_it = f"; {rows:,} rows of it" if several else ""
        lines.append(f"chain {head.chain:<2} ends at n {head.n:,}, {head.hash.hex()}{of_it}")
    for day in result.readings[-1].dropped:
        lines.append(
            f"dropped  {day.day}: {day.rows:,} rows of {day.groups:,} batches, by {day.by}"
        )
    if result.notes is not None:
        lines += result.notes.lines
    if result.read_model is not None:
        lines += read_model_lines(result.read_model)
    bad = result.bad
    lines += [f"  - {item}" for item in bad[:_SHOWN_BAD]]
    if len(bad) > _SHOWN_BAD:
        lines.append(f"  - and {len(bad) - _SHOWN_BAD} more; --json has them")
    return [*lines, verdict_line(result)]


def read_model_lines(found: ReadModelCheck) -> list[str]:
    """Return what was compared of the read model, and the first rows that differ."""
    rows, differing = sum(found.rows.values()), sum(found.differing.values())
    earlier = sum(one.resumed for one in found.slices)
    before = f" ({earlier} of {len(found.slices)} slices by an earlier run)" if earlier else ""
    if not differing:
        return [f"read model: {rows:,} rows, as the ledger has them{before}"]
    tables = ", ".join(f"{count:,} of {table}" for table, count in found.differing.items() if count)
    lines = [
        (
            f"read model: {differing:,} of {rows:,} rows are not as the ledger has them ({tables});"
            " `celerytrail rebuild` makes them again"
        )
    ]
    lines += [f"  - {one}" for one in found.differences[:_SHOWN_BAD]]
    if differing > _SHOWN_BAD:
        lines.append(f"  - and {differing - _SHOWN_BAD:,} more")
    return lines


def verdict_line(result: Verification) -> str:
    """Return the verdict with what it means."""
    meaning = _MEANING[result.verdict]
    if result.verdict is Verdict.INTERNAL and result.notes is not None and not result.compared:
        meaning = _NO_NOTE
    if result.verdict is Verdict.INTERNAL and result.compared:
        meaning = _BEFORE_ITS_FIRST.format(", ".join(map(str, result.unanchored)))
    if result.catalog and not any(reading.bad for reading in result.readings):
        meaning = _CATALOG_ALONE
    return f"{result.verdict.words}: {meaning}"


def one_line(result: Verification) -> str:
    """Return a run in one line, as the daemon prints it."""
    where = ", ".join(f"chain {head.chain} at n {head.n}" for head in result.heads.chains)
    rows = max(reading.rows for reading in result.readings)
    mode = "incremental" if result.incremental else "full"
    bad = result.bad
    first = f"; first: {bad[0]}" if bad else ""
    trouble = f"; not compared: {result.trouble}" if result.trouble is not None else ""
    against = ", ".join(
        f"{anchor.n}" + (f" of chain {chain}" if chain else "")
        for chain, anchor in sorted(result.anchors.items())
    )
    kept = f"; {result.compared_with} at n {against}" if against else ""
    return (
        f"{result.time.isoformat(timespec='seconds')} {result.verdict.words}: {mode},"
        f" {rows:,} rows, {where or 'no chain read'}{kept}{first}{trouble}"
    )
