"""What is checked before the port opens, and how a worker process gets its application."""

from __future__ import annotations

import atexit
from pathlib import Path

from flask import Flask

from celerytrail.exporter.sink.app import create_app
from celerytrail.exporter.sink.config import SinkConfig
from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable
from celerytrail.exporter.sink.ledger import Ledger
from celerytrail.sql.start_check import wrong_guards


def check_database(config: SinkConfig) -> None:
    """Return when the database is reachable, has this version's schema and all of its guards.

    An unreachable one is tried again for ``start_timeout_seconds``. Raises LedgerUnavailable after
    that, unless ``wait_for_database``; LedgerRefused at once for a schema or guards that are wrong.
    """
    wrong = wrong_guards(
        open_ledger(config),
        unavailable=LedgerUnavailable,
        timeout_seconds=config.start_timeout_seconds,
        start_without=config.wait_for_database,
    )
    if wrong:
        raise LedgerRefused(
            "guards of the ledger are not as designed, so nothing is received: " + ", ".join(wrong)
        )


def make_app(config: SinkConfig, verification_status: Path | None = None) -> Flask:
    """Return the application of one worker process, over a connection pool of its own.

    ``verification_status`` is the file of what the verification beside it finds.
    """
    ledger = open_ledger(config)
    atexit.register(ledger.close)
    return create_app(config, ledger, verification_status)


def open_ledger(config: SinkConfig) -> Ledger:
    """Return an open ledger; it connects by itself when it is first used."""
    ledger = Ledger(
        config.dsn,
        max_size=config.connections,
        chains=config.chains,
        timeout_seconds=config.database_timeout_seconds,
    )
    ledger.open()
    return ledger
