"""An ordinary Celery application: it does not know celerytrail.

Each task writes down, in a file of its own making, that it ran: what the tests compare with.
"""

from __future__ import annotations

import json
import os
import time

from celery import Celery, states

broker = os.environ["BROKER_URL"]
app = Celery("ordinary", broker=broker, backend=os.environ.get("RESULT_URL", broker))
app.conf.update(
    task_routes={"ordinary.flaky": {"queue": "slow lane"}},
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    result_expires=3600,
)


def note(task, begun: float) -> None:
    """Append one line: which task ran, as which attempt, from when to when."""
    line = json.dumps(
        {
            "id": task.request.id,
            "task": task.name,
            "retries": task.request.retries,
            "begun": begun,
            "done": time.time(),
            "pid": os.getpid(),
        }
    )
    fd = os.open(os.environ["WORKLOAD_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


@app.task(bind=True, name="ordinary.add")
def add(self, x, y, password=None):
    begun = time.time()
    note(self, begun)
    return x + y


@app.task(bind=True, name="ordinary.fail")
def fail(self, message):
    note(self, time.time())
    raise ValueError(message)


def let_the_retry_be_told(task_id: str) -> None:
    """Return when the backend has the retry that led to this attempt, and has forgotten it.

    Celery writes it after the next attempt was sent: in another process that may be after its end.
    """
    until = time.monotonic() + 20
    while app.backend.get_task_meta(task_id)["status"] != states.RETRY:
        if time.monotonic() > until:
            return
        time.sleep(0.01)
    app.backend.forget(task_id)


@app.task(bind=True, name="ordinary.flaky", max_retries=5)
def flaky(self, times):
    note(self, time.time())
    if self.request.retries:
        let_the_retry_be_told(self.request.id)
    if self.request.retries < times:
        raise self.retry(exc=ConnectionError("not yet"), countdown=0)
    return self.request.retries


@app.task(bind=True, name="ordinary.total")
def total(self, values):
    note(self, time.time())
    return sum(values)


@app.task(bind=True, name="ordinary.nap")
def nap(self, seconds):
    begun = time.time()
    time.sleep(seconds)
    note(self, begun)


@app.task(bind=True, name="ordinary.die")
def die(self):
    note(self, time.time())
    os._exit(3)
