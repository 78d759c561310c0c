"""What the shipper itself has to report: streams whose writer is gone without a goodbye, the runs
that nobody will tell the end of any more, and how it does itself.

It goes through the spool like everything else, so that it is not lost when the shipper is killed.
A report is about a stream of some deployment and is written as that deployment: a token is good
for one only. Runs that are lost are told in the name of the process that ran them, so that they are
found where people look for them: under its worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.spool.ended_stream import EndedStream
from celerytrail.exporter.spool.errors import SpoolFormatError
from celerytrail.exporter.spool.paced_log import PacedLog
from celerytrail.exporter.spool.record import LAYOUTS, Record
from celerytrail.exporter.spool.segment import (
    SEGMENT_SUFFIX,
    Frame,
    SegmentHeader,
    decode_record,
    read_header,
    scan,
)
from celerytrail.exporter.spool.writer import Origin, SpoolWriter

_log = logging.getLogger(__name__)

PROCESS_KIND = "shipper"
_NO_BOUND = 1 << 62
_SEGMENT_BYTES = 64 * 1024
_ABANDONED = STEP_BY_NAME["stream_abandoned"].code
_LOST = STEP_BY_NAME["lost"].code
_LOST_FIELDS = LAYOUTS["lost"]
_HEARTBEAT = STEP_BY_NAME["shipper_heartbeat"].code


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a shipper says of itself: the spool, what was refused for good, the last trouble.

    ``lag_ms`` is the age of the oldest record that is not delivered. ``delivery_error`` is a few
    fixed words, or None where nothing was in the way since the heartbeat before.
    """

    spool_bytes: int
    spool_segments: int
    lag_ms: int
    rejected: int
    delivery_error: str | None


def deployment_of(header: SegmentHeader) -> Deployment:
    """Return the deployment that a segment belongs to."""
    return Deployment(header.namespace, header.service, header.environment)


def shipper_version() -> str:
    """Return the version of the installed distribution."""
    try:
        return version("celerytrail")
    except PackageNotFoundError:
        return ""


class OwnStreams:
    """One stream of the shipper for each deployment it has something to say about.

    The bound of the spool does not hold for them. A report is one small record about a stream whose
    segment can then be deleted: refused in a full spool, it would keep the spool full for ever. Nor
    can they pile up, since only what was delivered before is reported, and a heartbeat waits until
    the one before it was delivered.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writers: dict[str, SpoolWriter] = {}
        self._told, self._told_runs = _told_before(directory)
        self._paced = PacedLog(_log, 60.0)

    def has_to_tell(self, ended: EndedStream) -> bool:
        """Tell whether a stream ended without a goodbye, or without the end of one of its runs, and
        that was not reported yet.
        """
        if ended.header is None:
            return False
        unterminated = not ended.closed and ended.stream_id not in self._told
        return unterminated or any(run.run_id not in self._told_runs for run in ended.open_runs)

    def report(self, ended: EndedStream) -> bool:
        """Record what a stream left unsaid when it ended; once, whatever happens between.

        Returns False when it could not be written: ask again later, and keep the stream until then.
        The stream's files must be deleted before anything is delivered again.
        """
        if ended.header is None:
            return True
        if ended.open_runs and not self._report_lost(ended.header, ended):
            return False
        if ended.closed or ended.stream_id in self._told:
            return True
        fields = (ended.stream_id, ended.last_seq, ended.torn_bytes)
        if not _write(self._writer(deployment_of(ended.header)), _ABANDONED, fields):
            return False
        self._told.add(ended.stream_id)
        return True

    def beat(self, deployment: Deployment, heartbeat: Heartbeat) -> bool:
        """Record how the shipper does, for one deployment; return whether it could be written."""
        return _write(
            self._writer(deployment),
            _HEARTBEAT,
            (
                heartbeat.spool_bytes,
                heartbeat.spool_segments,
                heartbeat.lag_ms,
                heartbeat.rejected,
                heartbeat.delivery_error,
            ),
        )

    def _report_lost(self, header: SegmentHeader, ended: EndedStream) -> bool:
        untold = [run for run in ended.open_runs if run.run_id not in self._told_runs]
        writer = self._new_writer(
            replace(
                _origin(deployment_of(header)),
                worker=header.worker,
                host=header.host,
                pid=header.pid,
            )
        )
        try:
            for run in untold:
                said = {"run_id": run.run_id, "trail": run.trail, "request": run.request}
                # When its process was last seen: another run of the same message came after that.
                at = max(ended.alive_unix_nano, run.start_unix_nano + 1)
                if not _write(writer, _LOST, tuple(map(said.get, _LOST_FIELDS)), at):
                    return False
                self._told_runs[run.run_id] = ended.stream_id
        finally:
            writer.close()
        return True

    def remember_only(self, there: AbstractSet[str]) -> None:
        """Forget the reports about streams that are gone: nobody can ask about them again."""
        self._told &= there
        self._told_runs = {
            run: stream for run, stream in self._told_runs.items() if not stream or stream in there
        }

    def stream_ids(self) -> frozenset[str]:
        """Return the streams that this process goes on writing."""
        return frozenset(w.stream_id for w in self._writers.values() if w.is_open)

    def close(self) -> None:
        """Say goodbye on every stream."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, deployment: Deployment) -> SpoolWriter:
        writer = self._writers.get(deployment.label)
        if writer is None:
            writer = self._new_writer(_origin(deployment))
            self._writers[deployment.label] = writer
        return writer

    def _new_writer(self, origin: Origin) -> SpoolWriter:
        return SpoolWriter(
            self._directory,
            lambda: origin,
            max_bytes=_NO_BOUND,
            on_trouble=self._note,
            segment_bytes=_SEGMENT_BYTES,
        )

    def _note(self, trouble: Exception) -> None:
        self._paced.say(
            logging.WARNING,
            "what the shipper has to say itself cannot be written yet: %s",
            trouble,
        )


def _write(writer: SpoolWriter, code: int, fields: tuple[Any, ...], at: int | None = None) -> bool:
    lost = writer.lost
    writer.write(code, time.time_ns() if at is None else at, fields)
    return writer.is_open and writer.lost == lost


def _origin(deployment: Deployment) -> Origin:
    host = socket.gethostname()
    boot_id = ""
    with contextlib.suppress(OSError):
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Origin(
        boot_id=boot_id,
        host=host,
        pid=os.getpid(),
        process_kind=PROCESS_KIND,
        worker=f"{PROCESS_KIND}@{host}",
        namespace=deployment.namespace,
        service=deployment.service,
        environment=deployment.environment,
        resource_attributes="",
        agent_version=shipper_version(),
        celery_version="",
        python_version=platform.python_version(),
    )


def _told_before(directory: Path) -> tuple[set[str], dict[str, str]]:
    # A shipper that was killed after it reported and before it deleted: its report is still here,
    # because nothing is delivered between the two.
    told: set[str] = set()
    told_runs: dict[str, str] = {}  # of which streams they were, these records do not say
    for path in sorted(directory.glob(f"*{SEGMENT_SUFFIX}")):
        try:
            with path.open("rb") as file:
                data = file.read(64 * 1024)
                header, first = read_header(data)
                if header.process_kind != PROCESS_KIND:
                    continue
                data += file.read()
        except (OSError, SpoolFormatError):
            continue
        for item in scan(data, first):
            if isinstance(item, Frame):
                with contextlib.suppress(SpoolFormatError, ValueError):
                    record = Record.from_tuple(decode_record(item.payload))
                    if record.step.code == _ABANDONED:
                        told.add(str(record.fields.get("about_stream_id")))
                    elif record.step.code == _LOST:
                        told_runs[str(record.fields.get("run_id"))] = ""
    return told, told_runs
