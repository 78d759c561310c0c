"""The verbs there are, and the role each of them asks for at least."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from celerytrail.action_api.actor import Role

MINIMUM_ROLE: Mapping[str, Role] = MappingProxyType(
    {
        "retry": Role.OPERATOR,
        "cancel": Role.OPERATOR,
        "terminate": Role.OPERATOR,
        "retry-chord": Role.OPERATOR,
        "purge": Role.ADMIN,
    }
)
"""Verb by name; whatever a configuration or a token says, nobody below this role may do it."""


def verbs_of(role: Role) -> frozenset[str]:
    """Return the verbs that a role may do where nothing bounds it further."""
    return frozenset(verb for verb, least in MINIMUM_ROLE.items() if least <= role)
