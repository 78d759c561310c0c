"""Everything the action API can be told, read once: settings of the process and the file of rights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.action_api.actor import Role
from celerytrail.action_api.errors import ConfigError
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.server_settings import (
    SettingError,
    dsn_setting,
    flag_setting,
    integer_setting,
    level_setting,
)

DEFAULT_BIND = "127.0.0.1:8080"
EVERY_DEPLOYMENT = "*"


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """One Celery deployment that may be acted on, and how to reach it.

    ``allow_content`` names the kinds of bodies that may be sent again (``json``, ``pickle``,
    ``yaml``, ``msgpack``). ``allow_plain`` lets a body be sent that was not sealed. ``queues`` are
    those that may be purged; empty means every queue that exists. Addresses are left out of repr:
    they hold passwords.
    """

    deployment: Deployment
    broker_url: str = field(repr=False)
    result_backend: str | None = field(default=None, repr=False)
    task_serializer: str = "json"
    allow_content: frozenset[str] = frozenset({"json"})
    seal_private_key_files: tuple[Path, ...] = ()
    seal_psk_file: Path | None = None
    ledger_id: str = ""
    allow_plain: bool = False
    queues: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Right:
    """What people of one organisation with at least ``role`` may do.

    ``deployment`` is a label, or ``*`` for every deployment of the file.
    """

    role: Role
    deployment: str
    verbs: frozenset[str]

    def covers(self, deployment: Deployment) -> bool:
        """Say whether the right is about this deployment."""
        return self.deployment in (EVERY_DEPLOYMENT, deployment.label)


@dataclass(frozen=True, slots=True)
class GrafanaOrg:
    """One organisation of one Grafana: how to know its people, and what they may do.

    ``issuer`` is Grafana's root_url, as the token's ``iss`` has it, with the slash at its end.
    """

    org_id: int
    issuer: str
    jwks_url: str
    proxy_secret: str = field(repr=False)
    rights: tuple[Right, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is asked and on how long anything is waited for.

    ``broker_seconds`` bounds each wait for a broker or a result backend, ``control_seconds`` the
    wait for replies of workers. ``lease_seconds`` is how long an action may be silent before
    another process takes it for dead. An action on the same thing within ``recent_seconds`` is the
    same action. ``purge_growth_percent`` is by how much a queue may have grown since somebody
    looked, ``purge_most`` how many messages are removed at most in one action, ``chord_most`` how
    many tasks a chord may have that is sent again.
    """

    requests_per_minute_per_actor: int = 60
    refusals_per_minute_per_actor: int = 30
    unauthenticated_refusals_per_minute: int = 30
    max_body_bytes: int = 65_536
    confirmation_seconds: int = 120
    broker_seconds: float = 10.0
    control_seconds: float = 2.0
    lease_seconds: float = 30.0
    recent_seconds: float = 300.0
    purge_growth_percent: float = 10.0
    purge_most: int = 100_000
    chord_most: int = 5_000


@dataclass(frozen=True, slots=True)
class ActionApiConfig:
    """Settings of one process of the action API.

    ``dsn`` is a libpq connection string of the role celerytrail_actions; it is left out of repr.
    """

    dsn: str = field(repr=False)
    deployments: tuple[DeploymentSettings, ...] = ()
    orgs: tuple[GrafanaOrg, ...] = ()
    limits: Limits = field(default_factory=Limits)
    bind: str = DEFAULT_BIND
    workers: int = 1
    threads: int = 16
    connections: int = 8
    database_seconds: float = 5.0
    start_seconds: float = 10.0
    graceful_seconds: int = 30
    wait_for_database: bool = False
    log_level: str = "info"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> ActionApiConfig:
        """Read ``CELERYTRAIL_DSN`` or ``CELERYTRAIL_DSN_FILE`` and ``CELERYTRAIL_ACTIONS_*``.

        ``CELERYTRAIL_ACTIONS_CONFIG`` names the file of deployments and rights. Raises ConfigError
        naming the variable, or file, table and key.
        """
        try:
            return cls._read(environ)
        except SettingError as exc:
            raise ConfigError(str(exc)) from exc

    @classmethod
    def _read(cls, environ: Mapping[str, str]) -> ActionApiConfig:
        from celerytrail.action_api.config_file import read_config_file

        named = environ.get("CELERYTRAIL_ACTIONS_CONFIG")
        if not named:
            raise ConfigError(
                "CELERYTRAIL_ACTIONS_CONFIG has to name the file of deployments and rights"
            )
        content = read_config_file(Path(named))
        return cls(
            dsn=dsn_setting(environ),
            deployments=content.deployments,
            orgs=content.orgs,
            limits=content.limits,
            bind=environ.get("CELERYTRAIL_ACTIONS_BIND") or DEFAULT_BIND,
            workers=integer_setting(environ, "CELERYTRAIL_ACTIONS_WORKERS", 1, 64),
            threads=integer_setting(environ, "CELERYTRAIL_ACTIONS_THREADS", 16, 500),
            connections=integer_setting(environ, "CELERYTRAIL_ACTIONS_CONNECTIONS", 8, 100),
            database_seconds=float(
                integer_setting(environ, "CELERYTRAIL_ACTIONS_DATABASE_SECONDS", 5, 120)
            ),
            start_seconds=float(
                integer_setting(environ, "CELERYTRAIL_ACTIONS_START_SECONDS", 10, 3600)
            ),
            graceful_seconds=integer_setting(
                environ, "CELERYTRAIL_ACTIONS_GRACEFUL_SECONDS", 30, 600
            ),
            wait_for_database=flag_setting(environ, "CELERYTRAIL_ACTIONS_WAIT_FOR_DATABASE"),
            log_level=level_setting(environ, "CELERYTRAIL_ACTIONS_LOG_LEVEL"),
        )

    def settings_of(self, deployment: Deployment) -> DeploymentSettings | None:
        """Return how to reach a deployment, None for one that the file does not name."""
        return next((s for s in self.deployments if s.deployment == deployment), None)
