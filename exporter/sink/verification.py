"""The verification that runs beside a sink: how it is started, what it says, how it ends.

A keeper process (``verification_keeper``) starts `celerytrail verify --every` with the verifier's own
role, starts it again when it dies, and writes what it found into a file. Every worker process of the
sink reads that file when its metrics are asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.server_settings import (
    SettingError,
    dsn_setting,
    integer_setting,
)
from celerytrail.exporter.sink.errors import SinkError

DSN = "CELERYTRAIL_VERIFY_DSN"
STOP_SECONDS = 20.0
_HEADS = "CELERYTRAIL_VERIFY_HEADS"
_CHECKPOINT = "CELERYTRAIL_VERIFY_CHECKPOINT"
_PUBKEY = "CELERYTRAIL_VERIFY_PUBKEY"
_WITNESS_PUBKEY = "CELERYTRAIL_VERIFY_WITNESS_PUBKEY"


@dataclass(frozen=True, slots=True)
class VerificationConfig:
    """What to verify with. ``dsn`` is of the role celerytrail_verifier; it is left out of repr.

    ``heads`` is the file of the heads that were found good, compared with again after a restart.
    ``checkpoints`` are the files or directories of signed checkpoints that are compared with each time,
    ``public_key`` is the file of the key that signed them, ``witness_key`` of one that has to have cosigned.
    """

    dsn: str = field(repr=False)
    every_seconds: int = 10
    full_minutes: int = 1440
    heads: Path | None = None
    checkpoints: tuple[Path, ...] = ()
    public_key: Path | None = None
    witness_key: Path | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> VerificationConfig | None:
        """Read the settings; None where no DSN is set, so that nothing is verified.

        The DSN is in ``CELERYTRAIL_VERIFY_DSN``, or in the file that ``CELERYTRAIL_VERIFY_DSN_FILE``
        names. Raises SettingError naming the variable.
        """
        if not environ.get(DSN) and not environ.get(f"{DSN}_FILE"):
            for name in (_HEADS, _CHECKPOINT, _PUBKEY, _WITNESS_PUBKEY):
                if environ.get(name):
                    raise SettingError(
                        f"{name} is set and {DSN} is not: set the DSN of the role"
                        " celerytrail_verifier too"
                    )
            return None
        checkpoints = [one for one in environ.get(_CHECKPOINT, "").split(os.pathsep) if one]
        public_key, witness_key = environ.get(_PUBKEY), environ.get(_WITNESS_PUBKEY)
        if bool(checkpoints) != bool(public_key):
            missing, given = (_PUBKEY, _CHECKPOINT) if checkpoints else (_CHECKPOINT, _PUBKEY)
            raise SettingError(f"{given} is set and {missing} is not: they go together")
        if witness_key and not checkpoints:
            raise SettingError(f"{_WITNESS_PUBKEY} is set and {_CHECKPOINT} is not: set it too")
        heads = environ.get(_HEADS)
        return cls(
            dsn=dsn_setting(environ, DSN),
            every_seconds=integer_setting(environ, "CELERYTRAIL_VERIFY_SECONDS", 10, 86_400),
            full_minutes=integer_setting(environ, "CELERYTRAIL_VERIFY_FULL_MINUTES", 1440, 525_600),
            heads=Path(heads) if heads else None,
            checkpoints=tuple(map(Path, checkpoints)),
            public_key=Path(public_key) if public_key else None,
            witness_key=Path(witness_key) if witness_key else None,
        )

    @property
    def checkpoint_options(self) -> list[str]:
        """Return the options of `celerytrail verify` that say what is compared with."""
        options = [word for path in self.checkpoints for word in ("--checkpoint", str(path))]
        if self.public_key is not None:
            options += ["--pubkey", str(self.public_key)]
        if self.witness_key is not None:
            options += ["--witness-pubkey", str(self.witness_key)]
        return options


@dataclass(frozen=True, slots=True)
class VerificationStatus:
    """What the verification beside this sink found last.

    ``at`` is when its last run ended, before the first one when it was started (Unix time).
    ``verified`` maps a chain to the last n that was found good. ``broken`` stays until a full run
    finds the ledger in order. ``anchored`` says that the last run compared every chain with a
    checkpoint, or a head kept outside; it is None before the first.
    """

    at: float
    broken: bool
    anchored: bool | None
    verified: Mapping[int, int]


def read_status(path: Path) -> VerificationStatus | None:
    """Return what the keeper wrote, None where it wrote nothing yet."""
    try:
        found = json.loads(path.read_text("utf-8"))
        verified = {int(chain): int(n) for chain, n in found["verified"].items()}
        anchored = found["anchored"]
        return VerificationStatus(
            float(found["at"]),
            bool(found["broken"]),
            None if anchored is None else bool(anchored),
            verified,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


class VerificationProcess:
    """A keeper and what it keeps, as a child of the sink; ends with it, whatever ends it."""

    def __init__(self, config: VerificationConfig) -> None:
        self._config = config
        self._directory = Path(tempfile.mkdtemp(prefix="celerytrail-verification-"))
        self._keeper: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    @property
    def status_file(self) -> Path:
        """Return the file with what was found last."""
        return self._directory / "status.json"

    def start(self) -> None:
        """Start the keeper. Raises SinkError where no process can be started."""
        config = self._config
        arguments = [str(config.every_seconds), str(config.full_minutes), str(config.heads or "")]
        arguments += config.checkpoint_options
        environ = {**os.environ, "CELERYTRAIL_DSN": config.dsn}
        for name in ("CELERYTRAIL_DSN_FILE", DSN, f"{DSN}_FILE"):
            environ.pop(name, None)
        module = "celerytrail.exporter.sink.verification_keeper"
        try:
            self._keeper = subprocess.Popen(
                [sys.executable, "-m", module, str(self.status_file), *arguments],
                # The end of this pipe is what ends the keeper.
                stdin=subprocess.PIPE,
                env=environ,
                # A Ctrl-C is for the sink, which then ends it.
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise SinkError(f"the verification cannot be started: {error.strerror}") from error

    def leave_to_parent(self) -> None:
        """Let go of the keeper in a forked process, so that it ends with the one that started it."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """End the keeper and what it keeps, by force after a while; nothing in a forked process."""
        if os.getpid() != self._owner:
            return
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            assert keeper.stdin is not None  # it was opened with a pipe
            with suppress(OSError):
                keeper.stdin.close()
            try:
                keeper.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        shutil.rmtree(self._directory, ignore_errors=True)
