"""Writing records into the segments of this process: one ``os.write`` a record, no thread, no lock that waits."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from marshal import dumps
from os import write as os_write
from pathlib import Path
from typing import Any
from zlib import crc32

from celerytrail.exporter.attributes import STEP_BY_NAME
from celerytrail.exporter.spool.directory import prepare_directory, spool_usage
from celerytrail.exporter.spool.errors import SpoolError, SpoolWriteError
from celerytrail.exporter.spool.plain import TIGHT, plain
from celerytrail.exporter.spool.record import MARSHAL_VERSION
from celerytrail.exporter.spool.reuse import reuse_segment
from celerytrail.exporter.spool.segment import (
    FRAME_HEAD,
    MAX_PAYLOAD_BYTES,
    SegmentHeader,
    encode_record,
    segment_name,
)

SEGMENT_BYTES = 4 * 1024 * 1024
SEGMENT_NANOSECONDS = 60 * 1_000_000_000
RETRY_NANOSECONDS = 1_000_000_000
"""How long a writer that cannot write waits before it tries to open a segment again."""

MAX_ASIDE = 10_000
"""Records that wait while another thread opens the first segment."""

NEW_SUFFIX = ".new"
STALE_NEW_SECONDS = 600

_OPENED = STEP_BY_NAME["stream_opened"].code
_CLOSED = STEP_BY_NAME["stream_closed"].code
_HEARTBEAT = STEP_BY_NAME["worker_heartbeat"].code
_CREATE = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NOWHERE = 1 << 62  # the "size" of a segment that is not there
_HIGH_DESCRIPTOR = 100
_HEAD_BYTES = FRAME_HEAD.size
_pack_head = FRAME_HEAD.pack


@dataclass(frozen=True, slots=True)
class Origin:
    """Who writes a stream: the part of the segment header that is known outside the spool."""

    boot_id: str
    host: str
    pid: int
    process_kind: str
    worker: str
    namespace: str
    service: str
    environment: str
    resource_attributes: str
    agent_version: str
    celery_version: str
    python_version: str


class SpoolWriter:
    """The one writer of this process's stream. Any thread may call ``write``.

    The first record opens the stream; a fork begins a new one in the child. ``lost`` counts the
    records that could not be written; ``segment`` is another number, not 0, for each segment of this
    process, and 0 while there is none to go on in. ``on_trouble`` is called with the error whenever the writer
    stops being able to write; it must not raise.
    """

    def __init__(
        self,
        directory: Path,
        origin: Callable[[], Origin],
        *,
        max_bytes: int,
        on_trouble: Callable[[Exception], None],
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self.directory = directory
        self._origin = origin
        self._max_bytes = max_bytes
        self._on_trouble = on_trouble
        # A small spool has small segments, so that its bound means something.
        self._limit = min(segment_bytes, max(max_bytes // 16, 4096))
        self._begin_stream()
        _writers.add(self)

    def _begin_stream(self) -> None:
        self.stream_id = os.urandom(16).hex()
        self.lost = 0
        self.segment = 0
        self._secret = os.urandom(32)
        self._number = 0
        self._numbers = itertools.count(2)  # stream_opened is number 1
        self._reported_lost = 0
        self._fd = -1
        self._size = _NOWHERE
        self._rotate_at = 0
        self._retry_at = 0
        self._turn = threading.Lock()  # only ever taken without waiting
        self._aside: deque[tuple[int, int, Sequence[Any]]] = deque()

    def write(self, code: int, now: int, fields: Sequence[Any]) -> None:
        """Append one record: step code, time in nanoseconds, fields as in ``record.LAYOUTS``.

        It does not raise: what cannot be marshalled becomes text, what cannot be written is counted
        in ``lost``.
        """
        if now >= self._rotate_at and not self._ready(now):
            self._set_aside(code, now, fields)
            return
        record = (code, next(self._numbers), now, fields)
        try:
            payload = dumps(record, MARSHAL_VERSION)  # type: ignore[arg-type]
        except ValueError:
            payload = dumps(plain(record), MARSHAL_VERSION)
        size = len(payload)
        if size > MAX_PAYLOAD_BYTES:
            payload = dumps(plain(record, TIGHT), MARSHAL_VERSION)
            size = len(payload)
        try:
            written = os_write(self._fd, _pack_head(size, crc32(payload)) + payload)
        except OSError as exc:
            self._failed(exc)
            return
        if written != size + _HEAD_BYTES:
            self._failed(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return
        self._size = size = self._size + written
        if size + written > self._limit:  # one more like this would be over
            self._rotate_at = 0

    def close(self) -> None:
        """Say goodbye and let go of the segment; a later record begins a new stream.

        Harmless when nothing was written. It does not raise.
        """
        if self._fd < 0 or not self._turn.acquire(blocking=False):
            return
        now = time.time_ns()
        lost = self.lost
        # A goodbye goes into the open segment whatever its size: it says that nothing is missing.
        self._size, self._rotate_at = 0, now + SEGMENT_NANOSECONDS
        self.write(_CLOSED, now, (lost,))
        descriptor = self._fd
        self._begin_stream()
        # Another thread may be about to write: the number has to stay ours.
        with contextlib.suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(nowhere, descriptor, inheritable=False)
            os.close(nowhere)

    def after_fork(self) -> None:
        """Drop what the child inherited: the stream, its secret and its descriptor are the parent's."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.close(self._fd)
        self._begin_stream()

    @property
    def is_open(self) -> bool:
        """Tell whether a segment of this process is open."""
        return self._fd >= 0

    def _ready(self, now: int) -> bool:
        # Whoever gets here first opens or rotates; the others go on with what there is.
        if not self._turn.acquire(blocking=False):
            return self._fd >= 0 and self._size != _NOWHERE
        try:
            if time.monotonic_ns() < self._retry_at:
                return False
            self._open_segment(now)
        except (OSError, SpoolError) as exc:
            self._block(exc)
            return False
        finally:
            self._turn.release()
        self._drain()
        return True

    def _set_aside(self, code: int, now: int, fields: Sequence[Any]) -> None:
        # Either the disk is full, or another thread is opening the first segment just now.
        if len(self._aside) >= MAX_ASIDE:
            next(self._numbers)
            self.lost += 1
            return
        self._aside.append((code, now, fields))
        if not self._turn.locked() or self._retry_at:
            self._drain()

    def _drain(self) -> None:
        for _ in range(len(self._aside)):
            try:
                code, now, fields = self._aside.popleft()
            except IndexError:
                return
            if self._size == _NOWHERE:
                next(self._numbers)
                self.lost += 1
            else:
                self.write(code, now, fields)

    def _open_segment(self, now: int) -> None:
        prepare_directory(self.directory)
        number = self._number + 1
        header = SegmentHeader(
            stream_id=self.stream_id,
            segment=number,
            first_seq=1 if self._number == 0 else self._peek(),
            secret=self._secret,
            opened_unix_nano=now,
            **asdict(self._origin()),
        )
        first = header.to_frame()
        if self._number == 0:
            first += encode_record((_OPENED, 1, now, ()))
        self.segment = 0
        try:
            self._check_bound()
            descriptor = self._create(segment_name(self.stream_id, number), first)
        except (OSError, SpoolError):
            # Only where nobody writes: what another thread wrote just now would be cut off.
            if self._fd < 0 or self._size != _NOWHERE or not self._reuse(number, first):
                raise
            descriptor = self._fd
        if self._fd < 0:
            self._fd = _lifted(descriptor)
        elif descriptor != self._fd:
            os.dup2(descriptor, self._fd, inheritable=False)
            os.close(descriptor)
        self._number = number
        self.segment = next(_segments)
        self._retry_at = 0
        self._rotate_at = now + SEGMENT_NANOSECONDS
        self._size = len(first)
        if self.lost > self._reported_lost:
            self._reported_lost = self.lost
            self.write(_HEARTBEAT, now, (self.lost,))

    def _reuse(self, number: int, first: bytes) -> bool:
        path = self.directory / segment_name(self.stream_id, number - 1)
        successor = self.directory / segment_name(self.stream_id, number)
        unnamed = successor.with_name(successor.name + NEW_SUFFIX)
        return reuse_segment(path, self._fd, unnamed, successor, first)

    def _create(self, name: str, first: bytes) -> int:
        # A reader must never see a segment without its lock or its header: it would take the writer
        # for dead. So it gets its name last.
        unnamed = self.directory / (name + NEW_SUFFIX)
        descriptor = os.open(unnamed, _CREATE, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(descriptor, first) != len(first):
                raise SpoolWriteError(f"no space left in spool directory {self.directory}")
            os.rename(unnamed, self.directory / name)
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                unnamed.unlink()
            raise
        return descriptor

    def _check_bound(self) -> None:
        used = spool_usage(self.directory).bytes
        if used + self._limit > self._max_bytes:
            raise SpoolWriteError(
                f"spool directory {self.directory} is full: {used} of {self._max_bytes} bytes "
                "(CELERYTRAIL_SPOOL_MAX_BYTES); is the shipper delivering?"
            )
        _remove_unfinished(self.directory)

    def _peek(self) -> int:
        # itertools.count tells its next value nowhere but in its repr: "count(17)".
        return int(repr(self._numbers)[6:-1])

    def _failed(self, exc: OSError) -> None:
        # What was written of the frame stays behind as a torn one; the next record starts a new file.
        self.lost += 1
        self._block(exc)

    def _block(self, exc: Exception) -> None:
        self._size = _NOWHERE
        self._rotate_at = 0
        self._retry_at = time.monotonic_ns() + RETRY_NANOSECONDS
        self._on_trouble(exc)


def _lifted(descriptor: int) -> int:
    # Programs that close "all" descriptors do it without asking. A number far above the small ones
    # is not soon given to a socket, so a record cannot land in one.
    try:
        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _HIGH_DESCRIPTOR)
    except OSError:
        return descriptor
    os.close(descriptor)
    return high


def _remove_unfinished(directory: Path) -> None:
    # Left by a process that died between creating a segment and naming it: nothing is in it yet.
    before = time.time() - STALE_NEW_SECONDS
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(NEW_SUFFIX):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_mtime < before:
                        os.unlink(entry.path)


_segments = itertools.count(1)
_writers: weakref.WeakSet[SpoolWriter] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for writer in list(_writers):
        writer.after_fork()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork_in_child)
