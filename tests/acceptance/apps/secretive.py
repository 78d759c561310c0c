"""Tasks that are handed secrets, and give them away again in results, exceptions and tracebacks."""

from __future__ import annotations

import logging
import os
import runpy

from celery import Celery
from celery.signals import after_setup_logger

from celerytrail.exporter.agent import sensitive

broker = os.environ["BROKER_URL"]
app = Celery("secretive", broker=broker, backend=broker)
app.conf.update(broker_connection_retry_on_startup=True, result_expires=600)


@after_setup_logger.connect
def quiet(**_) -> None:
    """Keep Celery itself from logging names, exceptions and results: the test looks for ours."""
    for name in ("celery.app.trace", "celery.worker.strategy"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


@app.task
def take(*args, **kwargs):
    return None


@app.task
def give(*values):
    return {"first": list(values), "text": f"<Order {values!r}>"}


@app.task
def blow(text):
    try:
        raise KeyError("inner", text)
    except KeyError as exc:
        raise RuntimeError(text, {"again": text}) from exc


@app.task(bind=True, max_retries=1)
def again(self, text):
    raise self.retry(exc=ValueError(text), countdown=0)


@app.task
def run(path):
    runpy.run_path(path)


@app.task
def login(user, password):
    return user


@app.task
def check(user, *tokens):
    return user


@app.task
@sensitive("serial", 0, result=True, exception=True)
def pay(first, serial, fail=False):
    if fail:
        raise ValueError(f"cannot pay {first} with {serial}")
    return [first, serial]
