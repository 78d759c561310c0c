"""The checkpointer as a process: on time, after blocks, killed, stopped, without its database."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.checkpoint.checkpoint_file import opened
from celerytrail.sql.checkpoint.statement import Checkpoint
from celerytrail.sql.migrate import migrate
from tests.chain.chained_ledger import ChainedLedger, write_batch
from tests.chain.checkpointing import Keeper
from tests.chain.otlp_receiver import OtlpReceiver
from tests.chain.test_kept_heads import CUT
from tests.waiting import wait_until

pytest_plugins = ["tests.databases"]

LONG = "3600"


@pytest.fixture
def keeper(chained: ChainedLedger, tmp_path: Path) -> Keeper:
    """A key and places for notes; nothing is signed yet."""
    made = Keeper(chained, tmp_path)
    made.new_key("key")
    made.copy.parent.mkdir()
    return made


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A receiver of log records that is up."""
    made = OtlpReceiver()
    made.start()
    yield made
    made.stop()


def test_it_signs_idle_or_not_and_ends_when_it_is_told_to(keeper: Keeper, ledger: Ledger):
    with keeper.daemon("--begin", "--every", "0.2") as running:
        wait_until(lambda: keeper.file.exists() and len(keeper.notes()) >= 3, "three notes")
        write_batch(ledger, keeper.chained.database, 21)
        running.until_signed(7, keeper.copy)
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
    assert "signed epoch 1: chain 0 at n 7, 1 new blocks; at file, copy" in running.out.read_text()
    assert running.err.read_text() == ""
    assert keeper.verify(keeper.file, keeper.copy).exit_code == 0


def test_it_signs_early_after_so_many_blocks(keeper: Keeper, ledger: Ledger):
    with keeper.daemon("--begin", "--every", LONG, "--blocks", "2") as running:
        running.until_signed(6)
        for first in (21, 25):
            write_batch(ledger, keeper.chained.database, first)
        running.until_signed(8)


def newest(keeper: Keeper) -> Checkpoint | None:
    """The newest checkpoint of the second epoch."""
    said = [entry.statement for entry in keeper.notes()]
    found = [one for one in said if isinstance(one, Checkpoint) and one.epoch == 2]
    return found[-1] if found else None


def test_it_goes_on_refusing_until_a_person_begins_an_epoch(keeper: Keeper):
    keeper.sign()
    keeper.chained.tamper(CUT)
    with keeper.daemon("--every", "0.1") as running:
        wait_until(lambda: running.err.read_text().count("REFUSED") >= 3, "three refusals")
        assert len(keeper.notes()) == 1
        keeper.epoch()
        wait_until(lambda: keeper.notes()[-1].statement == newest(keeper), "a checkpoint after it")
    trouble = [one["trouble"] for one in keeper.records() if one["note"] is None]
    assert len(trouble) >= 3
    assert keeper.verify(keeper.file, keeper.copy).exit_code == 0


@pytest.mark.parametrize("attack", ["older", "empty", "gone"])
def test_a_running_one_refuses_a_file_that_went_back_with_the_database(
    keeper: Keeper, ledger: Ledger, attack: str
):
    early = keeper.directory / "early"
    with keeper.daemon("--begin", "--every", "0.1") as running:
        running.until_signed(6, keeper.copy)
        shutil.copy(keeper.file, early)
        write_batch(ledger, keeper.chained.database, 21)
        running.until_signed(7, keeper.copy)
        with opened(keeper.file, begin=False):
            keeper.chained.tamper(CUT.replace("> 4", "> 6").replace("= 4", "= 6"))
            if attack == "gone":
                keeper.file.unlink()
            else:
                keeper.file.write_bytes(early.read_bytes() if attack == "older" else b"")
        said = {"older": "went back", "empty": "is empty", "gone": "there is no checkpoint file"}
        running.until_said(said[attack])
    assert keeper.n(keeper.copy) == 7
    assert keeper.verify(keeper.copy).exit_code == 1


def test_a_process_killed_between_two_places_leaves_none_out(
    keeper: Keeper, receiver: OtlpReceiver
):
    receiver.silent.set()
    with keeper.daemon(
        "--begin", "--every", LONG, "--otlp", receiver.url, "--timeout", "600"
    ) as running:
        # The file and the copy have the note; the third place holds the process up.
        wait_until(lambda: keeper.copy.exists() and len(keeper.notes(keeper.copy)) == 1, "a copy")
        running.process.kill()
        running.process.wait()
    assert receiver.bodies == []
    receiver.silent.clear()
    keeper.sign("--otlp", receiver.url)
    notes = [str(entry.note) for entry in keeper.notes()]
    assert len(notes) == 2
    assert receiver.bodies == notes
    assert [str(entry.note) for entry in keeper.notes(keeper.copy)] == notes


@pytest.fixture
def own_server(server_directory: Path, postgres_bin: str | None) -> Iterator[EmbeddedPostgres]:
    """A Postgres server of its own, which the test stops and starts."""
    with EmbeddedPostgres(
        server_directory / "checkpointed", bin_dir=postgres_bin, settings={"fsync": "off"}
    ) as server:
        yield server


def test_a_database_that_is_away_is_waited_for(own_server: EmbeddedPostgres, tmp_path: Path):
    # Here, so that pytest imports it first.
    from tests.databases import MigratedDatabase

    own_server.create_database("ledger")
    migrate(own_server.dsn("ledger"))
    keeper = Keeper(ChainedLedger(MigratedDatabase(own_server, "ledger", b""), ""), tmp_path)
    keeper.new_key("key")
    keeper.copy.parent.mkdir()
    with keeper.daemon("--begin", "--every", "0.2") as running:
        running.until_signed(0, keeper.copy)
        own_server.stop()
        running.until_said("trying again in")
        assert "cannot connect" in running.err.read_text()
        before = len(keeper.notes())
        own_server.start()
        wait_until(lambda: len(keeper.notes()) > before, "another note")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
