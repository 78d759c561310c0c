"""What a component that answers requests asks of its database before its port opens."""

from __future__ import annotations

import time
from typing import Protocol

RETRY_SECONDS = 0.5


class CheckedLedger(Protocol):
    """A component's ledger: what raises when it cannot be used, and what is wrong with its guards."""

    def ready(self) -> None:
        """Return when it can be used now."""

    def guards(self) -> list[str]:
        """Return the catalog objects that are not as designed, each named."""

    def close(self) -> None:
        """Close every connection."""


def wrong_guards(
    ledger: CheckedLedger,
    *,
    unavailable: type[Exception],
    timeout_seconds: float,
    start_without: bool,
) -> list[str]:
    """Return the catalog objects that are not as designed, and close the ledger.

    A ledger that raises ``unavailable`` is asked again for ``timeout_seconds``; then that is raised,
    or with ``start_without`` nothing is known to be wrong. What else it raises ends this at once.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        while True:
            try:
                ledger.ready()
                return ledger.guards()
            except unavailable:
                if start_without:
                    return []
                if time.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_SECONDS)
    finally:
        ledger.close()
