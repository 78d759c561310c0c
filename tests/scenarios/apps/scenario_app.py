"""An ordinary Celery app with a task for each way to end. It does not know celerytrail.

A task that has to be caught while it runs makes a file when it has begun, and ends when there is
another one, or by itself after minutes. A task that ends its child waits until the main process
knows that the child has it: one that dies earlier may be run again, by another child.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import uuid
from pathlib import Path

from billiard import current_process
from celery import Celery, Task, group
from celery.exceptions import Ignore, Reject
from celery.signals import after_setup_logger, task_internal_error
from celery.utils.log import get_multiprocessing_logger

FOLDER = Path(os.environ["SCENARIO_FOLDER"])
HOLD_UP, HELD_UP = FOLDER / "hold-up", FOLDER / "held-up"
PATIENCE_SECONDS = 240
# Longer than a limit of a second: by far where it is enforced, by little where it is not.
BEYOND_LIMIT_SECONDS = PATIENCE_SECONDS if os.environ.get("SCENARIO_LIMITS") else 2.5

broker = os.environ["BROKER_URL"]
app = Celery("scenario_app", broker=broker, backend=os.environ.get("RESULT_URL", broker))
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    result_expires=3600,
)


def begun(task_id: str) -> list[Path]:
    """Return the files of the runs of a task that have begun."""
    return sorted(FOLDER.glob(f"begun-{task_id}-*"))


def release(task_id: str) -> None:
    """Let every run of a task end."""
    (FOLDER / f"release-{task_id}").touch()


def hold(task_id: str) -> None:
    """Say that a run of a task has begun, and wait until it may end."""
    (FOLDER / f"begun-{task_id}-{uuid.uuid4().hex}").touch()
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (FOLDER / f"release-{task_id}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)


def await_acceptance(task: Task) -> None:
    """Wait until the main process has read that this child took the task, as it tells itself."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told = app.control.inspect(destination=[task.request.hostname], timeout=60).active() or {}
        if any(one["id"] == task.request.id for tasks in told.values() for one in tasks):
            return
    raise TimeoutError("the main process has not accepted the task")


def first_time(task_id: str) -> bool:
    """Say whether no run of a task has begun before, and note that one has."""
    before = begun(task_id)
    (FOLDER / f"begun-{task_id}-{uuid.uuid4().hex}").touch()
    return not before


class SlowLog(logging.Handler):
    """Holds the main process up where it tells of a child's end, for as long as there is a file."""

    def emit(self, record: logging.LogRecord) -> None:
        if "exited with" in record.getMessage() and HOLD_UP.exists():
            HELD_UP.touch()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while HOLD_UP.exists() and time.monotonic() < deadline:
                time.sleep(0.05)


@after_setup_logger.connect
def log_slowly(**_: object) -> None:
    get_multiprocessing_logger().addHandler(SlowLog())


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail():
    raise ValueError("no")


@app.task(bind=True, max_retries=1)
def flaky(self):
    if not self.request.retries:
        raise self.retry(exc=KeyError("again"), countdown=0)
    return self.request.retries


@app.task(bind=True, max_retries=1)
def hopeless(self):
    raise self.retry(exc=KeyError("never"), countdown=0)


@app.task
def ignore():
    raise Ignore("not today")


@app.task
def reject():
    raise Reject("not this one", requeue=False)


@app.task(bind=True, acks_late=True)
def reject_once(self):
    if first_time(self.request.id):
        raise Reject("later", requeue=True)


@app.task(bind=True)
def replace_by_task(self):
    return self.replace(add.s(40, 1))


@app.task(bind=True)
def replace_by_group(self):
    return self.replace(group(add.s(1, 1), add.s(2, 2)))


@app.task(soft_time_limit=1)
def softly_limited():
    time.sleep(BEYOND_LIMIT_SECONDS)


@app.task(time_limit=1)
def limited():
    time.sleep(BEYOND_LIMIT_SECONDS)


@app.task(bind=True)
def kill_child(self):
    await_acceptance(self)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def exit_child(self):
    await_acceptance(self)
    os._exit(3)


@app.task(bind=True, acks_late=True)
def kill_child_late(self):
    await_acceptance(self)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, acks_late=True, reject_on_worker_lost=True)
def kill_child_once(self):
    if first_time(self.request.id):
        await_acceptance(self)
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True, retry_on_worker_lost=True, default_retry_delay=0)
def kill_child_retried(self):
    if not self.request.retries:
        await_acceptance(self)
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def exit_unaccepted(self):
    """End the child at once the first time; the second time as ``exit_child`` does."""
    if not first_time(self.request.id):
        await_acceptance(self)
    os._exit(3)


@app.task(bind=True)
def occupy(self):
    """Say which child this is, by its place in the pool, and hold it."""
    (FOLDER / f"child-{current_process().index}").write_text(f"{os.getpid()} {self.request.id}")
    hold(self.request.id)


@app.task(bind=True)
def leave(self):
    await_acceptance(self)
    sys.exit(7)


@app.task
def exhaust():
    raise MemoryError("all of it")


@app.task
def unserialisable():
    return object()


class Careless(Task):
    def after_return(self, *args, **kwargs):
        raise RuntimeError("after the end")


@app.task(base=Careless)
def careless():
    return 1


@app.task(base=Careless)
def careless_slowly():
    return 1


@task_internal_error.connect(sender=careless_slowly)
def hold_failure(task_id, **_: object) -> None:
    """Hold the run up that has ended, before Celery makes a failure of what was raised."""
    hold(task_id)


class Triumphant(Task):
    def on_success(self, *args, **kwargs):
        raise RuntimeError("after the success")


@app.task(base=Triumphant)
def triumphant():
    return 1


@app.task(bind=True)
def progress(self):
    self.update_state(state="HALFWAY", meta={"done": 1})
    return 2


@app.task
def call_directly():
    return add(1, 2)


@app.task(bind=True)
def held(self):
    hold(self.request.id)


@app.task(bind=True, acks_late=True)
def held_late(self):
    hold(self.request.id)
