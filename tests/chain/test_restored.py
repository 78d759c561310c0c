"""A ledger that was dumped and restored is the same, on any version; an older state of it is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.verification import Fault, Verdict
from celerytrail.sql.verify import verify_ledger
from tests.chain.chained_ledger import ChainedLedger, chain_of_six, write_batch
from tests.chain.dumps import dump, empty_database, restore, restore_newer

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase
    from tests.postgres_majors import PostgresMajors

pytest_plugins = ["tests.databases", "tests.postgres_majors"]


@pytest.fixture
def programs(migrated: MigratedDatabase) -> Path:
    """Where the programs of the server are that a test runs on."""
    found = migrated.server.bin_dir
    if not (found / "pg_dump").exists():
        pytest.skip("this Postgres comes without pg_dump")
    return found


@pytest.mark.parametrize(
    ("name", "options", "restoring"),
    [
        ("plain.sql", ["--format=plain"], []),
        ("custom.dump", ["--format=custom"], []),
        ("custom-parallel.dump", ["--format=custom"], ["--jobs=2"]),
        ("directory", ["--format=directory", "--jobs=2"], ["--jobs=2"]),
    ],
    ids=["plain", "custom", "custom, restored in parallel", "directory, in parallel"],
)
def test_a_ledger_that_was_restored_goes_on(
    chained: ChainedLedger,
    programs: Path,
    tmp_path: Path,
    name: str,
    options: list[str],
    restoring: list[str],
):
    migrated = chained.database
    kept = chained.verify().heads
    source = dump(programs, migrated.dsn(), tmp_path / name, *options)
    with empty_database(migrated.server) as restored:
        restore(programs, migrated.server.dsn(restored), source, *restoring)
        address = migrated.server.dsn(restored, "celerytrail_verifier")
        found = verify_ledger(address, against=kept, read_model=True)
        assert (found.bad, found.verdict, found.exit_code) == ((), Verdict.CLEAN, 0)
        writer = Ledger(migrated.server.dsn(restored, "celerytrail_sink"), timeout_seconds=20)
        writer.open()
        try:
            write_batch(writer, migrated, 21)
        finally:
            writer.close()
        found = verify_ledger(address, since=kept)
        assert (found.bad, [one.blocks for one in found.readings]) == ((), [1, 1])


def test_data_restored_without_triggers_is_the_same_and_the_guards_say_what_to_mend(
    chained: ChainedLedger, programs: Path, tmp_path: Path
):
    migrated = chained.database
    kept = chained.verify().heads
    schema = dump(programs, migrated.dsn(), tmp_path / "schema.dump", "-Fc", "--schema-only")
    data = dump(programs, migrated.dsn(), tmp_path / "data.dump", "-Fc", "--data-only")
    with empty_database(migrated.server) as restored:
        address = migrated.server.dsn(restored)
        restore(programs, address, schema)
        restore(programs, address, data, "--disable-triggers")
        verifier = migrated.server.dsn(restored, "celerytrail_verifier")
        found = verify_ledger(verifier, against=kept)
        assert [reading.bad for reading in found.readings] == [(), ()]
        assert found.catalog
        assert {bad.fault for bad in found.bad} == {Fault.CATALOG}
        mend = [
            "ALTER TABLE {1} ENABLE ALWAYS TRIGGER {0}".format(*named.groups())
            for difference in found.catalog
            if (named := re.fullmatch(r"changed trigger (\S+) on (\S+)", difference))
        ]
        assert len(mend) == len(found.catalog)
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in mend:
                connection.execute(statement.encode())
        assert verify_ledger(verifier, against=kept).verdict is Verdict.CLEAN


@pytest.mark.parametrize(("old", "new"), [(15, 16), (16, 17), (17, 18), (15, 18)])
def test_a_ledger_that_moved_to_a_newer_version_is_the_same(
    postgres_majors: PostgresMajors, tmp_path: Path, old: int, new: int
):
    from tests.postgres_majors import bin_dir_of, new_database

    before, after = postgres_majors.of(old), postgres_majors.of(new)
    programs = bin_dir_of(new)
    with new_database(before) as migrated, empty_database(after) as restored:
        writer = Ledger(migrated.dsn("sink"), timeout_seconds=20)
        writer.open()
        try:
            kept = chain_of_six(migrated, writer).verify().heads
        finally:
            writer.close()
        source = dump(programs, migrated.dsn(), tmp_path / "older.dump", "-Fc")
        restore_newer(programs, after.dsn(restored), source)
        address = after.dsn(restored, "celerytrail_verifier")
        found = verify_ledger(address, against=kept, read_model=True)
        assert (found.bad, found.verdict, found.exit_code) == ((), Verdict.CLEAN, 0)


def test_an_older_state_together_with_its_head_is_clean_inside_and_broken_against_the_kept_head(
    chained: ChainedLedger, ledger: Ledger, programs: Path, tmp_path: Path
):
    migrated = chained.database
    older = chained.verify().heads
    source = dump(programs, migrated.dsn(), tmp_path / "older.dump", "-Fc")
    write_batch(ledger, migrated, 21)
    kept = chained.verify().heads
    with empty_database(migrated.server) as restored:
        restore(programs, migrated.server.dsn(restored), source)
        address = migrated.server.dsn(restored, "celerytrail_verifier")
        assert verify_ledger(address).verdict is Verdict.INTERNAL
        assert verify_ledger(address, against=older).verdict is Verdict.CLEAN
        found = verify_ledger(address, against=kept)
        assert [(bad.fault, bad.n) for bad in found.bad] == [(Fault.OFF_CHAIN, 7)]
        # Grown again to the same length it is another chain.
        writer = Ledger(migrated.server.dsn(restored, "celerytrail_sink"), timeout_seconds=20)
        writer.open()
        try:
            write_batch(writer, migrated, 41)
        finally:
            writer.close()
        found = verify_ledger(address, against=kept)
        assert [(bad.fault, bad.n) for bad in found.bad] == [(Fault.OFF_CHAIN, 7)]
