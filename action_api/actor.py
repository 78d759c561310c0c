"""Who asks for an action, and what the proofs say about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What somebody may do at most; the lower of two roles is the smaller number."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who was recognised.

    ``kind`` is ``grafana`` or ``token``. ``name`` is the login in Grafana or the name of the token,
    ``subject`` Grafana's ``user:<uid>`` or the token's id, ``org_id`` Grafana's organisation.
    ``deployment`` (a label) and ``scopes`` (names of verbs) bound a token; both are None for a
    person, whose rights come from organisation and role.
    """

    kind: str
    name: str
    subject: str
    role: Role
    org_id: int | None = None
    deployment: str | None = None
    scopes: frozenset[str] | None = None

    @property
    def label(self) -> str:
        """Return the actor as the ledger names it: ``grafana:1:alice`` or ``token:nightly``."""
        if self.kind == "grafana":
            return f"grafana:{self.org_id}:{self.name}"
        return f"{self.kind}:{self.name}"
