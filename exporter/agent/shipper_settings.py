"""What the shipper of this process would be told, as far as a person is shown it: no secret is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.agent.config import AgentConfig

_HEADERS = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
)
_REDACTION = ("CELERYTRAIL_REDACT_KEYS", "CELERYTRAIL_REDACT_PATTERNS", "CELERYTRAIL_REDACT_ARGS")


@dataclass(frozen=True, slots=True)
class ShipperSettings:
    """Where the token is, which key files are named, whether rules of redaction were added.

    ``traces_url`` is where spans go; it may hold a secret and is for asking, not for showing.
    ``token_given`` and ``token_file`` are two ways of one thing; ``headers_given`` says that
    OpenTelemetry's own variables carry an authorization.
    """

    traces_url: str = field(repr=False)
    token_given: bool
    token_file: Path | None
    headers_given: bool
    seal_public_key_file: Path | None
    seal_psk_file: Path | None
    redaction_added: bool
    certificate: Path | None

    @classmethod
    def of(cls, config: AgentConfig, environ: Mapping[str, str] | None = None) -> ShipperSettings:
        """Read what a shipper that ``config``'s process starts would read."""
        env = {**(os.environ if environ is None else environ), **config.from_django}
        of_traces = "" if config.endpoint_given else env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return cls(
            traces_url=of_traces or config.endpoint.rstrip("/") + "/v1/traces",
            token_given=bool(config.token),
            token_file=_path(env, "CELERYTRAIL_TOKEN_FILE"),
            headers_given=any("authorization" in env.get(name, "").lower() for name in _HEADERS),
            seal_public_key_file=_path(env, "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE"),
            seal_psk_file=_path(env, "CELERYTRAIL_SEAL_PSK_FILE"),
            redaction_added=bool(
                config.redaction
                or env.get("CELERYTRAIL_REDACTION")
                or any(env.get(name) for name in _REDACTION)
            ),
            certificate=_path(env, "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE")
            or _path(env, "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        )

    @property
    def token_shown(self) -> str:
        """Return where the token comes from, never what it is."""
        if self.token_given and self.token_file:
            return f"set, and in file {self.token_file}: the shipper refuses both"
        if self.token_given:
            return "set"
        if self.token_file:
            return f"in file {self.token_file}"
        return "in OTEL_EXPORTER_OTLP_HEADERS" if self.headers_given else "not set"

    @property
    def seals(self) -> bool:
        """Tell whether both files of sealing are named."""
        return self.seal_public_key_file is not None and self.seal_psk_file is not None


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None
