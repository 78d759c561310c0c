"""All verbs by name: to add one, write its module and add its row here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from celerytrail.action_api.action import Verb
from celerytrail.action_api.broker.brokers import Brokers
from celerytrail.action_api.intents.sweep import Recovers
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.verbs.cancel import Cancel
from celerytrail.action_api.verbs.purge import Purge
from celerytrail.action_api.verbs.retry import Retry
from celerytrail.action_api.verbs.retry_chord import RetryChord
from celerytrail.action_api.verbs.settings import VerbSettings
from celerytrail.action_api.verbs.terminate import Terminate


class RecoveringVerb(Verb, Recovers, Protocol):
    """A verb that can also say what became of an action whose process died."""


class VerbClass(Protocol):
    """How a verb is made."""

    name: str

    def __call__(self, ledger: Ledger, brokers: Brokers, settings: VerbSettings) -> RecoveringVerb:
        """Return the verb."""


VERBS: Mapping[str, VerbClass] = MappingProxyType(
    {verb.name: verb for verb in (Retry, Cancel, Terminate, Purge, RetryChord)}
)


def make_verbs(
    ledger: Ledger, brokers: Brokers, settings: VerbSettings
) -> dict[str, RecoveringVerb]:
    """Return every verb, ready to plan and perform, by name."""
    return {name: make(ledger, brokers, settings) for name, make in VERBS.items()}
