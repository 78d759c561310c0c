"""Tasks that write down what they were given, and fail while a file says so."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from ordinary import app


def note(task, args, kwargs) -> None:
    """Append one line: which task ran, with what."""
    line = json.dumps(
        {
            "id": task.request.id,
            "task": task.name,
            "args": args,
            "kwargs": kwargs,
            "group": task.request.group,
            "root": task.request.root_id,
            "exchange": task.request.delivery_info.get("exchange"),
            "routing_key": task.request.delivery_info.get("routing_key"),
            "priority": task.request.delivery_info.get("priority"),
            "stamps": getattr(task.request, "stamps", None),
        }
    )
    fd = os.open(os.environ["WORKLOAD_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


@app.task(bind=True, name="moody.echo")
def echo(self, *args, **kwargs):
    note(self, args, kwargs)
    return args[0] if args else None


@app.task(bind=True, name="moody.pay")
def pay(self, number, password=None):
    """Fail for the numbers that a file beside the record lists, as long as it lists them."""
    note(self, [number], {"password": password})
    broken = Path(os.environ["WORKLOAD_RECORD"] + ".broken")
    if broken.exists() and number in json.loads(broken.read_text()):
        raise ValueError("no money")
    return number


@app.task(bind=True, name="moody.total")
def total(self, values):
    note(self, [values], {})
    return sum(values)


@app.task(bind=True, name="moody.wait")
def wait(self, seconds):
    """Note the begin, then wait until the time is over, or a file beside the record is there."""
    note(self, [seconds], {})
    over = time.monotonic() + seconds
    go = Path(os.environ["WORKLOAD_RECORD"] + ".go")
    while time.monotonic() < over and not go.exists():
        time.sleep(0.05)
