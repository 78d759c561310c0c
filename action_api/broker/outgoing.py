"""A task message as it is handed to the broker: the body is bytes and stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message and where it goes. ``exchange`` is empty for the default one, as in AMQP."""

    headers: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str
    content_encoding: str
    exchange: str
    routing_key: str
    priority: int | None
    correlation_id: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the body in hex: what the ledger says of what was sent."""
        return sha256(self.body).hexdigest()
