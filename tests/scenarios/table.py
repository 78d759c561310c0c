"""The scenarios: each way in which a task can come to its end, and what has to be known of it then.

The expectations were written down from what Celery does, found out by watching its signals, before
the recorder was run on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tests.celery_versions import CELERY_VERSIONS, NEWEST
from tests.scenarios.expected import (
    Expected,
    eager,
    never_ran,
    once,
    reported_by_main_process,
    twice,
)

PREFORK, THREADS, SOLO, GEVENT, EVENTLET = "prefork", "threads", "solo", "gevent", "eventlet"
EVERY_POOL = (PREFORK, THREADS, SOLO, GEVENT, EVENTLET)
CONCURRENT = (PREFORK, THREADS, GEVENT, EVENTLET)
"""Pools in which the worker hears of a revoke, or of a second message, while a task runs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A worker that the scenarios are played on: version of Celery, and pool."""

    celery: str
    pool: str

    def __str__(self) -> str:
        return f"{self.celery}-{self.pool}"


TARGETS = (
    Target("5.2", PREFORK),
    Target("5.5", PREFORK),
    Target(NEWEST, PREFORK),
    Target("5.2", THREADS),
    Target("5.5", THREADS),
    Target(NEWEST, THREADS),
    Target(NEWEST, SOLO),
    Target(NEWEST, GEVENT),
    Target(NEWEST, EVENTLET),
)


class Act(Enum):
    """When in the life of the workers a scenario is played."""

    RUNNING = "a worker that runs on"
    REDELIVERY = "the same worker, when all others have ended"
    WARM = "the same worker is told to stop; another one follows"
    COLD = "a worker that is stopped cold; another one follows"
    PUT_BACK = "a worker whose main process is held up"
    MEMORY = "a worker of its own"
    KILLED = "a worker whose main process is killed"


@dataclass(frozen=True, slots=True)
class Differs:
    """Another expectation for some versions or pools; None means all."""

    expected: Expected
    celery: tuple[str, ...] | None = None
    pools: tuple[str, ...] | None = None

    def holds(self, target: Target) -> bool:
        """Say whether it is this one that counts for a target."""
        return (self.celery is None or target.celery in self.celery) and (
            self.pools is None or target.pool in self.pools
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row: its name, what is expected, where it is played, and what differs where."""

    name: str
    expected: Expected
    pools: tuple[str, ...] = EVERY_POOL
    act: Act = Act.RUNNING
    celery: tuple[str, ...] = CELERY_VERSIONS
    differs: tuple[Differs, ...] = ()

    def on(self, target: Target) -> Expected:
        """Return what is expected of a target, for good."""
        return next((one.expected for one in self.differs if one.holds(target)), self.expected)


_OLDER = ("5.2", "5.5")
_GREEN = (GEVENT, EVENTLET)
_FORK = (PREFORK,)
_KILLED = reported_by_main_process("failed")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("ok", once("succeeded")),
    Scenario("exception", once("failed")),
    Scenario("retry", twice("retried", "succeeded", sends=2)),
    Scenario("retry exhausted", twice("retried", "failed", sends=2)),
    Scenario("Ignore", once("ignored")),
    Scenario(
        "Reject(requeue=False)",
        # The newest makes a failure of it, and stores that, in the main process. The run was rejected.
        Expected("failed", ("rejected",), ("sent", "received", "started", "rejected", "failed")),
        differs=(Differs(once("rejected"), celery=_OLDER),),
    ),
    Scenario("Reject(requeue=True)", twice("rejected", "succeeded", sends=1)),
    Scenario("self.replace(sig)", twice("ignored", "succeeded", sends=2)),
    Scenario("self.replace(group)", twice("ignored", "succeeded", sends=2)),
    Scenario(
        "soft time limit",
        once("failed"),
        differs=(Differs(once("succeeded"), pools=(THREADS, SOLO, GEVENT, EVENTLET)),),
    ),
    Scenario(
        "hard time limit",
        once("aborted", "failed", state="failed"),
        pools=(PREFORK, THREADS, SOLO),
        differs=(Differs(once("succeeded"), pools=(THREADS, SOLO)),),
    ),
    Scenario("child SIGKILL", _KILLED, pools=_FORK),
    Scenario("child os._exit", _KILLED, pools=_FORK),
    Scenario(
        # The main process has not read yet that the child took it, so another child gets it as well.
        "child os._exit, not accepted",
        Expected(
            "failed",
            ("lost", "failed"),
            ("sent", "received", "started", "lost", "started", "lost", "failed"),
        ),
        pools=_FORK,
        act=Act.PUT_BACK,
    ),
    Scenario("child SIGKILL, acks_late", _KILLED, pools=_FORK),
    Scenario(
        "child SIGKILL, reject_on_worker_lost", twice("lost", "succeeded", sends=1), pools=_FORK
    ),
    Scenario(
        # Only the newest knows the setting: its main process sends the retry, and says so.
        "child SIGKILL, retry_on_worker_lost",
        Expected(
            "succeeded",
            ("retried", "succeeded"),
            (
                *("sent", "received", "started", "lost", "retried"),
                *("sent", "received", "started", "succeeded"),
            ),
        ),
        pools=_FORK,
        celery=(NEWEST,),
    ),
    Scenario(
        "sys.exit() in task",
        once("aborted", "failed", state="failed"),
        pools=_FORK,
        differs=(Differs(once("aborted"), celery=("5.5",)),),
    ),
    Scenario("MemoryError raised", once("failed"), pools=_FORK, act=Act.MEMORY),
    Scenario("unpicklable result", once("failed")),
    Scenario(
        "after_return raises",
        once("succeeded"),
        # Up to 5.5 the backend has a failure, which comes after the success.
        differs=(Differs(once("failed"), celery=_OLDER),),
    ),
    Scenario(
        # Between the end of the run and the failure another thread of the same process ends a run.
        "after_return raises, beside another task",
        once("failed"),
        pools=CONCURRENT,
        celery=_OLDER,
    ),
    Scenario(
        "on_success raises",
        once("succeeded"),
        differs=(Differs(once("failed"), celery=_OLDER),),
    ),
    Scenario("update_state(custom)", once("succeeded")),
    Scenario("task() called directly", once("succeeded")),
    Scenario("unknown task", never_ran("sent", "unknown")),
    Scenario("malformed message", Expected(None, (), ("malformed",))),
    Scenario("revoked before start / ETA", never_ran("sent", "received", "revoked")),
    Scenario("expired before start / ETA", never_ran("sent", "received", "expired")),
    Scenario("revoked before reception", never_ran("sent", "revoked")),
    Scenario("expired before reception", never_ran("sent", "expired")),
    Scenario(
        "revoke(terminate=True) SIGTERM, running",
        once("aborted", "revoked", state="revoked"),
        pools=(PREFORK, THREADS, GEVENT),
        differs=(Differs(once("succeeded"), pools=(THREADS,)),),
    ),
    Scenario(
        "revoke(terminate=True) SIGKILL, running",
        reported_by_main_process("revoked"),
        pools=_FORK,
    ),
    Scenario("revoke without terminate, running", once("succeeded"), pools=CONCURRENT),
    Scenario("eager (apply)", eager("succeeded")),
    Scenario("eager (apply), exception", eager("failed")),
    Scenario("eager (apply), retry", eager("retried", "succeeded")),
    Scenario("eager (task_always_eager)", eager("succeeded")),
    Scenario("eager chord", eager("succeeded")),
    Scenario("broker down at publish", never_ran("send_failed")),
    Scenario(
        "visibility_timeout redelivery",
        twice("succeeded", "succeeded", sends=1),
        pools=CONCURRENT,
        act=Act.REDELIVERY,
    ),
    Scenario("warm shutdown, running", once("succeeded"), pools=_FORK, act=Act.WARM),
    Scenario(
        "warm shutdown, prefetched",
        Expected(
            "succeeded", ("succeeded",), ("sent", "received", "received", "started", "succeeded")
        ),
        pools=_FORK,
        act=Act.WARM,
    ),
    Scenario(
        "warm shutdown, ETA",
        Expected(
            "succeeded", ("succeeded",), ("sent", "received", "received", "started", "succeeded")
        ),
        pools=_FORK,
        act=Act.WARM,
    ),
    Scenario(
        "cold shutdown",
        once("aborted", "retried", state="retried"),
        pools=_FORK,
        act=Act.COLD,
        differs=(Differs(once("aborted"), celery=("5.2",)),),
    ),
    Scenario(
        "cold shutdown, acks_late",
        twice("aborted", "succeeded", sends=1),
        pools=_FORK,
        act=Act.COLD,
        differs=(
            # 5.5 announces a retry of it as well, though the broker is what gives it out again.
            Differs(
                Expected(
                    "succeeded",
                    ("retried", "succeeded"),
                    (
                        *("sent", "received", "started", "aborted", "retried"),
                        *("received", "started", "succeeded"),
                    ),
                ),
                celery=("5.5",),
            ),
        ),
    ),
    Scenario("max_tasks_per_child", once("succeeded"), pools=_FORK, act=Act.KILLED),
    Scenario("MainProcess SIGKILL", once("lost"), act=Act.KILLED),
)


def played_on(target: Target, *acts: Act) -> tuple[Scenario, ...]:
    """Return the scenarios that are played on a target, in these acts or in all."""
    return tuple(
        one
        for one in SCENARIOS
        if target.pool in one.pools
        and target.celery in one.celery
        and (not acts or one.act in acts)
    )
