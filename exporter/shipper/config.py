"""The shipper's settings: one object a process, read from the environment once."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.key_files import KeyFileError, read_psk, read_public_key
from celerytrail.exporter.sealed import KEY_BYTES, SealedError, wrap_data_key
from celerytrail.exporter.shipper.data_keys import SealingKeys
from celerytrail.exporter.shipper.errors import ConfigError
from celerytrail.exporter.shipper.flags import flag
from celerytrail.exporter.shipper.otlp_settings import LOGS, TRACES, Endpoint, endpoint_of
from celerytrail.exporter.shipper.payload import DEFAULT_BODY_BYTES, MAX_CONTAINER_BYTES
from celerytrail.exporter.shipper.redaction import Rules
from celerytrail.exporter.shipper.redaction_settings import rules_from_env
from celerytrail.exporter.spool.directory import default_directory
from celerytrail.exporter.spool.errors import SpoolDirectoryError

DEFAULT_DRAIN_SECONDS = 10.0
DEFAULT_REJECTED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShipperConfig:
    """What the shipper was told.

    ``token_file`` is read again when the receiver refuses the token. ``arguments_on_spans`` puts
    redacted args and kwargs on the spans too; they can then not be erased apart from them.
    ``rejected_bytes`` bounds the folder of what was refused.
    """

    spool: Path
    traces: Endpoint
    logs: Endpoint
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    rules: Rules = field(default_factory=Rules)
    sealing: SealingKeys | None = None
    max_body_bytes: int = DEFAULT_BODY_BYTES
    arguments_on_spans: bool = False
    drain_seconds: float = DEFAULT_DRAIN_SECONDS
    rejected_bytes: int = DEFAULT_REJECTED_BYTES

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        spool: Path | None = None,
        endpoint: str | None = None,
    ) -> ShipperConfig:
        """Read the settings; an argument that is given wins over its variable.

        Raises ConfigError naming the variable that is missing, makes no sense or contradicts
        another.
        """
        env = dict(os.environ if environ is None else environ)
        if endpoint:
            env["CELERYTRAIL_ENDPOINT"] = endpoint
        if env.get("CELERYTRAIL_TOKEN") and env.get("CELERYTRAIL_TOKEN_FILE"):
            raise ConfigError(
                "CELERYTRAIL_TOKEN and CELERYTRAIL_TOKEN_FILE are both set: keep one of them"
            )
        token_file = (
            Path(env["CELERYTRAIL_TOKEN_FILE"]) if env.get("CELERYTRAIL_TOKEN_FILE") else None
        )
        token = read_token(token_file) if token_file else _token(env.get("CELERYTRAIL_TOKEN"))
        return cls(
            spool=spool.absolute() if spool else spool_directory(env),
            traces=endpoint_of(TRACES, env),
            logs=endpoint_of(LOGS, env),
            token=token,
            token_file=token_file,
            rules=rules_from_env(env),
            sealing=_sealing(env),
            max_body_bytes=_bytes(
                env,
                "CELERYTRAIL_MAX_BODY_BYTES",
                DEFAULT_BODY_BYTES,
                most=1 << 40,
                cut=MAX_CONTAINER_BYTES,
            ),
            arguments_on_spans=flag(env, "CELERYTRAIL_ARGS_ON_SPANS"),
            drain_seconds=_seconds(env, "CELERYTRAIL_DRAIN_SECONDS", DEFAULT_DRAIN_SECONDS),
            rejected_bytes=_bytes(
                env, "CELERYTRAIL_REJECTED_MAX_BYTES", DEFAULT_REJECTED_BYTES, most=1 << 60
            ),
        )


def read_token(path: Path) -> str:
    """Return the token in a file. Raises ConfigError naming the variable and the file."""
    try:
        token = _token(path.read_text())
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"CELERYTRAIL_TOKEN_FILE={path} cannot be read: {exc}") from exc
    if token is None:
        raise ConfigError(f"CELERYTRAIL_TOKEN_FILE={path} is empty")
    return token


def _token(text: str | None) -> str | None:
    token = (text or "").strip()
    if any(not "!" <= letter <= "~" for letter in token.replace(" ", "")):
        raise ConfigError("CELERYTRAIL_TOKEN has a letter that a header cannot carry")
    return token or None


def spool_directory(env: Mapping[str, str]) -> Path:
    """Return the spool directory that the settings name. Raises ConfigError when they name none."""
    if env.get("CELERYTRAIL_SPOOL_DIR"):
        return Path(env["CELERYTRAIL_SPOOL_DIR"]).expanduser().absolute()
    try:
        return default_directory(Deployment.from_environ(env), env)
    except SpoolDirectoryError as exc:
        raise ConfigError(f"CELERYTRAIL_SPOOL_DIR is not set, and {exc}") from exc


def _sealing(env: Mapping[str, str]) -> SealingKeys | None:
    public, psk = "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE", "CELERYTRAIL_SEAL_PSK_FILE"
    if not env.get(public) and not env.get(psk):
        return None
    if not env.get(public) or not env.get(psk):
        raise ConfigError(f"{public} and {psk} belong together: set both or none")
    ledger_id = env.get("CELERYTRAIL_LEDGER_ID", "").strip()
    if ledger_id:
        try:
            ledger_id = str(uuid.UUID(ledger_id))
        except ValueError as exc:
            raise ConfigError(f"CELERYTRAIL_LEDGER_ID={ledger_id!r} is no uuid") from exc
    try:
        public_key = read_public_key(Path(env[public]))
        # Said now, where somebody looks, and not once for every message that cannot be sealed.
        wrap_data_key(bytes(KEY_BYTES), public_key, ledger_id, "")
    except (KeyFileError, SealedError) as exc:
        raise ConfigError(f"{public}: {exc}") from exc
    try:
        return SealingKeys(public_key, read_psk(Path(env[psk])), ledger_id)
    except KeyFileError as exc:
        raise ConfigError(f"{psk}: {exc}") from exc


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ConfigError(f"{name}={text!r}: give seconds from 0 to 3600")
    return seconds


def _bytes(
    env: Mapping[str, str], name: str, default: int, *, most: int, cut: int | None = None
) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise ConfigError(f"{name}={text!r}: give a number of bytes from 0 to {most}")
    return int(text) if cut is None else min(int(text), cut)
