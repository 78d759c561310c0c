"""The whole product around one broker: pipeline, action API, and a Grafana that stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celerytrail.examples.embedded.valkey import EmbeddedValkey
from tests.acceptance.pipeline import CELERYTRAIL, Pipeline, Program
from tests.grafana.button import Click, actions_of, click
from tests.grafana.data_source import DataSource, dashboard
from tests.grafana.plugin_proxy import Answer, GrafanaStandIn, User
from tests.waiting import wait_until

PLUGIN = (
    Path(__file__).parents[2] / "provisioning" / "grafana" / "plugins" / "celerytrail-app" / "dist"
)
ADMIN = User("ada", "Admin", user_id=2)
EDITOR = User("edgar", "Editor", user_id=3)
VIEWER = User("vera", "Viewer", user_id=4)
STRANGER = User("stan", "Editor", org_id=2, user_id=5)
ANONYMOUS = User("nobody", "Editor", user_id=6, anonymous=True)
ROBOT = User("robot", "Admin", user_id=7, kind="service-account")
SECRETS = {1: {"proxySecret": "secret-of-org-one-0123456789abcdef"},
           2: {"proxySecret": "secret-of-org-two-0123456789abcdef"}}  # fmt: skip
CONFIG = """
[[deployment]]
namespace = "shop"
service = "orders"
environment = "test"
broker_url = {broker}
result_backend = {backend}
{sealing}

[[deployment]]
namespace = "shop"
service = "elsewhere"
environment = "test"
broker_url = {broker}
{more}

[[grafana]]
org_id = 1
issuer = {issuer}
jwks_url = {jwks}
proxy_secret = {one}

[[grafana.right]]
role = "admin"
deployment = "*"

[[grafana.right]]
role = "operator"
deployment = "shop/orders/test"

[[grafana]]
org_id = 2
issuer = {issuer}
jwks_url = {jwks}
proxy_secret = {two}

[[grafana.right]]
role = "operator"
deployment = "shop/elsewhere/test"
"""


@dataclass(slots=True)
class ControlRoom:
    """Everything a person at Grafana works with, for the deployment ``shop/orders/test``."""

    pipeline: Pipeline
    valkey: EmbeddedValkey
    grafana: GrafanaStandIn
    config: Path
    apis: list[Program] = field(default_factory=list)

    @property
    def data(self) -> DataSource:
        return DataSource(self.pipeline.dsn("celerytrail_grafana"))

    @property
    def broken(self) -> Path:
        """The file that makes tasks of ``controlled.py`` fail while it exists."""
        return self.pipeline.directory / "broken"

    def start_api(self, **environ: str) -> int:
        """Start one replica of the action API and return its port; Grafana's proxy goes there."""
        port_file = self.pipeline.directory / f"api-{len(self.apis)}.port"
        api = self.pipeline.start(
            "api",
            [CELERYTRAIL, "action-api", "--bind", "127.0.0.1:0", "--port-file", str(port_file)],
            self.pipeline.environ(
                CELERYTRAIL_DSN=self.pipeline.dsn("celerytrail_actions"),
                CELERYTRAIL_ACTIONS_CONFIG=str(self.config),
                **environ,
            ),
        )
        self.apis.append(api)
        wait_until(
            lambda: (port_file.exists() and port_file.read_text().strip()) or not api.alive(),
            "the action API listens",
        )
        assert api.alive(), api.tail()
        port = int(port_file.read_text())
        self.grafana.upstreams["action-api:8080"] = ("127.0.0.1", port)
        return port

    def start_worker(self, *arguments: str, queues: str = "celery") -> Program:
        """Start a worker of ``controlled.py`` that has the agent in it."""
        name = f"controlled{len(self.pipeline.programs)}"
        worker = self.pipeline.start(
            name,
            [
                self.pipeline.python, "-m", "celery", "-A", "controlled", "worker",
                "--loglevel", "INFO", "-n", f"{name}@%h", "--concurrency", "2", "-Q", queues,
                *arguments,
            ],
            self.pipeline.environ(BROKEN_WHILE=str(self.broken)),
        )  # fmt: skip
        wait_until(lambda: worker.said("ready.") or not worker.alive(), "the worker is ready")
        assert worker.alive(), worker.tail()
        return worker

    def publish(self, *arguments: str) -> dict[str, Any]:
        """Publish by ``publish_controlled.py`` and return the one line it prints."""
        (line,) = self.pipeline.run(
            "publish_controlled.py", *arguments, BROKEN_WHILE=str(self.broken)
        )
        return line

    def row(
        self, uid: str, title: str, values: Mapping[str, Any], **wanted: object
    ) -> dict[str, Any]:
        """Wait for the row of a panel that has these values, and return it."""

        def find() -> dict[str, Any] | None:
            rows = self.data.panel(uid, title, values)
            return next(
                (row for row in rows if all(row[name] == value for name, value in wanted.items())),
                None,
            )

        try:
            return wait_until(find, f"{wanted} in panel {title!r} of {uid}")
        except AssertionError as error:
            there = self.data.panel(uid, title, values)
            tasks = self.pipeline.rows(
                "SELECT task_id, task_name, state, queue FROM celerytrail_views.tasks"
            )
            raise AssertionError(f"{error}; there is {there}; tasks: {tasks[:30]}") from None

    def button(
        self,
        uid: str,
        name: str,
        row: Mapping[str, Any],
        variables: Mapping[str, str] | None = None,
        reason: str | None = None,
    ) -> Click:
        """Return the click on the button of that name, filled in as Grafana does."""
        found = [action for _, action in actions_of(dashboard(uid)) if action["title"] == name]
        assert found, (
            f"no button {name!r} in {uid}: {[a['title'] for _, a in actions_of(dashboard(uid))]}"
        )
        return click(
            found[0],
            row,
            variables=variables,
            answers=None if reason is None else {"reason": reason},
        )

    def press(self, user: User, button: Click) -> Answer:
        """Send the click with the session of somebody."""
        return self.grafana.send(user, button.method, button.path, button.headers, button.body)

    def actions(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the rows of the ledger about actions, oldest first."""
        rows = self.pipeline.rows("SELECT * FROM celerytrail_views.actions ORDER BY action_time")
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


@contextmanager
def control_room(
    pipeline: Pipeline, valkey: EmbeddedValkey, *, sealed: bool = True, more: str = ""
) -> Iterator[ControlRoom]:
    """Put a Grafana and one action API beside a pipeline; with ``sealed`` bodies are kept sealed."""
    sealing = "allow_plain = true"
    if sealed:
        keys = pipeline.directory / "keys"
        made = pipeline.command("keys", "generate", "--out", str(keys))
        assert made.returncode == 0, made.stderr
        pipeline.shipper_settings.update(
            CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(keys / "seal-public.pem"),
            CELERYTRAIL_SEAL_PSK_FILE=str(keys / "seal-psk"),
        )
        sealing = (
            f"seal_private_key_files = [{_toml(keys / 'seal-private.pem')}]\n"
            f"seal_psk_file = {_toml(keys / 'seal-psk')}"
        )
    users = (ADMIN, EDITOR, VIEWER, STRANGER, ANONYMOUS, ROBOT)
    config = pipeline.directory / "actions.toml"
    with GrafanaStandIn(
        PLUGIN, upstreams={"action-api:8080": ("127.0.0.1", 1)}, secrets=SECRETS, users=users
    ) as grafana:
        config.write_text(
            CONFIG.format(
                broker=_toml(pipeline.broker_url),
                backend=_toml(pipeline.result_url or pipeline.broker_url),
                sealing=sealing,
                more=more,
                issuer=_toml(grafana.url),
                jwks=_toml(grafana.jwks_url),
                one=_toml(SECRETS[1]["proxySecret"]),
                two=_toml(SECRETS[2]["proxySecret"]),
            )
        )
        config.chmod(0o600)
        room = ControlRoom(pipeline, valkey, grafana, config)
        try:
            room.start_api()
            yield room
        finally:
            for api in room.apis:
                if api.alive():
                    api.stop()


def _toml(value: object) -> str:
    return json.dumps(str(value))
