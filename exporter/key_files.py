"""The files that hold the keys of sealing: an X25519 pair in PEM, and the seal psk.

The public key and the psk belong to the shipper, the private key and the psk to the action API.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from celerytrail.exporter.sealed import KEY_BYTES, SealingUnavailable
from celerytrail.sql.private_file import create_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

PUBLIC_FILE = "seal-public.pem"
PRIVATE_FILE = "seal-private.pem"
PSK_FILE = "seal-psk"

_MISSING = "sealing needs the package cryptography, 47 or newer: pip install 'celerytrail[seal]'"


class KeyFileError(Exception):
    """A key file cannot be read, written, or does not hold the key it should; no key is quoted."""


def generate(directory: Path) -> bytes:
    """Write a new key pair and psk into a directory, and return the raw public key.

    The files have mode 0600. Raises KeyFileError when one of them exists already or cannot be
    written, SealingUnavailable without ``cryptography``.
    """
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    except ImportError as exc:
        raise SealingUnavailable(_MISSING) from exc
    private = X25519PrivateKey.generate()
    contents = {
        PRIVATE_FILE: private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        PUBLIC_FILE: private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        PSK_FILE: base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n",
    }
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise KeyFileError(f"{directory} cannot be made: {exc.strerror}") from exc
    for name in contents:
        if os.path.lexists(directory / name):
            raise KeyFileError(
                f"{directory / name} exists: a key that is overwritten opens nothing any more; "
                "give another directory"
            )
    for name, content in contents.items():
        _create(directory / name, content)
    return private.public_key().public_bytes_raw()


def read_public_key(path: Path) -> bytes:
    """Return the raw 32 bytes of the X25519 public key in a PEM file.

    Raises KeyFileError when there is none in it, SealingUnavailable without ``cryptography``.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    except ImportError as exc:
        raise SealingUnavailable(_MISSING) from exc
    try:
        key = serialization.load_pem_public_key(_read(path))
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise KeyFileError(f"{path} holds no public key in PEM") from exc
    if not isinstance(key, X25519PublicKey):
        raise KeyFileError(f"{path} holds a public key of another kind than X25519")
    return key.public_bytes_raw()


def read_private_key(path: Path) -> X25519PrivateKey:
    """Return the X25519 private key in a PEM file. Raises as ``read_public_key`` does."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    except ImportError as exc:
        raise SealingUnavailable(_MISSING) from exc
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyFileError(f"{path} holds no unencrypted private key in PEM") from exc
    if not isinstance(key, X25519PrivateKey):
        raise KeyFileError(f"{path} holds a private key of another kind than X25519")
    return key


def read_psk(path: Path) -> bytes:
    """Return the 32 bytes of a psk file, which holds them in base64. Raises KeyFileError."""
    try:
        psk = base64.b64decode(_read(path).strip(), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise KeyFileError(f"{path} holds no base64") from exc
    if len(psk) != KEY_BYTES:
        raise KeyFileError(f"{path} holds {len(psk)} bytes; a seal psk has {KEY_BYTES}")
    return psk


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be read: {exc.strerror}") from exc


def _create(path: Path, content: bytes) -> None:
    try:
        create_private(path, content)
    except OSError as exc:
        raise KeyFileError(f"{path} cannot be written: {exc.strerror}") from exc
