"""A free TCP port on loopback that stays free while a server is down."""

from __future__ import annotations

import random
import socket

from celerytrail.examples.embedded.errors import EmbeddedServerError

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 32_000
_TRIES = 200


def free_port() -> int:
    """Return a port on which nobody listens.

    It is taken from below the range the kernel hands out to outgoing connections, so that no
    client gets hold of it while a server is stopped and about to be started on it again.
    """
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, _HIGHEST)
        if is_free(port):
            return port
    raise EmbeddedServerError(f"no free port between {_LOWEST} and {_HIGHEST} on {LOOPBACK}")


def is_free(port: int) -> bool:
    """Say whether a server could listen on ``port`` now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are in TIME_WAIT can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
