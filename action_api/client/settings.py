"""Where the action API is, and the token that is shown to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from celerytrail.action_api.client.errors import SettingsError

DEFAULT_URL = "http://127.0.0.1:8080"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Settings of one call; the token is left out of repr."""

    url: str
    token: str = field(repr=False)
    grafana_url: str = ""
    timeout_seconds: float = 60.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> ClientSettings:
        """Read ``CELERYTRAIL_ACTIONS_URL``, ``CELERYTRAIL_ACTIONS_TOKEN`` or ``.._TOKEN_FILE``.

        ``CELERYTRAIL_GRAFANA_URL`` makes the links that are shown complete. Raises SettingsError.
        """
        url = (environ.get("CELERYTRAIL_ACTIONS_URL") or DEFAULT_URL).rstrip("/")
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or parts.username is not None or parts.query or parts.fragment:
            raise SettingsError(
                "CELERYTRAIL_ACTIONS_URL has to look like https://actions.example:8080"
            )
        return cls(
            url=url,
            token=_token(environ),
            grafana_url=(environ.get("CELERYTRAIL_GRAFANA_URL") or "").rstrip("/"),
        )

    @property
    def in_clear(self) -> bool:
        """Say whether the token travels unencrypted over a network."""
        parts = urlsplit(self.url)
        return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _token(environ: Mapping[str, str]) -> str:
    token = environ.get("CELERYTRAIL_ACTIONS_TOKEN", "").strip()
    file = environ.get("CELERYTRAIL_ACTIONS_TOKEN_FILE")
    if not token and file:
        try:
            token = Path(file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(f"CELERYTRAIL_ACTIONS_TOKEN_FILE {file} cannot be read") from exc
    if not token:
        raise SettingsError(
            "no token: set CELERYTRAIL_ACTIONS_TOKEN, or CELERYTRAIL_ACTIONS_TOKEN_FILE to a file "
            "that holds it (`celerytrail tokens create --for actions` makes one)"
        )
    if not all("!" <= character <= "~" for character in token):
        raise SettingsError("the token of the action API holds blanks or other odd characters")
    return token
