"""A Collector of another make: rotel, which is independent of the official one and comes as a wheel."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from celerytrail.examples.embedded.ports import free_port
from tests.waiting import wait_until


@contextmanager
def other_collector(target: str, token: str, directory: Path) -> Iterator[int]:
    """Start it on a free port, sending to ``target``; yields the port that receives OTLP/HTTP."""
    package = find_spec("rotel")
    assert package is not None, "the rotel wheel is part of the test dependencies"
    assert package.origin is not None
    http, grpc = free_port(), free_port()
    arguments = {
        "--otlp-http-endpoint": f"127.0.0.1:{http}",
        "--otlp-grpc-endpoint": f"127.0.0.1:{grpc}",
        "--exporter": "otlp",
        "--otlp-exporter-protocol": "http",
        "--otlp-exporter-endpoint": target,
        "--otlp-exporter-custom-headers": f"Authorization=Bearer {token}",
    }
    # It is linked to the libpython of this Python, which the system's loader knows only of its own.
    libraries = (sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH"))
    log = directory / "rotel.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(Path(package.origin).with_name("rotel-agent")),
                "start",
                *(word for pair in arguments.items() for word in pair),
            ],
            env={**os.environ, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))},
            stdout=output,
            stderr=output,
        )

    def listens() -> bool:
        if process.poll() is not None:
            said = log.read_text()
            if "error while loading shared libraries: libpython" in said:
                pytest.skip("rotel needs libpython as a shared library, which this Python lacks")
            raise AssertionError(said)
        try:
            socket.create_connection(("127.0.0.1", http), timeout=1).close()
        except OSError:
            return False
        return True

    try:
        wait_until(listens, "the collector listens")
        yield http
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
