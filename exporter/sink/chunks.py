"""The records of a request as rows, a bounded number at a time, whatever the records are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink.refusal import Unstorable
from celerytrail.exporter.sink.resource import Speaker, read_speaker
from celerytrail.exporter.sink.wire import Group, records

CHUNK_ROWS = 2048
CHUNK_BYTES = 4 * 1024 * 1024
"""What is written in one transaction, whichever comes first; a larger request is several."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record that can never be stored: why, and its bytes where they may be kept.

    ``foreign`` says that it belongs to another deployment than the token.
    """

    reason: str
    raw: bytes | None
    foreign: bool = False


@dataclass(slots=True)
class Decoded:
    """Some of the records of a request, in the sender's order."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    received: int = 0
    ignored: int = 0


def chunks(
    body: bytes,
    groups: Sequence[Group],
    deployment: Deployment,
    row: Callable[[bytes, Speaker], Row | None],
    bare: Callable[[bytes], bytes | None],
) -> Iterator[Decoded]:
    """Yield what ``row`` makes of each record; None is a record that is not ours, and ignored.

    What ``row`` raises Unstorable for is rejected, with what ``bare`` leaves of it.
    """
    chunk = Decoded()
    size = 0
    for group in groups:
        speaker = read_speaker(group, deployment)
        for raw in records(body, group):
            chunk.received += 1
            if not speaker.ours:
                chunk.ignored += 1
                continue
            try:
                made = row(raw, speaker)
            except Unstorable as error:
                # Another deployment's data is not kept under this one's token.
                kept = None if speaker.foreign else bare(raw)
                chunk.rejected.append(Rejected(str(error), kept, speaker.foreign))
            else:
                if made is None:
                    chunk.ignored += 1
                else:
                    chunk.rows.append(made)
            size += len(raw)
            if (
                size >= CHUNK_BYTES
                or len(chunk.rows) >= CHUNK_ROWS
                or len(chunk.rejected) >= CHUNK_ROWS
            ):
                yield chunk
                chunk = Decoded()
                size = 0
    yield chunk
