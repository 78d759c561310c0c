"""The application that is soaked: it writes down by itself what it published and what ran.

One line an event, appended by one write: ``kind id retries pid``. ``sent`` is a publish that
Celery reported, ``ran`` the first thing a task does. It does not know celerytrail.
"""

from __future__ import annotations

import os
import time

from celery import Celery, signals

broker = os.environ["BROKER_URL"]
app = Celery("soaked", broker=broker, backend=os.environ["RESULT_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=8,
    result_expires=600,
    task_store_errors_even_if_ignored=False,
)
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
SURVIVES = {"acks_late": True, "reject_on_worker_lost": True}


class Notebook:
    """The file of this process: opened at the first line, and again after a fork."""

    def __init__(self) -> None:
        self._fd, self._pid = -1, -1

    def write(self, kind: str, task_id: str, retries: int) -> None:
        pid = os.getpid()
        if pid != self._pid:
            self._fd, self._pid = os.open(os.environ["WORKLOAD_RECORD"], FLAGS, 0o600), pid
        os.write(self._fd, f"{kind} {task_id} {retries} {pid}\n".encode())


notebook = Notebook()


@signals.after_task_publish.connect
def published(headers=None, **_) -> None:
    notebook.write("sent", headers["id"], headers["retries"])


def ran(task) -> None:
    notebook.write("ran", task.request.id, task.request.retries)


@app.task(bind=True, name="soaked.nothing", ignore_result=True)
def nothing(self, number):
    ran(self)


@app.task(bind=True, name="soaked.sturdy", ignore_result=True, **SURVIVES)
def sturdy(self, number):
    ran(self)


@app.task(bind=True, name="soaked.nap", ignore_result=True)
def nap(self, seconds):
    ran(self)
    time.sleep(seconds)


@app.task(bind=True, name="soaked.sturdy_nap", ignore_result=True, **SURVIVES)
def sturdy_nap(self, seconds):
    ran(self)
    time.sleep(seconds)


@app.task(bind=True, name="soaked.fail", ignore_result=True)
def fail(self, message):
    ran(self)
    raise ValueError(message)


@app.task(bind=True, name="soaked.flaky", ignore_result=True, max_retries=5)
def flaky(self, times):
    ran(self)
    if self.request.retries < times:
        raise self.retry(exc=ConnectionError("not yet"), countdown=0)


@app.task(bind=True, name="soaked.spawn", ignore_result=True)
def spawn(self, count):
    ran(self)
    for number in range(count):
        nothing.apply_async((number,))


@app.task(bind=True, name="soaked.add")
def add(self, x, y):
    ran(self)
    return x + y


@app.task(bind=True, name="soaked.total")
def total(self, values):
    ran(self)
    return sum(values)
