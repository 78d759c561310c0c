"""What one resource says about all of its records: who speaks, in which stream."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from celerytrail.exporter.attributes import SCOPE_NAME, SPAN_COLUMNS, On
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.anyvalue import Cut, Plain, plain
from celerytrail.exporter.sink.bounds import (
    MARK_ATTRIBUTES_CUT,
    MAX_ATTRIBUTES,
    MAX_READ_ATTRIBUTES,
    MAX_RECORD_BYTES,
    KeepKnown,
)
from celerytrail.exporter.sink.event_id import StreamHash
from celerytrail.exporter.sink.readers import INDEX, slots
from celerytrail.exporter.sink.refusal import Unstorable
from celerytrail.exporter.sink.wire import Group, WireError, trimmed

_SLOTS = slots(On.RESOURCE)
_SDK_PREFIX = "telemetry.sdk."
_STREAM = "celerytrail.stream.id"
_NAMES = ("namespace", "service", "environment")


@dataclass(frozen=True, slots=True)
class Speaker:
    """A process of one deployment, read from a resource and a scope.

    ``ours`` is False for spans of other applications. ``problem`` says why no record of it can be
    stored. ``template`` is a row with the resource's columns filled in; ``extras`` are the resource
    attributes without a column.
    """

    ours: bool
    problem: str | None
    foreign: bool
    stream_id: uuid.UUID
    hash: StreamHash
    template: tuple[Any, ...]
    extras: dict[str, Plain]
    marks: frozenset[str]


_NOBODY = uuid.UUID(int=0)


def read_speaker(group: Group, deployment: Deployment) -> Speaker:
    """Return who speaks in a group of records, seen by the owner of a token for ``deployment``."""
    stranger = Speaker(False, None, False, _NOBODY, StreamHash("", _NOBODY), (), {}, frozenset())
    try:
        scope = InstrumentationScope.FromString(group.scope)
    except DecodeError:
        return stranger
    if scope.name != SCOPE_NAME:
        return stranger
    row: list[Any] = [None] * len(SPAN_COLUMNS)
    extras: dict[str, Plain] = {}
    marks: set[str] = set()
    cut = Cut()
    problem: str | None = None
    stream_id: uuid.UUID | None = None
    try:
        resource = _parse(group.resource, marks)
        for item in resource.attributes[:MAX_READ_ATTRIBUTES]:
            name = item.key
            slot = _SLOTS.get(name)
            if slot is None:
                if name.startswith(_SDK_PREFIX):
                    continue  # says only which library wrote the message
                if len(extras) < MAX_ATTRIBUTES:
                    extras[name] = plain(item.value, cut)
                else:
                    cut.happened = True
                continue
            index, read = slot
            if name == _STREAM and not item.value.string_value:
                continue
            value = read(item.value, name, marks)
            if index < 0:
                extras[name] = value
            else:
                row[index] = value
                if name == _STREAM:
                    stream_id = value
    except (DecodeError, WireError):
        problem = "the resource cannot be decoded"
    except Unstorable as error:
        problem = str(error)
    if stream_id is None and problem is None:
        return stranger
    if cut.happened:
        marks.add(MARK_ATTRIBUTES_CUT)
    for name in _NAMES:
        row[INDEX[name]] = row[INDEX[name]] or ""
    said = Deployment(*(row[INDEX[name]] for name in _NAMES))
    foreign = problem is None and said != deployment
    if foreign:
        problem = "the resource names another deployment than the token's"
    known = stream_id or _NOBODY
    return Speaker(
        ours=True,
        problem=problem,
        foreign=foreign,
        stream_id=known,
        hash=StreamHash(deployment.label, known),
        template=tuple(row),
        extras=extras,
        marks=frozenset(marks),
    )


def _parse(raw: bytes, marks: set[str]) -> Resource:
    if len(raw) <= MAX_RECORD_BYTES:
        try:
            return Resource.FromString(raw)
        except DecodeError as error:
            if "MaxDepth" not in str(error):
                raise
    marks.add(MARK_ATTRIBUTES_CUT)
    return Resource.FromString(trimmed(raw, 1, frozenset(), KeepKnown(_SLOTS)))
