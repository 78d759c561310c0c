"""The keys that open the message bodies of one deployment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import Unavailable
from celerytrail.exporter.key_files import KeyFileError, read_private_key, read_psk
from celerytrail.exporter.sealed import SealedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey


@dataclass(frozen=True, slots=True)
class Keyring:
    """Private keys, newest and older ones, and the secret that shows who sealed."""

    private_keys: tuple[X25519PrivateKey, ...] = field(default=(), repr=False)
    psk: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: DeploymentSettings) -> Keyring:
        """Read the key files of a deployment; empty where it names none.

        Raises Unavailable naming the file that cannot be used.
        """
        try:
            return cls(
                tuple(read_private_key(path) for path in settings.seal_private_key_files),
                None if settings.seal_psk_file is None else read_psk(settings.seal_psk_file),
            )
        except (KeyFileError, SealedError) as exc:
            raise Unavailable(
                f"the seal keys of {settings.deployment.label} cannot be used: {exc}",
                code="keys_unusable",
            ) from exc
