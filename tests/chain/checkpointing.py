"""The checkpointer's commands on one ledger, with files of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from celerytrail.sql.checkpoint.checkpoint_command import checkpoint
from celerytrail.sql.checkpoint.checkpoint_file import Entry, read_file
from celerytrail.sql.checkpoint.epoch_command import epoch
from celerytrail.sql.checkpoint.key_file import PRIVATE_FILE, PUBLIC_FILE, write_key
from celerytrail.sql.checkpoint.note_keys import new_key
from celerytrail.sql.checkpoint.statement import Checkpoint
from celerytrail.sql.checkpoint.witness_command import witness
from celerytrail.sql.verify_command import verify
from tests.chain.chained_ledger import ChainedLedger
from tests.waiting import wait_until

COMMAND = [sys.executable, "-m", "celerytrail.exporter.cli", "checkpoint"]


@dataclass(frozen=True)
class Keeper:
    """A directory with a key, the checkpoint file, and a second one elsewhere."""

    chained: ChainedLedger
    directory: Path

    @property
    def file(self) -> Path:
        return self.directory / "checkpoints.jsonl"

    @property
    def copy(self) -> Path:
        return self.directory / "elsewhere" / "checkpoints.jsonl"

    @property
    def key(self) -> Path:
        return self.directory / "key" / PRIVATE_FILE

    @property
    def public(self) -> Path:
        return self.directory / "key" / PUBLIC_FILE

    def dsn(self, role: str = "checkpointer") -> str:
        return self.chained.database.dsn(role)

    def new_key(self, name: str) -> Path:
        """Make another key and return its directory."""
        write_key(self.directory / name, new_key(name))
        return self.directory / name

    def arguments(self, *more: str | Path) -> list[str]:
        own = ["--key", self.key, "--file", self.file, "--copy", self.copy]
        return [str(one) for one in (*own, *more)]

    def sign(self, *more: str | Path, code: int = 0) -> Result:
        """Run one round, `--begin` as in a first start, and check how it ended."""
        arguments = ["--dsn", self.dsn(), "--once", "--begin", *self.arguments(*more)]
        result = CliRunner().invoke(checkpoint, arguments)
        assert result.exit_code == code, result.output
        return result

    def verify(self, *places: Path, witness_key: Path | None = None) -> Result:
        arguments = ["--dsn", self.dsn("verifier"), "--pubkey", str(self.public)]
        for place in places or (self.file,):
            arguments += ["--checkpoint", str(place)]
        if witness_key is not None:
            arguments += ["--witness-pubkey", str(witness_key)]
        return CliRunner().invoke(verify, arguments)

    def epoch(self, *more: str, reason: str = "the disk died", code: int = 0) -> Result:
        arguments = ["new", "--dsn", self.dsn(), "--key", str(self.key), "--file", str(self.file)]
        result = CliRunner().invoke(epoch, [*arguments, "--by", "ann", "--reason", reason, *more])
        assert result.exit_code == code, result.output
        return result

    def cosign(self, key: Path, own: Path, *more: str | Path, code: int = 0) -> Result:
        arguments = [
            "--checkpoint",
            self.file,
            "--pubkey",
            self.public,
            "--key",
            key / PRIVATE_FILE,
        ]
        source = [] if "--headers" in more else ["--dsn", self.dsn("verifier")]
        given = [*arguments, "--file", own, *source, *more]
        result = CliRunner().invoke(
            witness, [str(one) for one in given], env={"CELERYTRAIL_DSN": ""}
        )
        assert result.exit_code == code, result.output
        return result

    def notes(self, place: Path | None = None) -> tuple[Entry, ...]:
        return read_file(place or self.file).entries

    def n(self, place: Path | None = None) -> int:
        """The head of chain 0 in the newest note."""
        said = self.notes(place)[-1].statement
        assert isinstance(said, Checkpoint)
        return said.chains[0].n

    def records(self) -> list[dict[str, Any]]:
        """What dashboards are told, in order."""
        return [
            row[0]
            for row in self.chained.database.rows(
                "SELECT to_json(c) FROM celerytrail_views.checkpoints c ORDER BY c.checkpoint_id"
            )
        ]

    @contextmanager
    def daemon(self, *more: str | Path, **environment: str) -> Iterator[Daemon]:
        """The real process, killed in the end if it did not end by itself."""
        out, err = self.directory / "out", self.directory / "err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*COMMAND, *self.arguments(*more)],
                stdout=stdout,
                stderr=stderr,
                env={
                    **os.environ,
                    "CELERYTRAIL_DSN": self.dsn(),
                    **environment,
                    "PYTHONUNBUFFERED": "1",
                },
            )
        try:
            yield Daemon(self, process, out, err)
        finally:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Daemon:
    """A running checkpointer."""

    keeper: Keeper
    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def until_said(self, text: str) -> None:
        """Wait for a line on stderr."""
        wait_until(lambda: text in self.err.read_text(), f"{text!r} on stderr")

    def until_signed(self, n: int, place: Path | None = None) -> None:
        """Wait for a note with that head at a place."""

        def there() -> bool:
            path = place or self.keeper.file
            assert self.process.poll() is None, self.err.read_text()
            return path.exists() and bool(self.keeper.notes(path)) and self.keeper.n(path) >= n

        wait_until(there, f"n {n} signed")


def mutated(path: Path, number: int, old: str, new: str) -> None:
    """Change one note of a checkpoint file, as somebody who may write it can."""
    lines = path.read_text("utf-8").splitlines()
    note = json.loads(lines[number])["note"]
    assert old in note
    lines[number] = json.dumps({"note": note.replace(old, new)})
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
