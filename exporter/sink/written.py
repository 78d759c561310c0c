"""Who wrote, and what became of what was sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token speaks for: one deployment."""

    principal_id: int
    name: str
    namespace: str
    service: str
    environment: str

    @property
    def deployment(self) -> tuple[str, str, str]:
        """Return namespace, service, environment, as they stand in a row."""
        return (self.namespace, self.service, self.environment)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the rows of one call; the four counts add up to what was sent.

    ``known`` were in the ledger before, ``equivocations`` had the stream and number of another
    event (they are in the quarantine), ``refused`` can never be stored; ``refusals`` says why.
    """

    inserted: int = 0
    known: int = 0
    equivocations: int = 0
    refused: int = 0
    refusals: tuple[str, ...] = ()

    @property
    def sent(self) -> int:
        """Return how many rows are accounted for."""
        return self.inserted + self.known + self.equivocations + self.refused

    def __add__(self, other: Written) -> Written:
        return Written(
            self.inserted + other.inserted,
            self.known + other.known,
            self.equivocations + other.equivocations,
            self.refused + other.refused,
            tuple(dict.fromkeys(self.refusals + other.refusals)),
        )
