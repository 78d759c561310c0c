"""The ``.ack`` file beside a segment: how far it is acknowledged, and where its stream stands there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celerytrail.exporter.spool.atomic_file import UNFINISHED_SUFFIX, replace_file
from celerytrail.exporter.spool.open_runs import OpenRun
from celerytrail.exporter.spool.plain import text_of


@dataclass(frozen=True, slots=True)
class Cursor:
    """Bytes of a segment that are acknowledged, and where its stream stands there.

    ``last_seq``, ``torn_bytes`` and ``closed`` are those of the whole stream; ``open_runs`` the runs
    that had begun and not ended, None where there was no room to say so.
    """

    offset: int
    last_seq: int
    torn_bytes: int
    closed: bool
    open_runs: tuple[OpenRun, ...] | None = ()

    def write(self, path: Path) -> None:
        """Replace the file. Raises OSError.

        A full disk has no block for it, and no room comes before it is there. Then it is a symbolic
        link that leads nowhere: its target says the numbers, and so short a one stands in the inode.
        """
        line = f"{self.offset} {self.last_seq} {self.torn_bytes} {int(self.closed)}"
        runs = [json.dumps(run, default=text_of) for run in self.open_runs or ()]
        try:
            replace_file(path, "".join(f"{one}\n" for one in (line, *runs)).encode())
        except OSError as exc:
            if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _replace_by_link(path, line)

    @classmethod
    def read(cls, path: Path) -> Cursor | None:
        """Return what the file says, None when there is none or it was lost in a crash.

        Without it everything is sent again, which is no loss.
        """
        try:
            if path.is_symlink():
                line, open_runs = os.readlink(path), None
            else:
                line, *runs = path.read_text("utf-8").splitlines()
                open_runs = tuple(_open_run(json.loads(run)) for run in runs)
            offset, last_seq, torn_bytes, closed = map(int, line.split())
        except (OSError, ValueError, TypeError):
            return None
        if offset < 0:
            return None
        return cls(offset, last_seq, torn_bytes, bool(closed), open_runs)


def _open_run(values: Any) -> OpenRun:
    run_id, start, trail, request = values
    return OpenRun(str(run_id), int(start), trail, tuple(request))


def _replace_by_link(path: Path, target: str) -> None:
    unnamed = path.with_name(path.name + UNFINISHED_SUFFIX)
    with contextlib.suppress(FileNotFoundError):
        unnamed.unlink()
    os.symlink(target, unnamed)
    os.replace(unnamed, path)
