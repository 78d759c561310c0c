"""Trouble with the database: nothing half stored, nothing acknowledged, everything bounded."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from celerytrail.examples.embedded.ports import free_port
from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.exporter.sink.written import Written
from celerytrail.sql.migrate import migrate
from tests.span_rows import STREAM, payload_row, task_rows
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

SWALLOW = """
CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.seq = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
"""
HIDE = """
ALTER TABLE celerytrail.spans ENABLE ROW LEVEL SECURITY;
CREATE POLICY hide ON celerytrail.spans USING (false) WITH CHECK (true);
"""
SHOW = """
DROP POLICY hide ON celerytrail.spans;
ALTER TABLE celerytrail.spans DISABLE ROW LEVEL SECURITY;
"""
DAY_PARTITION = "SELECT 'celerytrail.spans_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')"


def written_at_last(ledger: Ledger, token: bytes) -> Written:
    """Write four rows, again for as long as the ledger is not to be had."""

    def write() -> Written | None:
        try:
            return ledger.write_spans(token, task_rows())
        except LedgerUnavailable:
            return None

    written = wait_until(write, "the rows are written")
    assert written is not None
    return written


def nothing_stored(database: MigratedDatabase) -> bool:
    model = database.read_model()
    return (
        not any(model.values())
        and database.value("SELECT count(*) FROM celerytrail.blocks") == 0
        and database.value("SELECT n FROM celerytrail.chain_head") == 0
    )


@pytest.mark.parametrize(
    ("attack", "named", "undo"),
    [
        (
            "CREATE RULE swallow AS ON INSERT TO celerytrail.spans DO INSTEAD NOTHING",
            "rule swallow on celerytrail.spans",
            "DROP RULE swallow ON celerytrail.spans",
        ),
        (
            "CREATE RULE aside AS ON INSERT TO celerytrail.spans DO ALSO NOTHING",
            "rule aside on celerytrail.spans",
            "DROP RULE aside ON celerytrail.spans",
        ),
        (
            SWALLOW + "CREATE TRIGGER swallow BEFORE INSERT ON celerytrail.spans"
            " FOR EACH ROW EXECUTE FUNCTION public.swallow()",
            "trigger swallow on celerytrail.spans",
            "DROP TRIGGER swallow ON celerytrail.spans",
        ),
        (
            SWALLOW + "DO $$ BEGIN EXECUTE 'CREATE TRIGGER swallow BEFORE INSERT ON ' ||"
            f" ({DAY_PARTITION}) || ' FOR EACH ROW EXECUTE FUNCTION public.swallow()'; END $$",
            "trigger swallow on celerytrail.spans_",
            f"DO $$ BEGIN EXECUTE 'DROP TRIGGER swallow ON ' || ({DAY_PARTITION}); END $$",
        ),
        (
            HIDE,
            "policy hide on celerytrail.spans",
            SHOW,
        ),
        (
            "ALTER TABLE celerytrail.spans ENABLE ROW LEVEL SECURITY",
            "row security on celerytrail.spans",
            "ALTER TABLE celerytrail.spans DISABLE ROW LEVEL SECURITY",
        ),
        (
            "ALTER TABLE celerytrail.spans DISABLE TRIGGER seal",
            "trigger seal on celerytrail.spans",
            "ALTER TABLE celerytrail.spans ENABLE ALWAYS TRIGGER seal",
        ),
        (
            "ALTER TABLE celerytrail.blocks DISABLE TRIGGER link",
            "trigger link on celerytrail.blocks",
            "ALTER TABLE celerytrail.blocks ENABLE ALWAYS TRIGGER link",
        ),
    ],
    ids=["instead", "also", "row", "partition", "policy", "security", "seal", "link"],
)
def test_a_superuser_s_trick_is_named_and_nothing_is_stored(
    migrated: MigratedDatabase, ledger: Ledger, attack: str, named: str, undo: str
) -> None:
    assert ledger.guards() == []
    migrated.run(attack)
    with pytest.raises(LedgerRefused, match=named):
        ledger.write_spans(migrated.token, task_rows())
    assert nothing_stored(migrated)
    assert any(found.startswith(named) for found in ledger.guards())
    migrated.run(undo)
    assert ledger.guards() == []
    assert ledger.write_spans(migrated.token, task_rows()) == Written(inserted=4)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (
            "UPDATE celerytrail.horizon SET retained_from = 'infinity'",
            "horizon in celerytrail.horizon is later than today",
        ),
        (
            "UPDATE celerytrail.horizon SET retained_from = (now() AT TIME ZONE 'UTC')::date + 2",
            "horizon in celerytrail.horizon is later than today",
        ),
        ("DELETE FROM celerytrail.horizon", "missing horizon in celerytrail.horizon"),
    ],
    ids=["infinity", "later", "missing"],
)
def test_a_horizon_that_would_refuse_everything_is_named_and_refuses_nothing(
    migrated: MigratedDatabase, ledger: Ledger, wrong: str, named: str
) -> None:
    ledger.write_spans(migrated.token, task_rows(5))
    migrated.run(wrong)
    assert ledger.guards() == [named]
    for rows in (task_rows(), task_rows(5)):
        with pytest.raises(LedgerRefused, match=named):
            ledger.write_spans(migrated.token, rows)
    migrated.run(
        "DELETE FROM celerytrail.horizon;"
        "INSERT INTO celerytrail.horizon (retained_from)"
        " VALUES ((now() AT TIME ZONE 'UTC')::date - 1)"
    )
    assert ledger.guards() == []
    assert ledger.write_spans(migrated.token, task_rows()) == Written(inserted=4)


@pytest.mark.parametrize(
    ("configured", "used"),
    [("off", "on"), ("local", "local"), ("remote_write", "remote_write")],
)
def test_what_is_acknowledged_is_durable_whatever_the_database_is_set_to(
    migrated: MigratedDatabase, configured: str, used: str
) -> None:
    migrated.run(
        "CREATE TABLE public.used (what text, setting text);"
        "CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN INSERT INTO public.used"
        " VALUES (TG_TABLE_NAME, current_setting(''synchronous_commit'')); RETURN NULL; END';"
        "CREATE TRIGGER look AFTER INSERT ON celerytrail.streams EXECUTE FUNCTION public.look();"
        "CREATE TRIGGER look AFTER INSERT ON celerytrail.payloads EXECUTE FUNCTION public.look();"
        "CREATE TRIGGER look AFTER INSERT ON celerytrail.quarantine EXECUTE FUNCTION public.look();"
        f"ALTER DATABASE {migrated.name} SET synchronous_commit = {configured}"
    )
    ledger = Ledger(migrated.dsn("sink"), max_size=1, timeout_seconds=20)
    ledger.open()
    try:
        ledger.write_spans(migrated.token, task_rows())
        ledger.write_payloads(migrated.token, [payload_row("t", "args", b"[]")])
        ledger.quarantine(migrated.token, "why", [b"x"])
    finally:
        ledger.close()
    assert sorted(migrated.rows("SELECT DISTINCT what, setting FROM public.used")) == [
        ("payloads", used),
        ("quarantine", used),
        ("streams", used),
    ]


def test_no_statement_of_a_batch_is_compiled_whatever_the_database_is_set_to(
    migrated: MigratedDatabase,
) -> None:
    migrated.run(
        "CREATE TABLE public.used (setting text);"
        "CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS"
        " 'BEGIN INSERT INTO public.used VALUES (current_setting(''jit'')); RETURN NULL; END';"
        "CREATE TRIGGER look AFTER INSERT ON celerytrail.payloads EXECUTE FUNCTION public.look();"
        f"ALTER DATABASE {migrated.name} SET jit = on"
    )
    ledger = Ledger(migrated.dsn("sink"), max_size=1, timeout_seconds=20)
    ledger.open()
    try:
        ledger.write_payloads(migrated.token, [payload_row("t", "args", b"[]")])
    finally:
        ledger.close()
    assert migrated.rows("SELECT setting FROM public.used") == [("off",)]


@pytest.mark.skipif(sys.platform != "linux", reason="the options of a socket as Linux names them")
def test_a_network_that_swallows_packets_is_noticed(migrated: MigratedDatabase) -> None:
    def options(ledger: Ledger) -> dict[str, int]:
        ledger.open()
        try:
            with (
                ledger._transactions.pool.connection() as connection,
                socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire,
            ):
                return {
                    "alive": wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                    "idle": wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                    "interval": wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
                    "count": wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
                    "timeout": wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                }
        finally:
            ledger.close()

    bounded = {"alive": 1, "idle": 10, "interval": 5, "count": 3, "timeout": 40_000}
    dsn = migrated.dsn("sink")
    assert options(Ledger(dsn, timeout_seconds=20)) == bounded
    chosen = make_conninfo(dsn, tcp_user_timeout=1234, keepalives_idle=77)
    assert options(Ledger(chosen, timeout_seconds=20)) == {**bounded, "timeout": 1234, "idle": 77}


def test_swallowed_payloads_are_noticed(migrated: MigratedDatabase, ledger: Ledger) -> None:
    migrated.run("CREATE RULE swallow AS ON INSERT TO celerytrail.payloads DO INSTEAD NOTHING")
    with pytest.raises(LedgerRefused, match=r"rule swallow on celerytrail\.payloads"):
        ledger.write_payloads(migrated.token, [payload_row("t", "args", b"[]")])


def test_a_trigger_that_raises_a_row_s_error_costs_no_row(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    migrated.run(
        "CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN RAISE EXCEPTION SQLSTATE ''22023''; END';"
        "CREATE TRIGGER poison BEFORE INSERT ON celerytrail.spans"
        " FOR EACH ROW EXECUTE FUNCTION public.poison()"
    )
    with pytest.raises(LedgerRefused, match="trigger poison"):
        ledger.write_spans(migrated.token, task_rows())
    migrated.run("DROP TRIGGER poison ON celerytrail.spans")
    migrated.run("ALTER TABLE celerytrail.spans ADD CONSTRAINT mine CHECK (seq > 2) NOT VALID")
    with pytest.raises(LedgerRefused):
        ledger.write_spans(migrated.token, task_rows())
    assert nothing_stored(migrated)


def test_a_head_that_somebody_holds_is_waited_for_a_bounded_time(
    migrated: MigratedDatabase,
) -> None:
    impatient = Ledger(migrated.dsn("sink"), max_size=1, timeout_seconds=0.5)
    impatient.open()
    with migrated.connect(autocommit=False) as holder:
        holder.execute("SELECT 1 FROM celerytrail.chain_head FOR UPDATE")
        with pytest.raises(LedgerUnavailable) as raised:
            impatient.write_spans(migrated.token, task_rows())
        assert raised.value.retry_after_seconds > 0
        holder.rollback()
    assert nothing_stored(migrated)
    # Half a second is little also where nobody holds anything.
    assert written_at_last(impatient, migrated.token).inserted == 4
    impatient.close()


def test_a_principal_that_is_being_made_keeps_nobody_from_its_chain(
    migrated: MigratedDatabase, ledger: Ledger
) -> None:
    with migrated.connect(autocommit=False) as maker:
        maker.execute(
            "INSERT INTO celerytrail.principals (name, namespace, service, environment)"
            " VALUES ('another', 'shop', 'other', 'test')"
        )
        assert ledger.write_spans(migrated.token, task_rows()) == Written(inserted=4)
        maker.rollback()


def test_a_partition_that_is_gone_is_made_again(migrated: MigratedDatabase, ledger: Ledger) -> None:
    ledger.write_spans(migrated.token, task_rows())
    day = f"{task_rows()[0][1]:%Y%m%d}"
    migrated.run(
        "; ".join(f"DROP TABLE celerytrail.{t}_{day}" for t in ("spans", "leaf_groups", "payloads"))
    )
    assert ledger.write_spans(migrated.token, task_rows(5)) == Written(inserted=4)


def test_a_server_that_was_away_is_found_again(
    server_directory: Path, postgres_bin: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "psycopg.pool")
    directory = server_directory / f"away-{uuid.uuid4().hex[:8]}"
    with EmbeddedPostgres(directory, bin_dir=postgres_bin, settings={"fsync": "off"}) as server:
        admin = server.create_database("away")
        migrate(admin)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(
                "INSERT INTO celerytrail.principals (name, namespace, service, environment)"
                " VALUES ('shop', 'acme', 'shop', 'test')"
            )
            connection.execute(
                "INSERT INTO celerytrail.tokens (token_hash, principal_id)"
                " SELECT %s, principal_id FROM celerytrail.principals",
                [b"t" * 32],
            )
        ledger = Ledger(server.dsn("away", "celerytrail_sink"), max_size=3, timeout_seconds=5)
        ledger.open()
        threads = [
            threading.Thread(
                target=ledger.write_spans,
                args=(b"t" * 32, task_rows(stream=uuid.uuid5(STREAM, str(n)))),
            )
            for n in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.stop()
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                ledger.write_spans(b"t" * 32, task_rows())
            with pytest.raises(LedgerUnavailable):
                ledger.ready()
        server.start()
        assert written_at_last(ledger, b"t" * 32) == Written(inserted=4)
        ledger.ready()
        # A restart that nobody noticed costs no batch.
        server.stop()
        server.start()
        assert ledger.write_spans(b"t" * 32, task_rows()) == Written(known=4)
        ledger.close()


def test_no_server_no_database_no_password_is_unavailable_without_the_password(
    migrated: MigratedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "psycopg.pool")
    for dsn in (
        f"postgresql://celerytrail_sink:hunter2@127.0.0.1:{free_port()}/x",
        migrated.dsn("sink").replace(migrated.name, "no_such_database"),
        f"postgresql://celerytrail_sink:hunter2@127.0.0.1:{migrated.server.port}/{migrated.name}",
    ):
        ledger = Ledger(dsn, timeout_seconds=0.5)
        ledger.open()
        with pytest.raises(LedgerUnavailable) as raised:
            ledger.ready()
        assert "hunter2" not in str(raised.value)
        ledger.close()
    with pytest.raises(LedgerUnavailable) as raised:
        Ledger("postgresql://sink:hun@ter2@127.0.0.1/x")
    assert "ter2" not in str(raised.value)


def test_a_schema_that_does_not_fit_is_refused(
    migrated: MigratedDatabase, ledger: Ledger, postgres: EmbeddedPostgres
) -> None:
    ledger.ready()
    migrated.run(
        "INSERT INTO celerytrail.migrations (id, name, sha256, breaking) VALUES (9001, '9001_add_x', 'x', false)"
    )
    ledger.ready()
    migrated.run("UPDATE celerytrail.migrations SET breaking = true WHERE id = 9001")
    with pytest.raises(LedgerRefused, match="newer"):
        ledger.ready()
    migrated.run("DELETE FROM celerytrail.migrations WHERE id > 3")
    with pytest.raises(LedgerRefused, match="celerytrail migrate"):
        ledger.ready()
