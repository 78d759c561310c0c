"""Gives each role of the ledger that logs in a password from a file, made here where there is none."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg

from celerytrail.sql.connection import connect
from celerytrail.sql.errors import SqlError
from celerytrail.sql.migrate import require_schema
from celerytrail.sql.named_queries import queries

SUFFIX = ".password"
GENERATED_BYTES = 24


class PasswordsNotSet(SqlError):
    """The passwords could not be set; those of before still hold."""


@dataclass(frozen=True, slots=True)
class PasswordSet:
    """One role whose password is now what its file says; ``made`` says that the file is new."""

    role: str
    path: Path
    made: bool


def set_role_passwords(dsn: str, directory: Path) -> list[PasswordSet]:
    """Set the password of every login role to the first line of ``directory/<role>.password``.

    A file that is not there is made, mode 0600, with 192 random bits. Each verifier (SCRAM-SHA-256,
    RFC 5803) is remembered in the database, so that the maintainer can restore it; the server
    never sees a password. Needs a role that may change these roles, as ``celerytrail migrate``
    does. Raises PasswordsNotSet, DatabaseUnreachable, SchemaTooNew, SchemaTooOld.
    """
    statements = queries("maintain")
    with connect(dsn, application_name="celerytrail maintain", autocommit=True) as connection:
        require_schema(connection)
        try:
            roles = [str(row[0]) for row in connection.execute(statements["login_roles"])]
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            sources = [(role, *_password(directory / f"{role}{SUFFIX}")) for role in roles]
            with connection.transaction():
                for role, password, _ in sources:
                    verifier = connection.pgconn.encrypt_password(
                        password.encode(), role.encode(), b"scram-sha-256"
                    )
                    connection.execute(
                        statements["set_role_password"],
                        {"role_name": role, "verifier": verifier.decode()},
                    )
        except OSError as exc:
            raise PasswordsNotSet(
                f"cannot read or make the password files in {directory}: {exc.strerror}"
            ) from exc
        except psycopg.Error as exc:
            raise PasswordsNotSet(
                f"{str(exc).strip()}. Setting passwords needs the role that ran "
                "`celerytrail migrate`, or a superuser."
            ) from exc
    return [PasswordSet(role, directory / f"{role}{SUFFIX}", made) for role, _, made in sources]


def _password(path: Path) -> tuple[str, bool]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        password = path.read_text("utf-8").partition("\n")[0].strip()
        if not password:
            raise PasswordsNotSet(
                f"{path} is empty: write a password into it, or remove it and one will be made"
            ) from None
        return password, False
    with open(descriptor, "w", encoding="utf-8") as file:
        password = secrets.token_urlsafe(GENERATED_BYTES)
        file.write(password + "\n")
    return password, True
