"""Chains are shared out evenly among the connections that live, and each keeps its own."""

from __future__ import annotations

from celerytrail.exporter.sink.shared_chains import SharedChains


class FakeConnection:
    """As much of a connection as is looked at."""

    closed = False


def test_each_of_as_many_connections_has_a_chain_to_itself() -> None:
    shared = SharedChains(range(4))
    connections = [FakeConnection() for _ in range(4)]
    chains = [shared.of(connection) for connection in connections]  # type: ignore[arg-type]
    assert sorted(chains) == [0, 1, 2, 3]
    assert [shared.of(connection) for connection in connections] == chains  # type: ignore[arg-type]


def test_more_connections_than_chains_are_spread() -> None:
    shared = SharedChains([5, 9])
    connections = [FakeConnection() for _ in range(5)]
    chains = [shared.of(connection) for connection in connections]  # type: ignore[arg-type]
    assert sorted((chains.count(5), chains.count(9))) == [2, 3]


def test_a_new_connection_takes_the_chain_of_one_that_is_gone() -> None:
    shared = SharedChains(range(3))
    connections = [FakeConnection() for _ in range(3)]
    chains = [shared.of(connection) for connection in connections]  # type: ignore[arg-type]
    connections[1].closed = True
    del connections[2]
    new = [FakeConnection(), FakeConnection()]
    found = {shared.of(connection) for connection in new}  # type: ignore[arg-type]
    assert found == set(chains[1:])
