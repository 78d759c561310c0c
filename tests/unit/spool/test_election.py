from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from celerytrail.exporter.spool.election import ShipperLock, shipper_is_running
from celerytrail.exporter.spool.errors import SpoolDirectoryError


def test_one_of_two_is_elected(tmp_path: Path) -> None:
    first, second = ShipperLock(tmp_path), ShipperLock(tmp_path)
    assert not shipper_is_running(tmp_path)
    assert first.acquire()
    assert first.acquire()
    assert shipper_is_running(tmp_path)
    assert not second.acquire(wait_seconds=0)
    first.release()
    first.release()
    assert not shipper_is_running(tmp_path)
    assert second.acquire()
    second.release()


def test_somebody_who_only_looks_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    looking = ShipperLock(tmp_path)
    assert looking.acquire()
    released = threading.Timer(0.1, looking.release)
    released.start()
    lock = ShipperLock(tmp_path)
    assert lock.acquire(wait_seconds=30)
    released.join()
    lock.release()


def test_a_killed_shipper_frees_the_lock(tmp_path: Path) -> None:
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        ShipperLock(tmp_path).acquire()
        os.write(said, b"x")
        time.sleep(60)
        os._exit(0)
    os.close(said)
    assert os.read(heard, 1) == b"x"
    os.close(heard)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert not shipper_is_running(tmp_path)


def test_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpoolDirectoryError, match=r"shipper\.lock"):
        shipper_is_running(tmp_path / "missing")
