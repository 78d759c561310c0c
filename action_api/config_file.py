"""The TOML file of the action API: which deployments there are, and who may do what on them."""

from __future__ import annotations

import hmac
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celerytrail.action_api.actor import Role
from celerytrail.action_api.config import (
    EVERY_DEPLOYMENT,
    DeploymentSettings,
    GrafanaOrg,
    Limits,
    Right,
)
from celerytrail.action_api.errors import ConfigError
from celerytrail.action_api.toml_table import Table
from celerytrail.action_api.verb_roles import verbs_of
from celerytrail.exporter.deployment import Deployment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MIN_SECRET_CHARACTERS = 16
_ROLES = {"operator": Role.OPERATOR, "admin": Role.ADMIN}


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file says."""

    deployments: tuple[DeploymentSettings, ...]
    orgs: tuple[GrafanaOrg, ...]
    limits: Limits


def read_config_file(path: Path) -> ConfigFile:
    """Read and check the whole file.

    Paths in it are relative to its folder. Raises ConfigError naming file, table and key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ConfigError(f"CELERYTRAIL_ACTIONS_CONFIG {path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(f"{path}: is not TOML: {exc}") from exc
    top = Table(path, "the file", document)
    deployments = [
        _deployment(Table(path, f"[[deployment]] {number}", values))
        for number, values in _tables(top, "deployment")
    ]
    if not deployments:
        raise ConfigError(f"{path}: [[deployment]]: there is none, so nothing could be acted on")
    labels = [settings.deployment.label for settings in deployments]
    for number, label in enumerate(labels, 1):
        if label in labels[: number - 1]:
            raise ConfigError(f"{path}: [[deployment]] {number}: {label} is there already")
    orgs = [
        _org(path, number, values, frozenset(labels)) for number, values in _tables(top, "grafana")
    ]
    _require_distinct(path, orgs)
    limits = _limits(Table(path, "[limits]", top.get("limits") or {}))
    top.finish()
    return ConfigFile(tuple(deployments), tuple(orgs), limits)


def _tables(parent: Table, key: str) -> list[tuple[int, Any]]:
    values = parent.get(key)
    if values is None:
        return []
    if not isinstance(values, list):
        raise parent.wrong(key, f"write [[{key}]], with two brackets: there may be several")
    return list(enumerate(values, 1))


def _deployment(table: Table) -> DeploymentSettings:
    broker_url = _address(table, "broker_url", required=True)
    assert broker_url is not None  # it was required
    settings = DeploymentSettings(
        deployment=Deployment(
            table.text("namespace", ""), table.text("service"), table.text("environment", "")
        ),
        broker_url=broker_url,
        result_backend=_address(table, "result_backend", required=False),
        task_serializer=table.text("task_serializer", "json"),
        allow_content=frozenset(table.texts("allow_content", ("json",))),
        seal_private_key_files=table.paths("seal_private_key_files"),
        seal_psk_file=table.path("seal_psk_file"),
        ledger_id=table.text("ledger_id", ""),
        allow_plain=table.flag("allow_plain", False),
        queues=frozenset(table.texts("queues")),
    )
    if settings.seal_private_key_files and settings.seal_psk_file is None:
        raise table.wrong(
            "seal_psk_file", "has to be given with seal_private_key_files: it shows who sealed"
        )
    table.finish()
    return settings


def _address(table: Table, key: str, *, required: bool) -> str | None:
    """Return a URL as Celery takes it, or several with semicolons between.

    One that cannot be taken apart is refused here: what a transport would say of it later quotes
    the half of a password that it took for the port.
    """
    url = table.secret(key, required=required)
    for one in (url or "").split(";"):
        try:
            urlsplit(one).port  # noqa: B018
        except ValueError:
            raise table.wrong(key, "is not a URL: percent-encode user and password") from None
    return url


def _org(path: Path, number: int, values: Any, labels: frozenset[str]) -> GrafanaOrg:
    table = Table(path, f"[[grafana]] {number}", values)
    secret = table.secret("proxy_secret", required=True)
    assert secret is not None  # it was required
    if len(secret) < MIN_SECRET_CHARACTERS or not all("!" <= c <= "~" and c != "," for c in secret):
        raise table.wrong(
            "proxy_secret",
            f"has to be {MIN_SECRET_CHARACTERS} or more visible ASCII characters without blanks and commas: "
            "`openssl rand -hex 32` makes one",
        )
    org = GrafanaOrg(
        org_id=table.integer("org_id", None, 1, 2**31 - 1),
        issuer=table.text("issuer"),
        jwks_url=_url(table, "jwks_url"),
        proxy_secret=secret,
        rights=tuple(
            _right(Table(path, f"[[grafana]] {number}: [[grafana.right]] {n}", right), labels)
            for n, right in _tables(table, "right")
        ),
    )
    table.finish()
    return org


def _right(table: Table, labels: frozenset[str]) -> Right:
    name = table.text("role")
    if name not in _ROLES:
        raise table.wrong("role", f"has to be operator or admin, not {name!r}")
    role = _ROLES[name]
    deployment = table.text("deployment")
    if deployment != EVERY_DEPLOYMENT and deployment not in labels:
        raise table.wrong(
            "deployment",
            f"{deployment!r} is none of this file: {', '.join(sorted(labels))}, "
            f"or {EVERY_DEPLOYMENT} for all",
        )
    possible = verbs_of(role)
    verbs = frozenset(table.texts("verbs", tuple(possible)))
    if not verbs <= possible:
        raise table.wrong(
            "verbs",
            f"{', '.join(sorted(verbs - possible))}: {name} may do {', '.join(sorted(possible))}",
        )
    table.finish()
    return Right(role, deployment, verbs)


def _url(table: Table, key: str) -> str:
    text = table.text(key)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise table.wrong(key, "is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise table.wrong(key, "has to be a URL that begins with http:// or https://")
    if parts.username is not None or parts.fragment:
        raise table.wrong(key, "must hold no user name and no fragment")
    return text


def _require_distinct(path: Path, orgs: list[GrafanaOrg]) -> None:
    """The secret alone says which organisation speaks, so no two of them may share one."""
    for number, org in enumerate(orgs, 1):
        for earlier, other in enumerate(orgs[: number - 1], 1):
            where = f"{path}: [[grafana]] {number}"
            if hmac.compare_digest(org.proxy_secret, other.proxy_secret):
                raise ConfigError(
                    f"{where}: proxy_secret: is that of [[grafana]] {earlier}: "
                    "every organisation needs its own"
                )
            if org.org_id == other.org_id:
                raise ConfigError(
                    f"{where}: org_id: {org.org_id} is there already: the ledger names people by it; "
                    "give another Grafana an action API of its own"
                )


def _limits(table: Table) -> Limits:
    default = Limits()
    limits = Limits(
        requests_per_minute_per_actor=table.integer(
            "requests_per_minute_per_actor", default.requests_per_minute_per_actor, 1, 100_000
        ),
        refusals_per_minute_per_actor=table.integer(
            "refusals_per_minute_per_actor", default.refusals_per_minute_per_actor, 1, 10_000
        ),
        unauthenticated_refusals_per_minute=table.integer(
            "unauthenticated_refusals_per_minute",
            default.unauthenticated_refusals_per_minute,
            1,
            10_000,
        ),
        max_body_bytes=table.integer("max_body_bytes", default.max_body_bytes, 1024, 2**24),
        confirmation_seconds=table.integer(
            "confirmation_seconds", default.confirmation_seconds, 10, 3600
        ),
        broker_seconds=table.number("broker_seconds", default.broker_seconds, 0.1, 60),
        control_seconds=table.number("control_seconds", default.control_seconds, 0.1, 30),
        lease_seconds=table.number("lease_seconds", default.lease_seconds, 1, 600),
        recent_seconds=table.number("recent_seconds", default.recent_seconds, 1, 86_400),
        purge_growth_percent=table.number(
            "purge_growth_percent", default.purge_growth_percent, 0, 1000
        ),
        purge_most=table.integer("purge_most", default.purge_most, 1, 10_000_000),
        # Its outcome names every task in one row of the ledger, and a row has at most 1 MiB.
        chord_most=table.integer("chord_most", default.chord_most, 1, 5_000),
    )
    table.finish()
    return limits
