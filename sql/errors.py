"""What can go wrong between this package and a database."""

from __future__ import annotations


class SqlError(Exception):
    """Base of the errors of celerytrail.sql; the message is meant for the person at the terminal."""


class DatabaseUnreachable(SqlError):
    """The database cannot be reached with this DSN; the message never holds the password."""


class SchemaTooNew(SqlError):
    """The database has migrations that this version of celerytrail does not know."""


class SchemaTooOld(SqlError):
    """Migrations of this version have not been applied to the database yet."""


class MigrationChanged(SqlError):
    """A migration that was applied differs from the file of this version."""


class MigrationFailed(SqlError):
    """A migration could not be applied; nothing of it was kept."""


class UnsuitableServer(SqlError):
    """The server is too old, or the database is not UTF8."""


class TokenError(SqlError):
    """A token cannot be created or revoked as asked."""


class ErasureFailed(SqlError):
    """An erasure stopped; what it had erased is in the chain, and the next run can finish it."""


class RetentionFailed(SqlError):
    """A day could not be dropped; what was announced is finished by the next run."""
