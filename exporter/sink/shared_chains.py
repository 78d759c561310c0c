"""Which connection of a pool writes to which chain of the ledger."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import psycopg


class SharedChains:
    """Shares chains out evenly among connections; each keeps its own for as long as it lives.

    A writer that has a chain to itself waits for nobody's COMMIT. Safe to use from several threads.
    """

    def __init__(self, chains: Sequence[int]) -> None:
        # Processes of one sink know nothing of each other, and must not all begin with the same chain.
        self._chains = random.sample(chains, len(chains))
        self._lock = threading.Lock()
        self._of: WeakKeyDictionary[psycopg.Connection[Any], int] = WeakKeyDictionary()

    def of(self, connection: psycopg.Connection[Any]) -> int:
        """Return the chain of a connection, for a new one that which the fewest others have."""
        with self._lock:
            chain = self._of.get(connection)
            if chain is None:
                taken = [held for other, held in self._of.items() if not other.closed]
                chain = min(self._chains, key=taken.count)
                self._of[connection] = chain
            return chain
