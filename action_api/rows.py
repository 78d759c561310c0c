"""What the action API reads from the ledger, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from celerytrail.exporter.deployment import Deployment


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token that is valid now, by its hash. ``scopes`` are names of verbs."""

    token_id: str
    name: str
    deployment: Deployment
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of asking for an intent.

    ``result`` is ``new``, ``same_key``, ``key_conflict`` or ``duplicate``; for all but the first,
    the rest is about the intent that was there before.
    """

    result: str
    intent_id: UUID
    state: str | None
    outcome: Mapping[str, Any] | None
    actor: str | None


@dataclass(frozen=True, slots=True)
class IntentState:
    """Where an intent stands: ``state`` is ``open`` until an outcome is written."""

    deployment: Deployment
    state: str
    outcome: Mapping[str, Any] | None
    actor: str
    verb: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExpiredIntent:
    """An open intent whose holder fell silent, now held by whoever took it.

    ``progress`` are the details of its progress rows in order; ``age_seconds`` is counted from its
    creation by the database's clock.
    """

    intent_id: UUID
    verb: str
    deployment: Deployment
    target: Mapping[str, Any]
    target_key: str
    actor: str
    age_seconds: float
    progress: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task as the read model has it. ``send_id`` is 16 hex digits of its newest send.

    ``ended`` says that the events show an end that nothing follows: a retry to come is no end.
    """

    task_id: str
    task_name: str | None
    state: str
    inferred: bool
    retries: int | None
    queue: str | None
    worker: str | None
    group_id: str | None
    chord_body_id: str | None
    ended: bool
    send_id: str | None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """The container of a task's newest message, with all that it is bound to.

    ``body`` is None where there is none, and ``withheld`` then says why, if the shipper did.
    ``block_fault`` says what is wrong with the block of the span that commits to it, recomputed;
    None when nothing is. ``verification`` is the status of the newest verification of that chain.
    """

    body: bytes | None = field(repr=False)
    salt: bytes | None = field(repr=False)
    commitment: bytes | None
    retries: int | None
    stream_id: UUID | None
    seq: int | None
    withheld: str | None
    span_commitment: bytes | None
    deployment: Deployment
    task_id: str | None
    block_fault: str | None
    verification: str | None
