"""What a checkpointer signs and refuses, and what `verify --checkpoint` says of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner

from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.checkpoint import key_file
from celerytrail.sql.checkpoint.checkpoint_command import checkpoint
from celerytrail.sql.checkpoint.checkpoint_file import opened
from celerytrail.sql.checkpoint.signed_note import Signature
from celerytrail.sql.checkpoint.statement import KeyChange, NewEpoch
from celerytrail.sql.verify_command import verify
from tests.chain.chained_ledger import ChainedLedger, write_batch
from tests.chain.checkpointing import Keeper, mutated
from tests.chain.test_kept_heads import CUT, REWRITE

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]


@pytest.fixture
def keeper(chained: ChainedLedger, tmp_path: Path) -> Keeper:
    """A key and places for notes; nothing is signed yet."""
    made = Keeper(chained, tmp_path)
    made.new_key("key")
    made.copy.parent.mkdir()
    return made


def rewritten(keeper: Keeper, n: int) -> None:
    row = keeper.chained.row(n, 1)
    keeper.chained.tamper(
        f"UPDATE celerytrail.spans SET worker = 'x' WHERE event_id = '{row}';;{REWRITE}"
    )


def test_what_is_signed_is_verified_and_recorded(keeper: Keeper, ledger: Ledger):
    keeper.sign()
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    keeper.sign()
    assert [keeper.n(), keeper.n(keeper.copy)] == [7, 7]
    assert [len(keeper.notes()), len(keeper.notes(keeper.copy))] == [3, 3]
    result = keeper.verify(keeper.file, keeper.copy)
    assert (result.exit_code, result.stdout.splitlines()[-1][:5]) == (0, "CLEAN")
    first, second, idle = keeper.records()
    assert [one["chains"][0]["n"] for one in (first, second, idle)] == [6, 7, 7]
    assert (first["trouble"], first["recorded_by"]) == (None, "celerytrail_checkpointer")
    assert first["published"] == {"file": "ok", f"copy {keeper.copy}": "ok"}
    assert first["note"] == str(keeper.notes()[0].note)


def test_later_blocks_than_the_newest_checkpoint_are_clean(keeper: Keeper, ledger: Ledger):
    keeper.sign()
    write_batch(ledger, keeper.chained.database, 21)
    assert keeper.verify().exit_code == 0


def test_a_lower_height_is_refused_until_it_is_back(keeper: Keeper):
    keeper.sign()
    with keeper.chained.restored_afterwards():
        keeper.chained.tamper(CUT)
        for _ in range(2):
            refused = keeper.sign(code=1)
            assert "REFUSED" in refused.stderr
            assert "ends at n 4; it was signed at n 6" in refused.stderr
        assert len(keeper.notes()) == 1
        assert keeper.verify().exit_code == 1
        trouble = keeper.records()[-1]
        assert (trouble["note"], trouble["trouble"][:7]) == (None, "REFUSED")
    keeper.sign()
    assert keeper.verify().exit_code == 0


def test_a_rewritten_block_is_refused(keeper: Keeper):
    keeper.sign()
    rewritten(keeper, 3)
    assert keeper.chained.verify().verdict.value == "internal"
    assert "chain 0 has another hash at n 6" in keeper.sign(code=1).stderr
    assert keeper.verify().exit_code == 1


def test_a_rewrite_below_the_newest_note_shows_in_the_older_ones_too(
    keeper: Keeper, ledger: Ledger
):
    keeper.sign()
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    rewritten(keeper, 2)
    said = keeper.verify().stdout
    assert "head kept outside is not on the chain: block 6 (noted" in said
    assert "head kept outside is not on the chain: block 7 (noted" in said


def test_a_row_altered_since_the_last_note_is_refused(keeper: Keeper, ledger: Ledger):
    keeper.sign()
    write_batch(ledger, keeper.chained.database, 21)
    row = keeper.chained.row(7, 2)
    keeper.chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
    assert f"row altered: block 7, batch 7, day {keeper.chained.verify().bad[0].day}" in (
        keeper.sign(code=1).stderr
    )


def test_a_missing_chain_is_refused(keeper: Keeper):
    with keeper.chained.database.connect() as superuser:
        superuser.execute("ALTER TABLE celerytrail.chain_head DISABLE TRIGGER ALL")
        superuser.execute(
            "INSERT INTO celerytrail.chain_head (chain, n, hash, linked_at)"
            " SELECT 5, 0, sha256('celerytrail/genesis/v1'::bytea || '\\x00'::bytea"
            " || uuid_send(ledger_id) || int4send(5)), now() FROM celerytrail.ledger"
        )
        keeper.sign()
        superuser.execute("DELETE FROM celerytrail.chain_head WHERE chain = 5")
    assert "chain 5 is missing; it was signed at n 0" in keeper.sign(code=1).stderr


def test_a_format_that_nobody_knows_is_refused_by_name(keeper: Keeper):
    keeper.sign()
    keeper.chained.tamper("UPDATE celerytrail.ledger SET format_version = 2")
    assert "says that it has format 2" in keeper.sign(code=4).stderr
    said = keeper.verify()
    assert (said.exit_code, "says that it has format 2" in said.output) == (4, True)


def test_a_note_of_a_format_that_nobody_knows_is_refused_by_name(keeper: Keeper):
    keeper.sign()
    text = str(keeper.notes()[0].note).partition("\n\n")[0].replace("format 1", "format 2")
    newer = key_file.read_private(keeper.key).sign(f"{text}\n")
    with keeper.file.open("a") as file:
        file.write(json.dumps({"note": str(newer)}) + "\n")
    said = keeper.verify()
    assert (said.exit_code, "note 2: it is of format 2" in said.stdout) == (1, True)


def test_another_ledger_is_refused(keeper: Keeper):
    keeper.sign()
    keeper.chained.tamper("UPDATE celerytrail.ledger SET ledger_id = gen_random_uuid()")
    assert "another ledger" in keeper.sign(code=1).stderr
    assert keeper.verify().exit_code == 1


def test_a_clock_that_went_back_is_refused(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    keeper.sign()
    line = keeper.file.read_text("utf-8")
    from celerytrail.sql.checkpoint import signed_note

    text = json.loads(line)["note"].partition("\n\n")[0]
    year = text.partition("\ntime ")[2][:4]
    later = key_file.read_private(keeper.key).sign(f"{text.replace(f'time {year}', 'time 2999')}\n")
    assert signed_note.parse(str(later).encode())
    keeper.file.write_text(json.dumps({"note": str(later)}) + "\n")
    assert "the clock went back" in keeper.sign(code=1).stderr


def test_a_changed_catalog_is_said_and_does_not_stop_the_signing(keeper: Keeper):
    keeper.chained.database.run("CREATE TABLE celerytrail.another (a int)")
    said = keeper.sign().stderr
    assert "the catalog differs from the migrations: added column celerytrail.another.a" in said
    assert keeper.records()[-1]["trouble"].startswith("the catalog differs")


def test_database_and_local_file_cut_back_together(keeper: Keeper, ledger: Ledger):
    """The attack that one place cannot show, and a second one does."""
    keeper.chained.tamper(CUT)
    keeper.sign()
    early = keeper.file.read_bytes()
    with keeper.chained.restored_afterwards():
        write_batch(ledger, keeper.chained.database, 21)
        keeper.sign()
        assert keeper.n(keeper.copy) == 5
    keeper.file.write_bytes(early)
    assert keeper.verify(keeper.file).exit_code == 0
    assert keeper.verify(keeper.copy).exit_code == 1
    assert keeper.verify(keeper.file, keeper.copy).exit_code == 1
    # Without any place there is only what the database says of itself.
    assert "INTERNAL CONSISTENCY ONLY" in keeper.verify(empty(keeper)).stdout
    assert keeper.verify(empty(keeper)).exit_code == 3


def empty(keeper: Keeper) -> Path:
    path = keeper.directory / "empty.jsonl"
    path.touch()
    return path


def test_a_file_that_is_gone_is_an_error_unless_it_is_the_first_start(keeper: Keeper):
    keeper.sign()
    keeper.file.unlink()
    arguments = ["--dsn", keeper.dsn(), "--once", *keeper.arguments()]
    gone = CliRunner().invoke(checkpoint, arguments)
    assert (gone.exit_code, "there is no checkpoint file" in gone.stderr) == (4, True)
    assert not keeper.file.exists()


def test_a_file_that_was_emptied_is_an_error_unless_it_is_the_first_start(keeper: Keeper):
    keeper.sign()
    keeper.file.write_bytes(b"")
    keeper.chained.tamper(CUT)
    arguments = ["--dsn", keeper.dsn(), "--once", *keeper.arguments()]
    emptied = CliRunner().invoke(checkpoint, arguments)
    assert (emptied.exit_code, "is empty: what was signed" in emptied.stderr) == (4, True)
    assert keeper.file.read_bytes() == b""


def test_a_memory_of_the_witness_that_was_emptied_is_an_error(keeper: Keeper):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.sign()
    keeper.cosign(key, own, "--begin")
    own.write_bytes(b"")
    assert "is empty: what was signed" in keeper.cosign(key, own, code=4).output


@pytest.mark.parametrize("line", ["[" * 200_000, '{"note": ' * 100_000, '{"note": "\\ud800"}'])
def test_a_line_that_is_no_json_is_skipped_whatever_it_is(keeper: Keeper, line: str):
    keeper.sign()
    with keeper.file.open("a") as file:
        file.write(f"{line}\n")
    found = keeper.verify()
    assert (found.exit_code, "1 torn lines" in found.stdout) == (0, True), found.output
    keeper.sign()
    assert len(keeper.notes()) == 2


def test_more_chains_than_a_note_has_room_for_are_refused(keeper: Keeper):
    keeper.sign()
    keeper.chained.tamper(
        "INSERT INTO celerytrail.chain_head (chain, n, hash, linked_at)"
        " SELECT c, 0, sha256('celerytrail/genesis/v1'::bytea || '\\x00'::bytea"
        " || uuid_send(l.ledger_id) || int4send(c)), now()"
        " FROM celerytrail.ledger l, generate_series(100, 6000) AS c"
    )
    assert "5,902 chains do not fit into a note" in keeper.sign(code=1).stderr
    assert len(keeper.notes()) == 1


@pytest.mark.parametrize("size", [1, 40, 200])
def test_a_torn_tail_is_skipped_and_signing_goes_on(keeper: Keeper, ledger: Ledger, size: int):
    keeper.sign()
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    whole = keeper.file.read_bytes()
    first = whole.index(b"\n") + 1
    keeper.file.write_bytes(whole[: first + size])
    assert (keeper.n(), keeper.verify().exit_code) == (6, 0)
    assert "1 torn lines" in keeper.verify().stdout
    keeper.sign()
    assert keeper.n() == 7
    assert keeper.verify(keeper.file, keeper.copy).exit_code == 0


def test_a_file_that_is_no_checkpoint_file_is_left_alone(keeper: Keeper):
    keeper.file.write_text("something else\n")
    assert "it is no checkpoint file" in keeper.sign(code=4).stderr
    assert keeper.file.read_text() == "something else\n"


@pytest.mark.parametrize(("old", "new"), [("chain 0 6 ", "chain 0 5 "), ("epoch 1", "epoch 2")])
def test_a_note_that_was_changed_is_not_believed(keeper: Keeper, old: str, new: str):
    keeper.sign()
    keeper.sign()
    mutated(keeper.file, 0, old, new)
    said = keeper.verify()
    assert said.exit_code == 1
    assert "note 1: its signature by key+" in said.stdout


def test_a_note_by_somebody_else_is_not_believed(keeper: Keeper):
    keeper.sign()
    other = Keeper(keeper.chained, keeper.directory / "other")
    other.new_key("key")
    other.copy.parent.mkdir()
    other.sign()
    with keeper.file.open("a") as file:
        file.write(other.file.read_text())
    said = keeper.verify()
    assert (said.exit_code, "no given key signed it" in said.stdout) == (1, True)
    assert keeper.verify(other.file).exit_code == 4


def test_a_private_key_is_for_its_owner_alone(keeper: Keeper):
    assert stat.S_IMODE(keeper.key.stat().st_mode) == 0o600
    keeper.key.chmod(0o644)
    assert "chmod 600" in keeper.sign(code=4).stderr
    seed = keeper.key.read_text().strip().rpartition("+")[2]
    assert seed not in keeper.sign(code=4).output


def test_keys_are_not_made_where_others_can_reach_them(keeper: Keeper):
    shared = keeper.directory / "shared"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    made = CliRunner().invoke(checkpoint, ["keys", "generate", "--out", str(shared)])
    assert (made.exit_code, "is open to others" in made.output) == (1, True)
    again = CliRunner().invoke(checkpoint, ["keys", "generate", "--out", str(keeper.key.parent)])
    assert (again.exit_code, "exists" in again.output) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--dsn", "dbname=x", "--key", "k", "--file", "f"],
        ["--dsn", "dbname=x", "--key", "k", "--allow-one"],
        ["--dsn", "dbname=x", "--key", "k", "--file", "f", "--allow-one", "--every", "0"],
    ],
)
def test_wrong_usage(arguments: list[str]):
    result = CliRunner().invoke(checkpoint, arguments, env={"CELERYTRAIL_DSN": ""})
    assert result.exit_code == 2 or not arguments


def rotate(keeper: Keeper, out: str) -> None:
    arguments = ["keys", "rotate", "--key", keeper.key, "--file", keeper.file]
    made = CliRunner().invoke(
        checkpoint, [*map(str, arguments), "--out", str(keeper.directory / out)]
    )
    assert made.exit_code == 0, made.output


def test_the_old_public_key_verifies_what_the_next_ones_sign(keeper: Keeper):
    keeper.sign()
    rotate(keeper, "second")
    assert isinstance(keeper.notes()[-1].statement, KeyChange)
    assert "start with that key" in keeper.sign(code=4).stderr
    second = keeper.directory / "second" / keeper.key.name
    keeper.sign("--key", second)
    assert keeper.verify(keeper.file, keeper.copy).exit_code == 0
    assert "follows key+" in keeper.verify().stdout
    assert len(keeper.notes(keeper.copy)) == 3


def test_the_old_key_signs_nothing_after_it_was_changed(keeper: Keeper):
    keeper.sign()
    before = keeper.file.read_bytes()
    rotate(keeper, "second")
    changed = keeper.file.read_bytes()[len(before) :]
    keeper.file.write_bytes(before)
    keeper.sign()
    # Somebody who has the old key signs on, and hides the change behind that.
    stolen = keeper.file.read_bytes()[len(before) :]
    keeper.file.write_bytes(before + changed + stolen)
    said = keeper.verify()
    assert (said.exit_code, "whose successor had taken over" in said.stdout) == (1, True)


def test_a_change_of_keys_by_somebody_else_changes_nothing(keeper: Keeper):
    keeper.sign()
    other = Keeper(keeper.chained, keeper.directory / "other")
    other.new_key("key")
    other.copy.parent.mkdir()
    other.sign()
    rotate(other, "second")
    with keeper.file.open("a") as file:
        file.write(other.file.read_text().splitlines()[-1] + "\n")
    said = keeper.verify()
    assert (said.exit_code, "a change of keys that no given key signed" in said.stdout) == (1, True)


def test_a_key_that_was_followed_by_two_is_a_fault(keeper: Keeper):
    keeper.sign()
    before = keeper.file.read_bytes()
    rotate(keeper, "second")
    changed = keeper.file.read_bytes()[len(before) :]
    # Somebody who has the old key puts another one beside its successor.
    keeper.file.write_bytes(before)
    rotate(keeper, "third")
    keeper.file.write_bytes(keeper.file.read_bytes() + changed)
    said = keeper.verify()
    assert (said.exit_code, "was followed by more than one key" in said.stdout) == (1, True)


def test_an_epoch_lets_checkpoints_go_on_after_a_restore(keeper: Keeper, ledger: Ledger):
    keeper.chained.tamper(CUT)
    keeper.sign()
    with keeper.chained.restored_afterwards():
        write_batch(ledger, keeper.chained.database, 21)
        keeper.sign()
    keeper.sign(code=1)
    said = keeper.epoch().output
    assert "chain 0: signed up to n 5, which holds up to n 4; it stands at n 4" in said
    write_batch(ledger, keeper.chained.database, 25)
    keeper.sign()
    assert (keeper.notes()[-1].statement.epoch, keeper.n()) == (2, 5)  # type: ignore[union-attr]
    for place in (keeper.file, keeper.copy):
        found = keeper.verify(place)
        assert found.exit_code == 0, found.output
        assert "epoch    2 by ann" in found.stdout
        assert "the disk died" in found.stdout
        assert "blocks 5 to 5 of before given up" in found.stdout


def test_what_an_epoch_kept_still_has_to_be_there(keeper: Keeper):
    keeper.sign()
    keeper.epoch()
    assert keeper.verify().exit_code == 0
    rewritten(keeper, 2)
    said = keeper.verify()
    assert (said.exit_code, "head kept outside is not on the chain: block 6" in said.stdout) == (
        1,
        True,
    )


def test_an_epoch_of_a_ledger_that_is_broken_in_itself(keeper: Keeper):
    keeper.sign()
    row = keeper.chained.row(2, 2)
    keeper.chained.tamper(f"UPDATE celerytrail.spans SET pid = 1 WHERE event_id = '{row}'")
    assert "broken in itself" in keeper.epoch(code=1).output
    keeper.epoch("--despite-faults")
    said = keeper.notes()[-1].statement
    assert isinstance(said, NewEpoch)
    assert said.faults == 1


def test_an_epoch_is_of_the_same_ledger_and_has_a_reason(keeper: Keeper):
    keeper.sign()
    assert "the reason has to be one line" in keeper.epoch(reason="a\nb", code=1).output
    keeper.chained.tamper("UPDATE celerytrail.ledger SET ledger_id = gen_random_uuid()")
    assert "a checkpoint file of its own" in keeper.epoch("--despite-faults", code=1).output
    assert len(keeper.notes()) == 1


def test_a_database_restored_to_an_older_state_is_refused(
    keeper: Keeper, migrated: MigratedDatabase, ledger: Ledger
):
    """A whole older copy of the database comes back under the same name, with the same key at work."""
    keeper.sign()
    server, older = migrated.server, f"{migrated.name}_older"
    ledger.close()
    # A copy of the files, as a backup is: every hash in it is right.
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {older} TEMPLATE {migrated.name}".encode())
    try:
        again = Ledger(migrated.dsn("sink"), max_size=2, timeout_seconds=20)
        again.open()
        write_batch(again, migrated, 21)
        again.close()
        keeper.sign()
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {migrated.name} WITH (FORCE)".encode())
            admin.execute(f"ALTER DATABASE {older} RENAME TO {migrated.name}".encode())
            admin.execute(
                f"GRANT CONNECT ON DATABASE {migrated.name} TO celerytrail_checkpointer".encode()
            )
        assert "ends at n 6; it was signed at n 7" in keeper.sign(code=1).stderr
        assert keeper.verify().exit_code == 1
        # It grows again, to the same height and beyond, and is still not what was signed.
        again = Ledger(migrated.dsn("sink"), max_size=2, timeout_seconds=20)
        again.open()
        for first in (25, 29):
            write_batch(again, migrated, first)
        again.close()
        assert "head kept outside is not on the chain: block 7" in keeper.sign(code=1).stderr
    finally:
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {older} WITH (FORCE)".encode())


def test_a_witness_cosigns_what_continues(keeper: Keeper, ledger: Ledger):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.sign()
    keeper.cosign(key, own, "--begin")
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    assert "cosigned after 1 blocks" in keeper.cosign(key, own).output
    assert "was cosigned before" in keeper.cosign(key, own).output
    public = key / keeper.public.name
    found = keeper.verify(keeper.file, own, witness_key=public)
    assert (found.exit_code, "2 of them cosigned" in found.stdout) == (0, True)
    # Without the witness's file nothing is cosigned, so nothing vouches.
    assert keeper.verify(keeper.file, witness_key=public).exit_code == 3


@pytest.mark.parametrize("name", ["junk{}", "witness"])
def test_a_witness_keeps_no_line_that_signs_nothing(keeper: Keeper, ledger: Ledger, name: str):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.sign()
    note = keeper.notes()[0].note
    witness_key = key_file.read_public(key / keeper.public.name)
    for number in range(15 if "{" in name else 1):
        line = Signature(name.format(number), witness_key.key_hash, bytes(64))
        note = note.with_signature(line)
    keeper.file.write_text(json.dumps({"note": str(note)}) + "\n", "utf-8")
    keeper.cosign(key, own, "--begin")
    assert [len(entry.note.signatures) for entry in keeper.notes(own)] == [2]
    found = keeper.verify(keeper.file, own, witness_key=key / keeper.public.name)
    assert (found.exit_code, "1 of them cosigned" in found.stdout) == (0, True)
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    keeper.cosign(key, own)


def test_a_witness_refuses_a_fork(keeper: Keeper, ledger: Ledger):
    """The key and the database are in one hand: both say the same lie, and the witness does not."""
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.sign()
    keeper.cosign(key, own, "--begin")
    rewritten(keeper, 2)
    write_batch(ledger, keeper.chained.database, 21)
    keeper.file.unlink()
    keeper.copy.unlink()
    keeper.sign()
    assert keeper.verify().exit_code == 0
    refused = keeper.cosign(key, own, code=1)
    assert "REFUSED" in refused.output
    assert "block 7 does not follow the one before it" in refused.output
    assert keeper.verify(own).exit_code == 1
    assert len(keeper.notes(own)) == 1


def test_a_witness_without_a_database_replays_headers_of_a_file(keeper: Keeper, ledger: Ledger):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    headers = keeper.directory / "headers.jsonl"
    keeper.sign()
    wrote = CliRunner().invoke(
        checkpoint, ["headers", "--dsn", keeper.dsn("verifier"), "--out", str(headers)]
    )
    assert (wrote.exit_code, "6 headers" in wrote.output) == (0, True), wrote.output
    keeper.cosign(key, own, "--begin", "--headers", headers)
    write_batch(ledger, keeper.chained.database, 21)
    keeper.sign()
    stale = keeper.cosign(key, own, "--headers", headers, code=1)
    assert "there are headers up to n 6, the checkpoint is at 7" in stale.output
    headers.write_text("[1, 2]\n")
    assert "line 1: it is no header" in keeper.cosign(key, own, "--headers", headers, code=4).output


def test_a_witness_accepts_an_epoch_when_a_person_says_so(keeper: Keeper, ledger: Ledger):
    key, own = keeper.new_key("witness"), keeper.directory / "cosigned.jsonl"
    keeper.chained.tamper(CUT)
    keeper.sign()
    with keeper.chained.restored_afterwards():
        write_batch(ledger, keeper.chained.database, 21)
        keeper.sign()
        keeper.cosign(key, own, "--begin")
    keeper.epoch()
    write_batch(ledger, keeper.chained.database, 25)
    keeper.sign()
    assert "say --accept-epoch 2" in keeper.cosign(key, own, code=1).output
    keeper.cosign(key, own, "--accept-epoch", "2")
    public = key / keeper.public.name
    assert keeper.verify(keeper.file, own, witness_key=public).exit_code == 0


def test_one_process_signs_at_a_time(keeper: Keeper, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("celerytrail.sql.checkpoint.checkpoint_file.LOCK_SECONDS", 0.1)
    keeper.sign()
    with opened(keeper.file, begin=False):
        assert "another process is writing" in keeper.sign(code=4).stderr
    keeper.sign()


def test_an_epoch_that_was_begun_twice_is_a_fault(keeper: Keeper):
    keeper.sign()
    before = keeper.file.read_bytes()
    keeper.epoch()
    one = keeper.file.read_bytes()[len(before) :]
    keeper.file.write_bytes(before)
    keeper.epoch(reason="another story")
    keeper.file.write_bytes(keeper.file.read_bytes() + one)
    said = keeper.verify()
    assert (said.exit_code, "epoch 2 was begun twice" in said.stdout) == (1, True)


def test_a_note_that_goes_back_is_a_fault(keeper: Keeper):
    keeper.sign()
    keeper.sign()
    first, second = keeper.file.read_text().splitlines()
    keeper.file.write_text(f"{second}\n{first}\n")
    said = keeper.verify()
    assert (said.exit_code, "note 2: it goes back" in said.stdout) == (1, True)
    # The same note twice is what a crash between two places leaves.
    keeper.file.write_text(f"{first}\n{second}\n{first}\n")
    assert keeper.verify().exit_code == 0


def test_what_verify_says_in_json(keeper: Keeper):
    keeper.sign()
    keeper.epoch()
    arguments = ["--dsn", keeper.dsn("verifier"), "--checkpoint", str(keeper.file), "--json"]
    found = json.loads(
        CliRunner().invoke(verify, [*arguments, "--pubkey", str(keeper.public)]).stdout
    )
    assert (found["verdict"], found["anchored"]) == ("ok", True)
    notes = found["notes"]
    assert notes["places"] == [{"path": str(keeper.file), "notes": 2, "torn": 0}]
    assert (notes["checkpoints"], notes["cosigned"], notes["bad"]) == (1, None, [])
    (begun,) = notes["epochs"]
    assert (begun["epoch"], begun["by"], begun["reason"]) == (2, "ann", "the disk died")
    assert begun["chains"] == [{"chain": 0, "old_n": 6, "kept_n": 6, "new_n": 6}]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--checkpoint", "a"],
        ["--pubkey", "a"],
        ["--checkpoint", "a", "--pubkey", "b", "--against", "c"],
        ["--checkpoint", "a", "--every", "1"],
        ["--witness-pubkey", "a"],
    ],
)
def test_options_of_verify_that_do_not_go_together(arguments: list[str]):
    assert CliRunner().invoke(verify, ["--dsn", "dbname=x", *arguments]).exit_code == 2


def test_a_public_key_or_a_place_that_is_none(keeper: Keeper):
    keeper.sign()
    missing = keeper.verify(keeper.directory / "missing.jsonl")
    assert (missing.exit_code, "missing.jsonl" in missing.output) == (4, True)
    keeper.public.write_text("ledger+00000000+AAAA\n")
    wrong = keeper.verify()
    assert (wrong.exit_code, str(keeper.public) in wrong.output) == (4, True)
