"""What one run of the demo comes down to: were all tasks stored, is nothing missing, is the chain whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

OK = "ok"


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one run. ``tasks_sent`` is what the workload wrote down, not what we stored."""

    tasks_sent: int
    tasks_stored: int
    spans_stored: int
    events_missing: int
    chain: str
    blocks: int
    seconds: float

    def as_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self))

    def complaints(self) -> Sequence[str]:
        """Return what is wrong, in words; nothing when all is well."""
        found = []
        if self.tasks_stored != self.tasks_sent:
            found.append(f"{self.tasks_sent - self.tasks_stored} tasks are not in the ledger")
        if self.events_missing:
            found.append(f"{self.events_missing} events are missing")
        if self.chain != OK:
            found.append(f"the chain is {self.chain}")
        return found
