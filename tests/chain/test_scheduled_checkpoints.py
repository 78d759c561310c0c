"""`celerytrail verify --every --checkpoint`: what each turn says against what a real checkpointer goes on signing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql import head_file
from celerytrail.sql.checkpoint.checkpoint_watch import CheckpointPlaces, CheckpointWatch
from celerytrail.sql.checkpoint.key_file import PUBLIC_FILE
from tests.chain.chained_ledger import ChainedLedger, write_batch
from tests.chain.checkpointing import Keeper
from tests.chain.test_kept_heads import CUT, REWRITE
from tests.chain.test_verify_command import daemon
from tests.waiting import wait_until

pytest_plugins = ["tests.databases"]

OK = ("ok", "checkpoint", None)
EVERY = ("--every", "0.1", "--json")
NEVER_ALL = ("--full-every", "600")
"""Only the first turn of a process reads everything."""


@dataclass(frozen=True)
class Turns:
    """What is stored of the turns of a running verifier, and what it prints of them."""

    keeper: Keeper
    directory: Path

    def rows(self) -> list[dict[str, Any]]:
        found = self.keeper.chained.database.rows(
            "SELECT to_json(v) FROM celerytrail_views.verifications v ORDER BY v.verified_at"
        )
        return [row[0] for row in found]

    def until(self, condition: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """Wait until a turn that begins from now on is so."""
        before = len(self.rows())
        # The turn that was under way may have looked before.
        return wait_until(
            lambda: next((row for row in self.rows()[before + 1 :] if condition(row)), None), what
        )

    def until_ok(self, n: int = 0) -> dict[str, Any]:
        return self.until(lambda row: said(row) == OK and row["anchor_n"] >= n, f"ok at {n}")

    def until_trouble(self, text: str) -> dict[str, Any]:
        found = self.until(lambda row: row["trouble"] is not None, "trouble")
        assert text in found["trouble"]
        assert (found["status"], found["compared_with"]) == ("internal", "checkpoint")
        return found

    def until_broken(self, fault: str) -> dict[str, Any]:
        found = self.until(lambda row: row["status"] == "broken", "broken")
        assert found["first_bad"]["fault"] == fault
        return found

    def printed(self) -> list[dict[str, Any]]:
        *whole, _ = (self.directory / "out").read_text().split("\n")
        return [json.loads(line) for line in whole]

    @property
    def complaints(self) -> str:
        return (self.directory / "err").read_text()


def said(row: dict[str, Any]) -> tuple[str, str | None, str | None]:
    return row["status"], row["compared_with"], row["trouble"]


@pytest.fixture
def keeper(chained: ChainedLedger, tmp_path: Path) -> Keeper:
    """A ledger of six blocks whose head is signed."""
    made = Keeper(chained, tmp_path)
    made.new_key("key")
    made.copy.parent.mkdir()
    made.sign()
    return made


@contextmanager
def verifying(
    keeper: Keeper, *more: str | Path, places: tuple[Path, ...] = (), key: Path | None = None
) -> Iterator[Turns]:
    """A verifier process that is told where the checkpoints are."""
    directory = keeper.directory / "verifier"
    directory.mkdir(exist_ok=True)
    given: list[str | Path] = ["--pubkey", key or keeper.public]
    for place in places or (keeper.file,):
        given += ["--checkpoint", place]
    with daemon(keeper.dsn("verifier"), directory, *map(str, (*EVERY, *given, *more))):
        yield Turns(keeper, directory)


def test_each_turn_is_clean_against_what_was_signed_last(keeper: Keeper, ledger: Ledger):
    with keeper.daemon("--every", "0.2") as signing, verifying(keeper, *NEVER_ALL) as turns:
        assert turns.until_ok()["anchor_n"] == 6
        write_batch(ledger, keeper.chained.database, 21)
        signing.until_signed(7)
        row = turns.until_ok(7)
        assert (row["mode"], row["to_n"], row["anchor_n"]) == ("incremental", 7, 7)
        assert row["anchor_time"] is not None
    lines = turns.printed()
    assert {(line["verdict"], line["exit_code"], line["anchored"]) for line in lines} == {
        ("ok", 0, True)
    }
    assert lines[0]["anchors"]["0"]["n"] == 6
    assert turns.complaints == ""


def test_a_cut_tail_is_found_by_a_running_one_and_by_one_that_begins(keeper: Keeper):
    with verifying(keeper, *NEVER_ALL) as turns:
        turns.until_ok()
        keeper.chained.tamper(CUT)
        assert turns.until_broken("head kept outside is not on the chain")["first_bad"]["n"] == 6
    with verifying(keeper) as turns:
        turns.until_broken("head kept outside is not on the chain")
    assert turns.printed()[-1]["exit_code"] == 1


def test_a_ledger_that_was_written_anew_is_found(keeper: Keeper):
    row = keeper.chained.row(3, 1)
    with verifying(keeper, *NEVER_ALL) as turns:
        turns.until_ok()
        keeper.chained.tamper(
            f"UPDATE celerytrail.spans SET worker = 'x' WHERE event_id = '{row}';;{REWRITE}"
        )
        turns.until_broken("head kept outside is not on the chain")
    with verifying(keeper) as turns:
        turns.until_broken("head kept outside is not on the chain")


def test_a_file_that_is_not_there_is_told_until_it_is(keeper: Keeper, tmp_path: Path):
    away = tmp_path / "away"
    keeper.file.rename(away)
    with verifying(keeper, *NEVER_ALL) as turns:
        row = turns.until_trouble(f"cannot read the checkpoint file {keeper.file}: No such file")
        assert row["anchor_n"] is None
        away.rename(keeper.file)
        turns.until_ok(6)
        keeper.file.rename(away)
        turns.until_trouble(str(keeper.file))
    assert {said(row)[:2] for row in turns.rows() if row["trouble"]} == {("internal", "checkpoint")}
    assert not [row for row in turns.rows() if said(row) == ("internal", "checkpoint", None)]
    assert {line["exit_code"] for line in turns.printed()} == {0, 4}
    # Once each time that it changes, not in each turn.
    assert turns.complaints.count("not compared with the checkpoints") == 2
    assert turns.complaints.count("can be compared with again") == 1


def test_one_place_of_two_that_is_not_there_is_told_and_the_other_compared(keeper: Keeper):
    keeper.copy.unlink()
    with verifying(keeper, *NEVER_ALL, places=(keeper.file, keeper.copy)) as turns:
        assert turns.until_trouble(str(keeper.copy))["anchor_n"] == 6
        keeper.chained.tamper(CUT)
        turns.until_broken("head kept outside is not on the chain")


def test_an_older_file_in_its_place_is_told(keeper: Keeper, ledger: Ledger, tmp_path: Path):
    older, newer = tmp_path / "older", tmp_path / "newer"
    shutil.copy(keeper.file, older)
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    shutil.copy(keeper.file, newer)
    with verifying(keeper, *NEVER_ALL) as turns:
        turns.until_ok(7)
        shutil.copy(older, keeper.file)
        turns.until_trouble(f"{keeper.file} went back: its newest checkpoint was of")
        shutil.copy(newer, keeper.file)
        turns.until_ok(7)
        # What was verified before is kept in memory: the ledger of the older file is not enough.
        shutil.copy(older, keeper.file)
        keeper.chained.tamper(CUT.replace("> 4", "> 6").replace("= 4", "= 6"))
        turns.until_broken("head kept outside is not on the chain")


def test_a_file_that_was_emptied_went_back(keeper: Keeper):
    with verifying(keeper, *NEVER_ALL) as turns:
        turns.until_ok()
        keeper.file.write_bytes(b"")
        turns.until_trouble("now it is none")


def test_a_key_that_signed_none_of_it_is_told_and_read_again(keeper: Keeper, tmp_path: Path):
    key = tmp_path / "configured.key"
    shutil.copy(keeper.new_key("other") / PUBLIC_FILE, key)
    with verifying(keeper, *NEVER_ALL, key=key) as turns:
        found = turns.until_trouble("no note is signed by other+")
        assert str(keeper.file) in found["trouble"]
        key.unlink()
        turns.until_trouble(f"the key file {key} cannot be read")
        shutil.copy(keeper.public, key)
        turns.until_ok(6)


def test_half_a_note_is_no_alarm_and_counts_once_it_is_whole(keeper: Keeper, ledger: Ledger):
    shown = keeper.directory / "shown.jsonl"
    shutil.copy(keeper.file, shown)
    with verifying(keeper, *NEVER_ALL, places=(shown,)) as turns:
        turns.until_ok(6)
        before = len(turns.rows())
        write_batch(ledger, keeper.chained.database, 21)
        keeper.sign()
        line = keeper.file.read_bytes().splitlines(keepends=True)[-1]
        with shown.open("ab", buffering=0) as file:
            file.write(line[:100])
            assert turns.until_ok(6)["anchor_n"] == 6
            file.write(line[100:])
            assert turns.until_ok(7)["anchor_n"] == 7
        assert {said(row) for row in turns.rows()[before:]} == {OK}


def test_notes_that_are_told_twice_are_no_alarm(keeper: Keeper, ledger: Ledger):
    for first in (21, 25):
        write_batch(ledger, keeper.chained.database, first)
        keeper.sign()
    with verifying(keeper, *NEVER_ALL) as turns:
        turns.until_ok(8)
        # As a checkpointer does that lost its memory of how far a place has come.
        with keeper.file.open("ab", buffering=0) as file:
            file.write(keeper.file.read_bytes())
        turns.until_ok(8)
    assert {said(row) for row in turns.rows()} == {OK}


def test_a_note_by_somebody_else_is_broken_until_it_is_gone(keeper: Keeper):
    text = keeper.file.read_bytes()
    (line,) = text.splitlines(keepends=True)
    with verifying(keeper, "--full-every", "0.02") as turns:
        turns.until_ok()
        forged = json.dumps({"note": json.loads(line)["note"].replace("chain 0 6", "chain 0 5")})
        with keeper.file.open("a") as file:
            file.write(f"{forged}\n")
        turns.until_broken("note of a checkpoint file is not to be believed")
        turns.until_broken("note of a checkpoint file is not to be believed")
        keeper.file.write_bytes(text)
        turns.until_ok()


def test_no_note_at_all_is_internal_consistency_only(keeper: Keeper):
    keeper.file.write_bytes(b"")
    with verifying(keeper, *NEVER_ALL) as turns:
        row = turns.until(lambda _: True, "a turn")
        assert said(row) == ("internal", "checkpoint", None)
    assert turns.printed()[0]["exit_code"] == 3


def test_after_a_new_epoch_it_goes_on_by_itself(keeper: Keeper, tmp_path: Path):
    heads = tmp_path / "heads.json"
    with verifying(keeper, *NEVER_ALL, "--head-out", heads) as turns:
        turns.until_ok(6)
        keeper.chained.tamper(CUT)
        turns.until_broken("head kept outside is not on the chain")
        shutil.copy(heads, tmp_path / "before.json")
        keeper.epoch()
        row = turns.until_ok(4)
        assert (row["anchor_n"], row["to_n"]) == (4, 4)
        kept = head_file.read(heads).of(0)
        assert kept is not None
        assert kept.n == 4
    # One that begins, with heads that were kept before.
    with verifying(keeper, *NEVER_ALL, "--against", tmp_path / "before.json") as turns:
        turns.until_ok(4)


def test_with_a_witness_only_what_he_cosigned_vouches(keeper: Keeper, ledger: Ledger):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.cosign(key, own, "--begin")
    asked = ("--witness-pubkey", key / PUBLIC_FILE)
    with verifying(keeper, *NEVER_ALL, *asked, places=(keeper.file, own)) as turns:
        assert turns.until_ok()["anchor_n"] == 6
        write_batch(ledger, keeper.chained.database, 21)
        keeper.sign()
        row = turns.until(lambda row: row["to_n"] == 7, "block 7")
        assert (said(row), row["anchor_n"]) == (OK, 6)
        # What was carried over from the turn before.
        assert turns.until_ok()["anchor_n"] == 6
        keeper.cosign(key, own)
        assert turns.until_ok(7)["anchor_n"] == 7


def test_between_full_turns_only_what_is_new_is_read(keeper: Keeper, ledger: Ledger):
    store = keeper.directory / "store"
    store.mkdir()
    to_store = ("--store", store.as_uri())
    for first in (21, 25, 29):
        write_batch(ledger, keeper.chained.database, first)
        keeper.sign(*to_store)
    watch = CheckpointWatch(CheckpointPlaces((keeper.file, store), (keeper.public,), None))

    def read(*, everything: bool = False) -> list[int]:
        looked = watch.look(everything=everything)
        assert looked.trouble is None
        assert looked.evidence is not None
        return [len(place.contents.entries) for place in looked.evidence.places]

    assert read() == [4, 4]
    assert read() == [4, 4]
    watch.good()
    assert read() == [1, 1]
    keeper.sign(*to_store)
    assert read() == [2, 2]
    assert read(everything=True) == [5, 5]
    watch.good()
    watch.forget()
    assert read() == [5, 5]
    watch.good()
    # A note that is taken away is missed.
    max(store.rglob("*.note")).unlink()
    assert f"{store} went back" in str(watch.look(everything=False).trouble)
