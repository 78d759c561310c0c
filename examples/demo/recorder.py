"""The recorder of the demo: a migrated database, a token, and what runs beside the ledger."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from celerytrail.examples.demo.database import DemoDatabase
from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.demo.parts import CELERYTRAIL, Parts, environment
from celerytrail.examples.embedded.whole_command import run_to_end
from celerytrail.exporter.deployment import Deployment

SINK, SHIPPER, VERIFIER = "sink", "shipper", "verifier"
CHECKPOINTER = "checkpointer"
_SIGN_EVERY_SECONDS = "3"
_VERIFY_EVERY_SECONDS = "5"
_VERIFY_ALL_EVERY_MINUTES = "0.05"
_VERIFY_CLEAN, _VERIFY_BROKEN, _VERIFY_INTERNAL = 0, 1, 3
_DRAIN_SECONDS = "30"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both verifiers found: ``chain`` is ``ok``, ``broken`` or ``unknown``."""

    chain: str
    words: str


class Recorder:
    """Everything between the spool directory and the ledger, started through the ``celerytrail`` command."""

    def __init__(
        self, parts: Parts, database: DemoDatabase, directory: Path, deployment: Deployment
    ) -> None:
        self._parts = parts
        self._database = database
        self._directory = directory
        self._deployment = deployment
        self._endpoint = ""
        self._token = ""
        # Kept outside the database: what a later verification is compared with.
        self._signing = directory / "checkpoint"
        self._checkpoints = directory / "checkpoints.jsonl"
        self.keys = directory / "keys"
        self.spool = directory / "spool"

    def start(self) -> None:
        """Migrate, make keys and a token, and start all that writes the ledger or looks after it."""
        self.command("migrate", CELERYTRAIL_DSN=self._database.administrator)
        if not self.keys.exists():
            self.command("keys", "generate", "--out", str(self.keys))
        made = self.command(
            "tokens",
            "create",
            "--name=demo",
            f"--namespace={self._deployment.namespace}",
            f"--service={self._deployment.service}",
            f"--environment={self._deployment.environment}",
            CELERYTRAIL_DSN=self._database.administrator,
        )
        self._token = made.split()[-1]
        self._start_sink()
        self._start_checkpointer()
        self._parts.start(
            VERIFIER,
            [
                *CELERYTRAIL,
                "verify",
                "--every",
                _VERIFY_EVERY_SECONDS,
                "--full-every",
                _VERIFY_ALL_EVERY_MINUTES,
                *self._signed(),
            ],
            {"CELERYTRAIL_DSN": self._database.role("celerytrail_verifier")},
        )
        self._parts.start(
            SHIPPER, [*CELERYTRAIL, "ship", "--spool", str(self.spool)], self.agent_settings()
        )

    def agent_settings(self) -> Mapping[str, str]:
        """Return the environment of a process that is recorded."""
        return {
            "CELERYTRAIL_SPOOL_DIR": str(self.spool),
            "CELERYTRAIL_ENDPOINT": self._endpoint,
            "CELERYTRAIL_TOKEN": self._token,
            "CELERYTRAIL_NAMESPACE": self._deployment.namespace,
            "CELERYTRAIL_SERVICE": self._deployment.service,
            "CELERYTRAIL_ENVIRONMENT": self._deployment.environment,
            "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": str(self.keys / "seal-public.pem"),
            "CELERYTRAIL_SEAL_PSK_FILE": str(self.keys / "seal-psk"),
            # The demo runs the shipper itself, so that it knows what to stop.
            "CELERYTRAIL_SHIPPER": "off",
            "CELERYTRAIL_DRAIN_SECONDS": _DRAIN_SECONDS,
        }

    def drain(self) -> int:
        """Stop the shipper, which delivers what is left, and return how many segments it left."""
        self._parts.stop(SHIPPER, timeout_seconds=60)
        return len(list(self.spool.glob("*.seg")))

    def verify(self) -> Verdict:
        """Verify the whole ledger, inside the database and outside of it."""
        done = self._run(
            ["verify", "--way", "both", *self._signed()],
            {"CELERYTRAIL_DSN": self._database.role("celerytrail_verifier")},
        )
        chain = {
            _VERIFY_CLEAN: "ok",
            _VERIFY_INTERNAL: "ok",
            _VERIFY_BROKEN: "broken",
        }.get(done.returncode, "unknown")
        return Verdict(chain, (done.stdout or done.stderr).strip())

    def _signed(self) -> list[str]:
        public = self._signing / "checkpoint-public.key"
        return ["--checkpoint", str(self._checkpoints), "--pubkey", str(public)]

    def _start_checkpointer(self) -> None:
        # Both places are on this disk: the demo shows how it goes, the guarantee takes another host.
        if not self._signing.exists():
            self.command(
                "checkpoint", "keys", "generate", "--out", str(self._signing), "--name", "demo.example"
            )  # fmt: skip
        begin = [] if self._checkpoints.exists() else ["--begin"]
        self._parts.start(
            CHECKPOINTER,
            [
                *CELERYTRAIL, "checkpoint", *begin, "--every", _SIGN_EVERY_SECONDS,
                "--key", str(self._signing / "checkpoint-private.key"),
                "--file", str(self._checkpoints),
                "--copy", str(self._directory / "copy-of-checkpoints.jsonl"),
            ],
            {"CELERYTRAIL_DSN": self._database.role("celerytrail_checkpointer")},
            ready=self._checkpoints.exists,
        )  # fmt: skip

    def _start_sink(self) -> None:
        port_file = self._directory / "sink.port"
        port_file.unlink(missing_ok=True)
        self._parts.start(
            SINK,
            [*CELERYTRAIL, "sink", "--bind", "127.0.0.1:0", "--port-file", str(port_file)],
            {"CELERYTRAIL_DSN": self._database.role("celerytrail_sink")},
            ready=lambda: port_file.exists() and bool(port_file.read_text().strip()),
        )
        self._endpoint = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def command(self, *arguments: str, **own_environment: str) -> str:
        """Run one ``celerytrail`` command to its end and return what it printed.

        Raises DemoError with what it said when it fails.
        """
        done = self._run(arguments, own_environment)
        if done.returncode != 0:
            raise DemoError(f"celerytrail {arguments[0]} failed:\n{done.stderr.strip()}")
        return done.stdout

    def _run(
        self, arguments: Sequence[str], own_environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return run_to_end(
            [*CELERYTRAIL, *arguments],
            environment=environment(own_environment),
            directory=self._directory,
            timeout_seconds=600,
        )
