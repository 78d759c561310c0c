"""The files of a checkpoint key: one line each, the private one for its owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from celerytrail.sql.checkpoint.errors import KeyUnusable
from celerytrail.sql.checkpoint.note_keys import (
    SigningKey,
    VerifierKey,
    parse_signing_key,
    parse_verifier_key,
)
from celerytrail.sql.private_file import create_private, open_to_others

PRIVATE_FILE = "checkpoint-private.key"
PUBLIC_FILE = "checkpoint-public.key"
_MAX_BYTES = 4096


def write_key(directory: Path, key: SigningKey) -> None:
    """Write the two files of a key into a directory, which is made, mode 0700, where there is none.

    Raises KeyUnusable where one of them exists, or somebody else could read or replace them there.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if open_to_others(directory):
            raise KeyUnusable(
                f"{directory} is open to others: chmod 700 it, or name a directory that is not there"
            )
        for name in (PRIVATE_FILE, PUBLIC_FILE):
            if os.path.lexists(directory / name):
                raise KeyUnusable(
                    f"{directory / name} exists: a key that is overwritten signs nothing any more;"
                    " name another directory"
                )
        create_private(directory / PRIVATE_FILE, f"{key.private_text()}\n".encode())
        create_private(directory / PUBLIC_FILE, f"{key.verifier}\n".encode())
    except OSError as error:
        raise KeyUnusable(
            f"the key cannot be written into {directory}: {error.strerror}"
        ) from error


def read_private(path: Path) -> SigningKey:
    """Return the private key in a file. Raises KeyUnusable, also where others may read the file."""
    text, mode = _line(path)
    if mode & 0o027:
        raise KeyUnusable(f"{path} can be read or changed by others: chmod 600 it")
    try:
        return parse_signing_key(text)
    except KeyUnusable as error:
        raise KeyUnusable(f"{path}: {error}") from error


def read_public(path: Path) -> VerifierKey:
    """Return the public key in a file. Raises KeyUnusable."""
    text, _ = _line(path)
    try:
        return parse_verifier_key(text)
    except KeyUnusable as error:
        raise KeyUnusable(f"{path}: {error}") from error


def _line(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            return file.read(_MAX_BYTES).decode("utf-8").strip(), mode
    except OSError as error:
        raise KeyUnusable(f"the key file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KeyUnusable(f"the key file {path} holds no line of text") from error
