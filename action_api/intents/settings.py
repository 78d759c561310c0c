"""How long intents are held, waited for and remembered."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from uuid import uuid4


def new_holder() -> str:
    """Return a name for this process among all that may hold leases: host, pid and a random part."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class IntentSettings:
    """Bounds of intents, in seconds; ``holder`` names this process in leases.

    ``lease_seconds``: after so long without a sign of life another process may look what became of
    an action. ``recent_seconds``: the same action on the same thing within so long is the same
    action. ``wait_seconds``: how long a double click waits for the first click's outcome.
    ``grace_seconds``: how long after its lease an action is looked for before it is marked
    ``unknown``; events of a worker take their time. ``sweep_seconds``: pause between two looks.
    """

    holder: str = field(default_factory=new_holder)
    lease_seconds: float = 30.0
    recent_seconds: float = 300.0
    wait_seconds: float = 5.0
    grace_seconds: float = 120.0
    sweep_seconds: float = 10.0
