"""The agent's settings: one object a process, read from the environment once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celerytrail.exporter.agent.django_settings import django_settings
from celerytrail.exporter.agent.errors import AgentConfigError
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.spool.directory import default_directory
from celerytrail.exporter.spool.errors import SpoolDirectoryError
from celerytrail.exporter.spool.plain import MAX_BYTES

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
DEFAULT_SPOOL_MAX_BYTES = 1024 * 1024 * 1024
DEFAULT_MAX_BODY_BYTES = 256 * 1024
MIN_SPOOL_BYTES = 64 * 1024

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("", "0", "false", "no", "off"))


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What the agent of this process was told.

    ``endpoint``, ``token`` and ``redaction`` are for the shipper it starts; it does not use them.
    ``worker_name`` replaces the node name as ``service.instance.id`` when it is not empty.
    ``endpoint_given`` is false where the endpoint is OpenTelemetry's or the default.
    ``max_body_bytes`` bounds the message body that is kept, ``spool_max_bytes`` all segments.
    ``from_django`` are variables that only Django's settings have: the shipper has to be told.
    """

    deployment: Deployment
    endpoint: str
    token: str | None = field(repr=False)
    spool_dir: Path
    spool_max_bytes: int = DEFAULT_SPOOL_MAX_BYTES
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    worker_name: str = ""
    resource_attributes: str = ""
    capture_result: bool = False
    spawn_shipper: bool = True
    disabled: bool = False
    redaction: Path | None = None
    endpoint_given: bool = False
    from_django: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of_process(cls, **arguments: Any) -> AgentConfig:
        """Read the settings of this process: its environment, and Django's where that has none.

        Takes the arguments of ``from_env``. Raises AgentConfigError as that does.
        """
        found = django_settings(os.environ)
        config = cls.from_env({**os.environ, **found}, **arguments)
        return replace(config, from_django=found)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        endpoint: str | None = None,
        token: str | None = None,
        service: str | None = None,
        namespace: str | None = None,
        environment: str | None = None,
        worker_name: str | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        redaction: str | os.PathLike[str] | None = None,
    ) -> AgentConfig:
        """Read the settings from ``environ`` (the process's own by default).

        An argument that is not None wins over the environment. Raises AgentConfigError naming the
        variable whose value makes no sense.
        """
        env = os.environ if environ is None else environ
        found = Deployment.from_environ(env)
        deployment = replace(
            found,
            service=found.service if service is None else service,
            namespace=found.namespace if namespace is None else namespace,
            environment=found.environment if environment is None else environment,
        )
        return cls(
            deployment=deployment,
            endpoint=endpoint
            or env.get("CELERYTRAIL_ENDPOINT")
            or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            or env.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            or DEFAULT_ENDPOINT,
            token=token or env.get("CELERYTRAIL_TOKEN") or None,
            spool_dir=_spool_dir(spool_dir or env.get("CELERYTRAIL_SPOOL_DIR"), deployment, env),
            spool_max_bytes=_number(
                env,
                "CELERYTRAIL_SPOOL_MAX_BYTES",
                DEFAULT_SPOOL_MAX_BYTES,
                at_least=MIN_SPOOL_BYTES,
                at_most=1 << 60,
            ),
            max_body_bytes=_number(
                env,
                "CELERYTRAIL_MAX_BODY_BYTES",
                DEFAULT_MAX_BODY_BYTES,
                at_least=0,
                at_most=MAX_BYTES,
            ),
            worker_name=worker_name or env.get("CELERYTRAIL_WORKER_NAME", ""),
            resource_attributes=env.get("OTEL_RESOURCE_ATTRIBUTES", ""),
            capture_result=_flag(env, "CELERYTRAIL_CAPTURE_RESULT"),
            spawn_shipper=_choice(env, "CELERYTRAIL_SHIPPER", ("spawn", "off")) == "spawn",
            disabled=_flag(env, "CELERYTRAIL_DISABLED"),
            redaction=_path(redaction),
            endpoint_given=bool(endpoint or env.get("CELERYTRAIL_ENDPOINT")),
        )

    @property
    def shown_endpoint(self) -> str:
        """Return scheme, host and port of the endpoint: the rest of a URL may hold a secret."""
        try:
            parts = urlsplit(self.endpoint)
            port = f":{parts.port}" if parts.port else ""
        except ValueError:
            return "(not a URL)"
        return f"{parts.scheme}://{parts.hostname or ''}{port}"


def _spool_dir(
    given: str | os.PathLike[str] | None, deployment: Deployment, env: Mapping[str, str]
) -> Path:
    # Absolute at once: a daemon changes its working directory later.
    if given:
        return Path(given).expanduser().absolute()
    try:
        return default_directory(deployment, env)
    except SpoolDirectoryError as exc:
        raise AgentConfigError(str(exc)) from exc


def _path(given: str | os.PathLike[str] | None) -> Path | None:
    return Path(given).expanduser().absolute() if given else None


def _number(env: Mapping[str, str], name: str, default: int, *, at_least: int, at_most: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not at_least <= int(text) <= at_most:
        raise AgentConfigError(
            f"{name}={text!r}: give a number of bytes from {at_least} to {at_most}"
        )
    return int(text)


def _flag(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name, "").strip().lower()
    if text not in _TRUE | _FALSE:
        raise AgentConfigError(f"{name}={text!r}: give 1 or 0")
    return text in _TRUE


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, "").strip().lower() or choices[0]
    if text not in choices:
        raise AgentConfigError(f"{name}={text!r}: give one of {', '.join(choices)}")
    return text
