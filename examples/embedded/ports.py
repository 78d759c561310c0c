"""A free TCP port on loopback that stays free while a server is down."""

from __future__ import annotations

import random
import socket

from celerytrail.examples.embedded.errors import EmbeddedServerError

LOOPBACK = "127.0.0.1"
_LOWEST, _HIGHEST = 15_000, 32_000
_TRIES = 200
# Not the generator of the program: one that is seeded alike everywhere gives the same ports everywhere.
_chance = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a port on which nobody listens, and which this process was not given before.

    It is taken from below the range the kernel hands out to outgoing connections, so that no
    client gets hold of it while a server is stopped and about to be started on it again.
    Raises EmbeddedServerError when none is found.
    """
    for _ in range(_TRIES):
        port = _chance.randint(_LOWEST, _HIGHEST)
        # Somebody may have asked for it, and not listen on it yet.
        if port not in _given and is_free(port):
            _given.add(port)
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
