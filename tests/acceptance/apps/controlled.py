"""An ordinary Celery application whose tasks fail for as long as a file says so.

Each task writes down what it was really given, so that a test can compare a retry with the original.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from celery import Celery

broker = os.environ["BROKER_URL"]
app = Celery("controlled", broker=broker, backend=os.environ.get("RESULT_URL", broker))
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    result_expires=3600,
    result_extended=True,
)


def note(task, **given):
    line = json.dumps(
        {
            "id": task.request.id,
            "task": task.name,
            "root": task.request.root_id,
            "group": task.request.group,
            **given,
        }
    )
    fd = os.open(os.environ["WORKLOAD_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


def broken() -> bool:
    return Path(os.environ["BROKEN_WHILE"]).exists()


@app.task(bind=True, name="controlled.charge")
def charge(self, order, password=None):
    note(self, order=order, password=password)
    if broken():
        raise ConnectionError(f"order {order}: no connection")
    return order


@app.task(bind=True, name="controlled.part")
def part(self, number, fails=False):
    note(self, number=number)
    if fails and broken():
        raise ValueError(f"part {number} is broken")
    return number


@app.task(bind=True, name="controlled.whole")
def whole(self, parts, factor=1):
    note(self, parts=parts)
    return sum(parts) * factor


@app.task(bind=True, name="controlled.later")
def later(self, before):
    note(self, before=before)
    return before


@app.task(bind=True, name="controlled.nap")
def nap(self, seconds):
    note(self, seconds=seconds)
    time.sleep(seconds)
