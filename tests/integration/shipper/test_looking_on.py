"""``celerytrail spool`` beside a writer that writes and a shipper that ships and deletes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from celerytrail.exporter.spool.writer import Origin, SpoolWriter
from tests.integration.shipper.receiver import OtlpReceiver
from tests.integration.shipper.shippers import environ, shipping
from tests.integration.shipper.test_shipping import check_complete
from tests.unit.shipper.segments import sent
from tests.waiting import wait_until

MAIN = "from celerytrail.exporter.cli import main; main()"
SPOOL = [sys.executable, "-c", MAIN, "spool"]
# Who runs the tests in the background may have the signal ignored, and that is inherited.
INTERRUPTIBLE = f"import signal; signal.signal(2, signal.default_int_handler); {MAIN}"


def look(spool: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*SPOOL, *arguments, "--spool", str(spool)],
        env=environ("http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_looking_on_disturbs_neither_the_writer_nor_the_shipper(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    troubles: list[Exception] = []
    origin = Origin(
        "", "box", os.getpid(), "worker", "w@box", "shop", "orders", "test", "", "1", "5", "3"
    )
    writer = SpoolWriter(
        spool, lambda: origin, max_bytes=1 << 30, on_trouble=troubles.append, segment_bytes=16384
    )
    code, _, _, *fields = sent(0)
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.wait(0.002):
            writer.write(code, time.time_ns(), tuple(fields))
            written += 1

    writer.write(code, time.time_ns(), tuple(fields))
    name = writer.stream_id
    thread = threading.Thread(target=write)
    thread.start()
    try:
        with OtlpReceiver() as receiver, shipping(spool, receiver.url) as shipper:
            wait_until(lambda: len(receiver.captured()) > 50, "it ships")
            rounds = 0
            while rounds < 4 or len(receiver.captured()) < 500:
                (sums,) = map(json.loads, look(spool, "stat", "--json").splitlines())
                assert sums["shipper_runs"] is True
                assert str(shipper.process.pid) in sums["shipper"]
                assert sums["live_streams"] >= 1
                assert (sums["torn_bytes"], sums["missing"]) == (0, 0)
                look(spool, "ls")
                rows = [json.loads(line) for line in look(spool, "cat", name).splitlines()]
                numbers = [row["seq"] for row in rows if "seq" in row]
                # Where the shipper deletes a segment meanwhile, cat goes on behind it.
                assert numbers == sorted(set(numbers))
                rounds += 1
            stop.set()
            thread.join()
            writer.close()
            wait_until(lambda: len(receiver.captured()) == written + 3, "all of it arrives")
            check_complete(receiver, written + 3, name)
            assert shipper.stop() == 0
    finally:
        stop.set()
        thread.join()
        writer.close()
    assert troubles == []


def test_follow_ends_on_an_interrupt(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    origin = Origin("", "box", os.getpid(), "worker", "w@box", "", "orders", "", "", "1", "5", "3")
    writer = SpoolWriter(
        spool,
        lambda: origin,
        max_bytes=1 << 30,
        on_trouble=lambda exc: pytest.fail(str(exc)),
    )
    code, _, now, *fields = sent(0)
    writer.write(code, now, tuple(fields))
    with (tmp_path / "out").open("wb") as output:
        following = subprocess.Popen(
            [
                sys.executable,
                "-c",
                INTERRUPTIBLE,
                "spool",
                "cat",
                "--follow",
                "--spool",
                str(spool),
            ],
            env=environ("http://127.0.0.1:9"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: len((tmp_path / "out").read_text().splitlines()) == 2, "two records")
        writer.write(code, now, tuple(fields))
        wait_until(lambda: len((tmp_path / "out").read_text().splitlines()) == 3, "a third")
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 0
    finally:
        following.kill()
        following.wait()
        writer.close()
    assert [json.loads(line)["seq"] for line in (tmp_path / "out").read_text().splitlines()] == [
        1,
        2,
        3,
    ]
