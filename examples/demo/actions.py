"""The buttons of the demo: the maintainer and the action API, and how to press one by hand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from celerytrail.examples.demo.database import DemoDatabase
from celerytrail.examples.demo.parts import CELERYTRAIL, Parts
from celerytrail.examples.demo.recorder import Recorder
from celerytrail.exporter.deployment import Deployment

MAINTAINER, ACTION_API = "maintainer", "action API"
_VERBS = ("retry", "cancel", "terminate", "purge", "retry-chord")


class Actions:
    """Keeps the database in order and lets tasks be sent again, cancelled and purged.

    All secrets are made for this run: keys, a token for scripts, and a file of settings for a
    shell that only this user can read.
    """

    def __init__(
        self,
        parts: Parts,
        database: DemoDatabase,
        recorder: Recorder,
        directory: Path,
        deployment: Deployment,
    ) -> None:
        self._parts = parts
        self._database = database
        self._recorder = recorder
        self._directory = directory
        self._deployment = deployment
        self._shell = directory / "buttons.env"

    @property
    def button(self) -> str:
        """Return the command that sends a task again, but for the task's id."""
        return f". {shlex.quote(str(self._shell))}; celerytrail retry"

    def start(self, broker_url: str, result_backend: str) -> None:
        """Start both. Raises DemoError with the end of a log when one does not start."""
        if self._database.own_server:
            # On a server that was given its roles are somebody else's to keep in order.
            self._parts.start(
                MAINTAINER,
                [*CELERYTRAIL, "maintain"],
                {"CELERYTRAIL_DSN": self._database.role("celerytrail_maintainer")},
            )
        settings = self._directory / "actions.toml"
        _write(settings, self._settings(broker_url, result_backend))
        port_file = self._directory / "action-api.port"
        port_file.unlink(missing_ok=True)
        self._parts.start(
            ACTION_API,
            [
                *CELERYTRAIL, "action-api", "--config", str(settings),
                "--bind", "127.0.0.1:0", "--port-file", str(port_file),
            ],
            {"CELERYTRAIL_DSN": self._database.role("celerytrail_actions")},
            ready=lambda: port_file.exists() and bool(port_file.read_text().strip()),
        )  # fmt: skip
        token = self._token()
        _write(
            self._shell,
            f"export CELERYTRAIL_ACTIONS_URL=http://127.0.0.1:{port_file.read_text().strip()}\n"
            f"export CELERYTRAIL_ACTIONS_TOKEN={token}\n",
        )

    def told(self, grafana_url: str | None, *, docker: bool) -> Iterator[str]:
        """Yield what a person is told: how to press a button, and how to see the dashboards."""
        yield f"to send a task again, while this runs, in another terminal: {self.button} TASK_ID"
        if grafana_url:
            yield (
                f"to see the dashboards in {grafana_url}: provisioning/grafana has them; the data "
                f"source is {self._database.description}, user celerytrail_grafana (docs/install.md)"
            )
        if docker:
            yield (
                "to see the dashboards with an example of their own: docker compose up --build, then "
                "http://127.0.0.1:3000/ (docs/install.md)"
            )

    def _settings(self, broker_url: str, result_backend: str) -> str:
        keys = self._recorder.keys
        values = {
            "namespace": self._deployment.namespace,
            "service": self._deployment.service,
            "environment": self._deployment.environment,
            "broker_url": broker_url,
            "result_backend": result_backend,
            "seal_private_key_files": [str(keys / "seal-private.pem")],
            "seal_psk_file": str(keys / "seal-psk"),
        }
        # A text or a list of texts is the same in JSON and in TOML.
        return "[[deployment]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items())

    def _token(self) -> str:
        made = self._recorder.command(
            "tokens", "create", "--for=actions", "--name=demo", "--expires-in-days=1",
            f"--namespace={self._deployment.namespace}",
            f"--service={self._deployment.service}",
            f"--environment={self._deployment.environment}",
            *(f"--scope={verb}" for verb in _VERBS),
            CELERYTRAIL_DSN=self._database.administrator,
        )  # fmt: skip
        return made.split()[-1]


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
