"""The embedded Valkey is a real broker: it starts, stops, survives a kill, and keeps its queues."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
import redis

from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.valkey import EmbeddedValkey


def client(server: EmbeddedValkey) -> contextlib.closing[redis.Redis]:
    return contextlib.closing(redis.Redis.from_url(server.url))


def test_stop_ends_the_process_and_start_brings_the_queues_back(valkey: EmbeddedValkey) -> None:
    with client(valkey) as connection:
        connection.lpush("queue", "message")
    pid, url = valkey.pid, valkey.url
    valkey.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    valkey.start()
    assert valkey.url == url
    with client(valkey) as connection:
        assert connection.lrange("queue", 0, -1) == [b"message"]


def test_a_killed_server_starts_again(valkey: EmbeddedValkey) -> None:
    with client(valkey) as connection:
        connection.set("key", "value")
    os.kill(valkey.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while valkey.running:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    valkey.start()
    with client(valkey) as connection:
        assert connection.get("key") == b"value"


def test_starting_twice_is_refused(valkey: EmbeddedValkey) -> None:
    with pytest.raises(EmbeddedServerError, match="runs already"):
        valkey.start()


def test_a_program_that_fails_is_reported_with_its_output(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho out of order\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(EmbeddedServerError, match="ended with 3:\nout of order"):
        EmbeddedValkey(tmp_path / "data", program=program).start()


def test_an_address_is_asked_for_too_early(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"call start\(\) first"):
        _ = EmbeddedValkey(tmp_path).url
