"""``celerytrail spool``: look into a spool directory, while it is written and shipped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from celerytrail.exporter.shipper.config import spool_directory
from celerytrail.exporter.shipper.errors import ShipperError
from celerytrail.exporter.shipper.process import signer
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.shipper.redaction_settings import rules_from_env
from celerytrail.exporter.shipper.rejected import kept_in
from celerytrail.exporter.shipper.shown_record import RecordShower
from celerytrail.exporter.shipper.spool_tail import SpoolTail, Tailed
from celerytrail.exporter.spool.election import looks_shipped
from celerytrail.exporter.spool.errors import SpoolError
from celerytrail.exporter.spool.survey import SegmentSurvey, survey

_NANO = 1_000_000_000
_HEADINGS = (
    "STREAM", "SEGMENT", "PROCESS", "WORKER", "PID", "STATE", "RECORDS", "WAITING", "BYTES",
    "TORN", "AGE",
)  # fmt: skip


@click.group()
def spool() -> None:
    """Look into a spool directory: what waits, who writes, what the records say.

    Nothing is written, and nobody is held up: workers may write and the shipper may ship meanwhile.
    """


_spool_option = click.option(
    "--spool",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Spool directory. [CELERYTRAIL_SPOOL_DIR]",
)
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@spool.command(name="ls")
@_spool_option
@_json_option
def list_spool(directory: Path | None, as_json: bool) -> None:
    """List the segments: one line each, by stream and number.

    A segment is live while its process has it open, left when that is gone, closed when it said
    goodbye. WAITING are records that are not delivered yet, TORN bytes that are no record.
    """
    found, _ = _survey(directory)
    now = time.time_ns()
    if as_json:
        for segment in found:
            click.echo(json.dumps(_segment_row(segment, now)))
        return
    rows = [_segment_line(segment, now) for segment in found]
    for line in _columns([_HEADINGS, *rows]):
        click.echo(line)


@spool.command()
@_spool_option
@_json_option
def stat(directory: Path | None, as_json: bool) -> None:
    """Show the sums: what waits and how old it is, what is missing, whether a shipper runs."""
    found, spool_dir = _survey(directory)
    sums = _sums(found, spool_dir)
    if as_json:
        click.echo(json.dumps(sums))
        return
    for name, value in sums.items():
        shown = "-" if value is None else {True: "yes", False: "no"}.get(value, value)
        click.echo(f"{name.replace('_', ' ') + ':':<16}{_printable(str(shown))}")


@spool.command()
@click.argument("what", default="")
@_spool_option
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes, until Ctrl-C.")
def cat(what: str, directory: Path | None, follow: bool) -> None:
    """Print records, one JSON object a line: all, or those of a stream or segment.

    WHAT is the beginning of a stream's id, or a segment's file name. Records are redacted as
    the shipper with the same settings would; message bodies are not shown at all.
    """
    try:
        spool_dir = directory or spool_directory(os.environ)
        shower = RecordShower(Redactor(rules_from_env(os.environ)))
        tail = SpoolTail(spool_dir, what)
        if what and not follow and not tail.segments():
            raise click.ClickException(
                f"no segment in {spool_dir} begins with {what!r}: see celerytrail spool ls"
            )
        for item in tail.follow() if follow else tail.new(unfinished=True):
            click.echo(json.dumps(_passage_row(item, shower)))
    except (ShipperError, SpoolError) as exc:
        raise click.ClickException(str(exc)) from exc
    except KeyboardInterrupt:
        return


def _survey(directory: Path | None) -> tuple[list[SegmentSurvey], Path]:
    try:
        spool_dir = directory or spool_directory(os.environ)
        return survey(spool_dir), spool_dir
    except (ShipperError, SpoolError) as exc:
        raise click.ClickException(str(exc)) from exc


def _state(segment: SegmentSurvey) -> str:
    if segment.live:
        return "live"
    return "closed" if segment.closed else "left"


def _age_seconds(segment: SegmentSurvey, now: int) -> int | None:
    header = segment.state.header
    return None if header is None else max(0, now - header.opened_unix_nano) // _NANO


def _segment_row(segment: SegmentSurvey, now: int) -> dict[str, Any]:
    state, header = segment.state, segment.state.header
    return {
        "segment": state.path.name,
        "stream": state.stream_id,
        "number": state.number,
        "process": header.process_kind if header else None,
        "worker": header.worker if header else None,
        "host": header.host if header else None,
        "pid": header.pid if header else None,
        "state": _state(segment),
        "records": segment.records,
        "waiting": segment.waiting,
        "bytes": state.bytes,
        "torn_bytes": segment.torn_bytes,
        "first_seq": segment.first_seq,
        "last_seq": segment.last_seq,
        "age_seconds": _age_seconds(segment, now),
    }


def _segment_line(segment: SegmentSurvey, now: int) -> tuple[str, ...]:
    row = _segment_row(segment, now)
    age = row["age_seconds"]
    return (
        row["stream"][:8],
        str(row["number"]),
        *(_printable(str(row[name] or "?")) for name in ("process", "worker", "pid")),
        *(str(row[name]) for name in ("state", "records", "waiting", "bytes", "torn_bytes")),
        "?" if age is None else f"{age} s",
    )


@dataclass(slots=True)
class _Stream:
    first: int = 0
    last: int = 0
    records: int = 0
    lost: int = 0
    live: bool = False

    @property
    def missing(self) -> int:
        return max(0, self.last - self.first + 1 - self.records) if self.records else 0


def _sums(found: Iterable[SegmentSurvey], spool_dir: Path) -> dict[str, Any]:
    streams: dict[str, _Stream] = {}
    segments = total = waiting = torn = 0
    oldest: int | None = None
    for segment in found:
        stream = streams.setdefault(segment.state.stream_id, _Stream())
        if segment.records:
            stream.first = stream.first or segment.first_seq
            stream.last = max(stream.last, segment.last_seq)
        stream.records += segment.records
        stream.lost = max(stream.lost, segment.lost)
        stream.live = stream.live or segment.live
        segments += 1
        total += segment.state.bytes
        waiting += segment.waiting
        torn += segment.torn_bytes
        at = segment.oldest_waiting_unix_nano
        if at is not None and (oldest is None or at < oldest):
            oldest = at
    kept, kept_bytes = kept_in(spool_dir)
    running = looks_shipped(spool_dir)
    return {
        "spool": str(spool_dir),
        "shipper_runs": running,
        "shipper": signer(spool_dir) if running else None,
        "streams": len(streams),
        "live_streams": sum(stream.live for stream in streams.values()),
        "segments": segments,
        "bytes": total,
        "waiting": waiting,
        "lag_seconds": 0 if oldest is None else max(0, time.time_ns() - oldest) // _NANO,
        "missing": sum(stream.missing for stream in streams.values()),
        "dropped": sum(stream.lost for stream in streams.values()),
        "torn_bytes": torn,
        "rejected": kept,
        "rejected_bytes": kept_bytes,
    }


def _passage_row(item: Tailed, shower: RecordShower) -> dict[str, Any]:
    state, passage = item.state, item.passage
    place: dict[str, Any] = {"segment": state.path.name, "offset": passage.start}
    if passage.record is None or state.header is None:
        what = "unfinished_bytes" if passage.unfinished else "torn_bytes"
        return {**place, what: passage.end - passage.start}
    return {
        **place,
        "delivered": item.delivered,
        **shower.show(state.header, passage.record),
    }


def _columns(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _printable(text: str) -> str:
    # A worker may have any name: what a terminal would obey is not passed on to it.
    return "".join(letter if letter.isprintable() else "?" for letter in text)
