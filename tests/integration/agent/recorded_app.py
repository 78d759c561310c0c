"""An ordinary Celery app: it knows nothing of a recorder. Runs on Celery 5.2 and on the newest."""

import os
import signal
import time

from celery import Celery, group
from celery.exceptions import Ignore, Reject

app = Celery("recorded_app", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.update(
    task_default_queue="recorded",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    beat_schedule={"tick": {"task": "recorded_app.add", "schedule": 0.2, "args": (1, 1)}},
)
if "POOL_START_METHOD" in os.environ:
    app.conf.worker_pool_start_method = os.environ["POOL_START_METHOD"]


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(text):
    raise ValueError(text)


@app.task(bind=True, max_retries=5)
def flaky(self, failures):
    if self.request.retries < failures:
        raise self.retry(exc=KeyError("again"), countdown=0)
    return self.request.retries


@app.task(bind=True, max_retries=1)
def hopeless(self):
    raise self.retry(exc=KeyError("never"), countdown=0)


@app.task
def parent():
    return add.delay(20, 1).id


@app.task
def fan():
    return group([add.s(30, 1), add.s(30, 2)]).apply_async().id


@app.task(bind=True)
def replaced(self):
    return self.replace(add.s(40, 1))


@app.task
def ignored():
    raise Ignore("not today")


@app.task
def rejected():
    raise Reject("not this one", requeue=False)


@app.task
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(time_limit=1)
def limited():
    time.sleep(60)


@app.task
def slow(path):
    with open(path, "w", encoding="utf-8"):
        pass
    time.sleep(60)
