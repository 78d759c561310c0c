"""All checks of the ledger's doctor in one table, and what they found as a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.doctor import ledger_checks, server_checks
from celerytrail.sql.doctor.finding import Check, Connection, Finding, Level
from celerytrail.sql.doctor.sink_checks import Sinks, sinks
from celerytrail.sql.snapshot import what_failed

EXIT_OK = 0
EXIT_FAIL = 1
EXIT_WARN = 3
EXIT_CANNOT = 4

_NOT_THERE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One check, and the role that sees what it looks at where not every role does."""

    check: Check
    seen_by: str = "any role"

    @property
    def name(self) -> str:
        """Return the name in the report."""
        return self.check.__name__


CHECKS = (
    Row(server_checks.server_version),
    Row(server_checks.encoding),
    Row(server_checks.clock),
    Row(server_checks.durability),
    Row(server_checks.session_settings),
    Row(server_checks.prepared_transactions),
    Row(ledger_checks.schema, "any role but celerytrail_grafana"),
    Row(ledger_checks.format_version, "celerytrail_verifier"),
    Row(ledger_checks.triggers),
    Row(ledger_checks.catalog, "any role but celerytrail_grafana"),
    Row(ledger_checks.hardening, "celerytrail_verifier"),
    Row(ledger_checks.rights),
    Row(ledger_checks.partitions),
    Row(ledger_checks.horizon, "celerytrail_verifier"),
    Row(ledger_checks.chains, "celerytrail_verifier"),
    Row(ledger_checks.batch_ids, "the role that migrates"),
)


def examine(dsn: str, asked: Sinks | None = None) -> list[Finding]:
    """Run every check on the ledger at ``dsn`` and return what they found, in the order of the table.

    The sinks of ``asked``, where there are any, are asked last. What the role may not see is a finding too. Raises DatabaseUnreachable.
    """
    with connect(dsn, application_name="celerytrail doctor", autocommit=True) as connection:
        found = [finding for row in CHECKS for finding in _run(row, connection)]
        if asked is not None and asked.urls:
            found += [
                replace(finding, check=sinks.__name__) for finding in sinks(connection, asked)
            ]
    return found


def exit_code(findings: Sequence[Finding]) -> int:
    """Return what the command ends with: what could not be seen is not held against the ledger."""
    levels = {finding.level for finding in findings}
    if Level.FAIL in levels:
        return EXIT_FAIL
    return EXIT_WARN if Level.WARN in levels else EXIT_OK


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings as lines for a person, and a last one that sums up."""
    for finding in findings:
        yield f"{finding.level.value:<6} {finding.check}: {finding.found}"
        if finding.todo:
            yield f"       do: {finding.todo}"
    counts = [f"{sum(one.level is level for one in findings)} {level.value}" for level in Level]
    yield f"{len({finding.check for finding in findings})} checks: {', '.join(counts)}"


def _run(row: Row, connection: Connection) -> list[Finding]:
    try:
        found = list(row.check(connection))
    except psycopg.errors.InsufficientPrivilege as error:
        found = [Finding(Level.UNSEEN, what_failed(error), f"connect as {row.seen_by}")]
    except _NOT_THERE as error:
        found = [Finding(Level.FAIL, what_failed(error), "run `celerytrail migrate`")]
    except psycopg.Error as error:
        # One check that fails must not hide what the others find; a connection that broke fails all.
        found = [Finding(Level.FAIL, f"this could not be checked: {what_failed(error)}")]
    return [replace(finding, check=row.name) for finding in found]
