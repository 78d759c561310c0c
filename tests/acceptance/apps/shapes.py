"""Tasks for workflows that end in other ways than well; beside those of ``ordinary``, on its app."""

from __future__ import annotations

import time

from celery.exceptions import Ignore
from ordinary import app, note


@app.task(bind=True, name="shapes.check")
def check(self, number, wrong=()):
    note(self, time.time())
    if number in wrong:
        raise ValueError(f"number {number} is wrong")
    return number


@app.task(bind=True, name="shapes.skip")
def skip(self, number):
    """End without a result, which no chord counts."""
    note(self, time.time())
    raise Ignore


@app.task(bind=True, name="shapes.again", max_retries=3)
def again(self, number):
    note(self, time.time())
    if self.request.retries == 0:
        raise self.retry(exc=ConnectionError("not yet"), countdown=0)
    return number


@app.task(bind=True, name="shapes.spawn")
def spawn(self, children):
    note(self, time.time())
    for number in range(children):
        check.delay(number)
