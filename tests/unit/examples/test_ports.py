"""Ports that are given out: free, and to nobody else of this process."""

from __future__ import annotations

import random
import socket

import pytest

from celerytrail.examples.embedded import ports
from celerytrail.examples.embedded.errors import EmbeddedServerError
from celerytrail.examples.embedded.ports import LOOPBACK, free_port


def test_no_port_is_given_twice_whatever_the_program_seeds() -> None:
    given = []
    for _ in range(60):
        random.seed(1)
        given.append(free_port())
    assert len(set(given)) == len(given)


def test_a_port_that_somebody_listens_on_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(ports, "_LOWEST", taken)
        monkeypatch.setattr(ports, "_HIGHEST", taken)
        with pytest.raises(EmbeddedServerError, match="no free port"):
            free_port()
