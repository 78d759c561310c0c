"""What is known of pool children, seen from their parent: real processes in a pool that is a stand-in."""

from __future__ import annotations

import multiprocessing
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.agent.pool_children import MAX_CHILDREN, ChildEnd, PoolChildren

SPAWN = multiprocessing.get_context("spawn")


def a_pool(*processes: Any) -> Any:
    return SimpleNamespace(_pool=SimpleNamespace(_pool=[*processes]))


def start(target: Any, *arguments: Any) -> Any:
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    return process


def test_memory_and_exit_code_of_a_child() -> None:
    gate = SPAWN.Event()
    process = start(gate.wait)
    children = PoolChildren()
    children.watch(a_pool(process))
    children.sample()
    assert [*children.ended()] == []
    alive = children.of(process.pid)
    assert alive is not None
    assert alive.exit_code is None
    assert alive.memory_bytes is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (end,) = children.ended()
    assert end == ChildEnd(process.pid, -9, 9, alive.memory_bytes)
    assert end.memory_bytes
    # The pool may list it for a while; it is told of once, and can be asked for.
    assert [*children.ended()] == []
    assert children.of(process.pid) == end
    process.close()


def test_an_end_is_known_before_it_is_told_of() -> None:
    process = start(os._exit, 3)
    children = PoolChildren()
    children.watch(a_pool(process))
    process.join()
    assert children.of(process.pid) == ChildEnd(process.pid, 3)
    assert [end.exit_code for end in children.ended()] == [3]


def test_a_child_without_a_pid_yet_is_known_when_it_has_one() -> None:
    process = SPAWN.Process(target=os._exit, args=(4,))
    pool = a_pool()
    children = PoolChildren()
    children.watch(pool)
    pool._pool._pool.append(process)
    children.forked()
    process.start()
    pid = process.pid
    pool._pool._pool.remove(process)
    process.join()
    assert [*children.ended()] == [ChildEnd(pid, 4)]


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (
            "Worker exited prematurely: signal 9 (SIGKILL) Job: 3.",
            ChildEnd(1, -9, 9),
        ),
        ("Worker exited prematurely: exitcode 7.", ChildEnd(1, 7)),
        ("Worker exited prematurely: exitcode -241.", ChildEnd(1, -241, 241)),
        ("nothing", None),
        (None, None),
    ],
)
def test_the_message_is_a_second_source(said: str | None, end: ChildEnd | None) -> None:
    assert PoolChildren().of(1, said) == end


@given(st.one_of(st.none(), st.text(), st.from_regex(r"(signal|exitcode) -?\d+")), st.integers())
def test_no_message_is_too_strange(said: str | None, pid: int) -> None:
    end = PoolChildren().of(pid, said)
    assert end is None or (end.exit_code is not None and abs(end.exit_code) < 10**9)


@pytest.mark.parametrize(
    "pool",
    [
        None,
        SimpleNamespace(_pool=None),
        SimpleNamespace(_pool=SimpleNamespace(_pool=None)),
        SimpleNamespace(_pool=SimpleNamespace(_pool=["a greenlet"])),
    ],
)
def test_other_pools_have_no_children(pool: Any) -> None:
    children = PoolChildren()
    children.watch(pool)
    children.forked()
    children.sample()
    assert [*children.ended()] == []
    assert children.of(os.getpid()) is None


def test_a_large_pool_is_watched_in_part() -> None:
    many = [
        SimpleNamespace(pid=number, _popen=SimpleNamespace(returncode=None))
        for number in range(MAX_CHILDREN + 10)
    ]
    children = PoolChildren()
    children.watch(a_pool(*many))
    for process in many:
        process._popen.returncode = 0
    assert len([*children.ended()]) == MAX_CHILDREN


def test_a_fork_forgets_them() -> None:
    process = SimpleNamespace(pid=1, _popen=SimpleNamespace(returncode=0))
    children = PoolChildren()
    children.watch(a_pool(SimpleNamespace(pid=1, _popen=SimpleNamespace(returncode=None))))
    children.after_fork()
    process._popen.returncode = 1
    assert [*children.ended()] == []
    assert children.of(1) is None
