"""Says what an error of the database means for a batch: try again, wait, refuse the row, or stop."""

from __future__ import annotations

import re
from enum import Enum

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from celerytrail.exporter.sink.errors import (
    LedgerRefused,
    LedgerUnavailable,
    SinkError,
    TokenRefused,
)


class Fault(Enum):
    """What to do about an error."""

    AGAIN = "the same transaction may succeed at once"
    THERE = "a row is in its table already: the same again without those that are"
    PARTITION = "a day has no partition: make it, then the same again"
    ROW = "a row of the batch can never be stored"
    FATAL = "the batch cannot be stored now"


_TOKEN = frozenset({"CT001"})
_AGAIN = (errors.SerializationFailure, errors.DeadlockDetected)
_ROW = (
    psycopg.DataError,
    errors.NotNullViolation,
    errors.ProgramLimitExceeded,
)
_DESIGN = (psycopg.ProgrammingError, psycopg.IntegrityError)
_OWN_CHECKS = re.compile(r"(spans|payloads)_(seq|day|text|[0-9]{8}_time)")


def fault_of(exc: BaseException) -> Fault:
    """Return what to do about an error that a batch ended in."""
    if isinstance(exc, _AGAIN):
        return Fault.AGAIN
    if isinstance(exc, errors.UniqueViolation):
        return Fault.THERE
    if isinstance(exc, errors.CheckViolation):
        constraint = exc.diag.constraint_name
        if constraint is None:
            return Fault.PARTITION
        # A constraint that somebody added is no reason to give up rows.
        return Fault.ROW if _OWN_CHECKS.fullmatch(constraint) else Fault.FATAL
    if isinstance(exc, _ROW):
        return Fault.ROW
    # What psycopg raises while it turns a value into bytes, before anything is sent.
    if isinstance(exc, (ValueError, TypeError, OverflowError, AttributeError)):
        return Fault.ROW
    return Fault.FATAL


def translated(exc: Exception) -> SinkError:
    """Return the sink's own error for one of psycopg or its pool."""
    if isinstance(exc, (PoolTimeout, PoolClosed, TooManyRequests)):
        return LedgerUnavailable(f"no connection to the database: {exc}")
    if not isinstance(exc, psycopg.Error):
        return LedgerUnavailable(f"unexpected {type(exc).__name__} while writing to the database")
    said = _first_line(exc)
    if exc.sqlstate in _TOKEN:
        return TokenRefused("the token is unknown, revoked or expired")
    if exc.sqlstate is not None and exc.sqlstate.startswith("CT"):
        return LedgerRefused(f"the ledger refused the batch: {said}")
    if isinstance(exc, _DESIGN):
        return LedgerRefused(
            f"the ledger is not as designed, so nothing was stored: {said}. "
            "Run `celerytrail migrate --check`, and look at what the guards name."
        )
    return LedgerUnavailable(f"the database cannot be written to now: {said}")


def _first_line(exc: psycopg.Error) -> str:
    # Not the detail: it quotes values of the row.
    text = exc.diag.message_primary or str(exc)
    return text.strip().split("\n")[0]
