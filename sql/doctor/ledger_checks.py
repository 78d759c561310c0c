"""Checks of the ledger itself: schema, guards, partitions, chains, and what was verified."""

from __future__ import annotations

from collections.abc import Iterator

from celerytrail.sql.catalog import catalog_differences
from celerytrail.sql.chain_hash import FORMAT_VERSION
from celerytrail.sql.doctor.finding import Connection, Finding, fail, ok, warn
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import pending_migrations
from celerytrail.sql.named_queries import queries

_LOOK = (
    "find out who changed it, and verify from a head kept outside; `celerytrail migrate` does not"
    " put it back, so that nobody does without looking"
)
_SHOWN = 20


def schema(connection: Connection) -> Iterator[Finding]:
    """Look whether the migrations are those of this version, unchanged."""
    try:
        pending = pending_migrations(connection)
    except SqlError as error:
        yield fail(str(error), "install the version that the database was migrated with")
        return
    if pending:
        yield fail(
            f"{len(pending)} migrations are not applied, the first is {pending[0].name}",
            "run `celerytrail migrate` with a DSN that may change the schema",
        )
    else:
        yield ok("every migration is applied as it is here")


def format_version(connection: Connection) -> Iterator[Finding]:
    """Look whether the ledger has its identity, in a format that this version knows."""
    row = connection.execute(queries("doctor")["ledger"]).fetchone()
    if row is None:
        yield fail(
            "the row that says which ledger this is is gone: no block can be linked",
            "restore celerytrail.ledger from a backup",
        )
    elif row[1] != FORMAT_VERSION:
        yield fail(
            f"ledger {row[0]} has format {row[1]}, this version knows {FORMAT_VERSION}",
            "upgrade celerytrail",
        )
    else:
        yield ok(f"ledger {row[0]}, format {row[1]}")


def triggers(connection: Connection) -> Iterator[Finding]:
    """Look whether every trigger of ours fires always, also under session_replication_role."""
    rows = connection.execute(queries("doctor")["triggers"]).fetchall()
    wrong = [row[2:] for row in rows if row[1]]
    for name, what, statement in wrong[:_SHOWN]:
        yield fail(
            f"trigger {name} {what}",
            f"as who migrated: {statement}; then `celerytrail verify`. A restore of data alone"
            " leaves them so; otherwise find out who did it",
        )
    if len(wrong) > _SHOWN:
        yield fail(f"{len(wrong) - _SHOWN} more triggers do not fire always", "as above")
    if not rows:
        yield fail("there is no trigger of the ledger", "run `celerytrail migrate`")
    elif not wrong:
        yield ok(f"{len(rows)} triggers fire always")


def catalog(connection: Connection) -> Iterator[Finding]:
    """Compare triggers, functions, owners, rights, policies and roles with the migrations'."""
    found = catalog_differences(connection)
    for difference in found[:_SHOWN]:
        yield fail(f"not as designed: {difference}", _LOOK)
    if len(found) > _SHOWN:
        yield fail(f"{len(found) - _SHOWN} more objects are not as designed", _LOOK)
    if not found:
        yield ok("triggers, functions, owners, rights, policies and roles are as designed")


def hardening(connection: Connection) -> Iterator[Finding]:
    """Look for rights that PUBLIC should not have in the ledger's database."""
    gaps = [str(row[0]) for row in connection.execute(queries("maintain")["hardening_gaps"])]
    for gap in gaps:
        yield warn(gap, "as a superuser: SELECT celerytrail_admin.harden_database()")
    if not gaps:
        yield ok("nothing is open to PUBLIC that need not be")


def rights(connection: Connection) -> Iterator[Finding]:
    """Look for rights of the ledger's roles outside of its schemas that none of them needs."""
    found = [str(row[0]) for row in connection.execute(queries("guards")["rights"])]
    for one in found[:_SHOWN]:
        yield warn(
            one,
            "as a superuser take it back (REVOKE, ALTER ... OWNER TO, DROP), or know what it is for",
        )
    if len(found) > _SHOWN:
        yield warn(f"{len(found) - _SHOWN} more rights outside of the ledger", "as above")
    if not found:
        yield ok("no role of the ledger has rights outside of it")


def partitions(connection: Connection) -> Iterator[Finding]:
    """Look whether the partitions of today and the next three days are there."""
    missing: dict[str, list[str]] = {}
    for day, parent in connection.execute(queries("doctor")["partitions"]):
        missing.setdefault(day, []).append(parent)
    for day, parents in missing.items():
        yield warn(
            f"{', '.join(parents)} have no partition for {day}",
            "let `celerytrail maintain` run; a sink makes a day's when its first event comes",
        )
    if not missing:
        yield ok("partitions are there for today and three days ahead")


def horizon(connection: Connection) -> Iterator[Finding]:
    """Look whether the day before which events are refused is one that has passed."""
    row = connection.execute(queries("doctor")["horizon"]).fetchone()
    if row is None:
        yield fail(
            "the row of celerytrail.horizon is gone: nothing is received",
            "restore it; -infinity where retention never dropped a day",
        )
    elif row[1]:
        yield fail(
            f"the horizon {row[0]} is later than today: nothing is received",
            "set celerytrail.horizon back to the first day that is still there",
        )
    else:
        yield ok(f"events are kept from {row[0]} on")


def chains(connection: Connection) -> Iterator[Finding]:
    """Look at each chain's head, and at what was last verified of it."""
    rows = connection.execute(queries("doctor")["chains"]).fetchall()
    verify = "run `celerytrail verify --every`, and keep its heads away from the database"
    for chain, n, is_last, _, status, guards_ok, is_old, trouble in rows:
        name = f"chain {chain}"
        if not is_last:
            yield fail(f"{name}: its head is not its last link", "run `celerytrail verify`")
        if status == "broken":
            yield fail(f"{name}: the newest verification found it broken", "read its report")
        elif status is not None and not guards_ok:
            yield fail(f"{name}: the newest verification found guards altered", "read its report")
        elif n > 0 and status is None:
            yield warn(f"{name}: it was never verified", verify)
        elif n > 0 and is_old:
            yield warn(f"{name}: it was not verified for more than a day", verify)
        elif trouble is not None:
            yield warn(
                f"{name}: the newest verification could not compare with checkpoints: {trouble}",
                "give the verifier the place and the key back, or name others to it",
            )
        elif is_last:
            yield ok(f"{name} ends at n {n}" + (f", last verified: {status}" if status else ""))
    if not any(row[0] == 0 for row in rows):
        yield fail(
            "chain 0 has no head: no action can be written", "restore celerytrail.chain_head"
        )


def batch_ids(connection: Connection) -> Iterator[Finding]:
    """Look whether the next batch's number is free: a restore may have left its sequence behind."""
    row = connection.execute(queries("doctor")["batch_ids"]).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    last, highest = row
    if highest is not None and last < highest:
        yield fail(
            f"the next batch would be {last + 1}, but {highest} is there: every batch is refused",
            f"as who migrated: SELECT setval('celerytrail.batch_seq', {highest})",
        )
    else:
        yield ok("the next batch's number is free")
