"""An ordinary Celery app for canvases of every shape. Runs on Celery 5.2 and on the newest.

Each task writes down, in a file of the workload's own, which place of which canvas it was.
"""

import json
import os

from celery import Celery, chain, chord, group

broker = os.environ["BROKER_URL"]
app = Celery("canvas_app", broker=broker, backend=os.environ.get("RESULT_URL", broker))
app.conf.update(
    task_default_queue="canvas",
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    result_chord_retry_interval=0.2,
    task_always_eager=bool(os.environ.get("EAGER")),
)


def note(**line):
    """Append one line to the file of the workload."""
    fd = os.open(os.environ["WORKLOAD_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, json.dumps(line).encode() + b"\n")
    finally:
        os.close(fd)


def here(task, case, name):
    note(case=case, name=name, id=task.request.id)


@app.task(bind=True)
def work(self, *args, case, name):
    """Be one place of a canvas, whatever comes from the places before."""
    here(self, case, name)
    return name


@app.task(bind=True)
def fail(self, *args, case, name):
    here(self, case, name)
    raise ValueError(name)


@app.task(bind=True, max_retries=5)
def flaky(self, *args, case, name):
    here(self, case, name)
    if self.request.retries < 2:
        raise self.retry(exc=KeyError(name), countdown=0)
    return name


@app.task(bind=True)
def spawn(self, *args, case, name):
    """Publish one more task from inside."""
    here(self, case, name)
    work.delay(case=case, name="spawned")


@app.task(bind=True)
def quits(self, *args, case, name):
    """Break the chain off, and send something else."""
    here(self, case, name)
    self.request.chain = None
    work.delay(case=case, name="spawned")


@app.task(bind=True)
def publish(self, *args, case, name, what):
    """Publish a canvas from inside."""
    here(self, case, name)
    if what == "group":
        result = group([work.s(case=case, name=f"m{n}") for n in range(3)]).apply_async()
        note(case=case, group="inner", id=result.id)
    else:
        headers = [work.s(case=case, name=f"h{n}") for n in range(3)]
        result = chord(headers)(work.s(case=case, name="body"))
        note(case=case, group="inner", id=result.parent.id)


@app.task(bind=True)
def replaced(self, *args, case, name, what):
    """Be replaced by a task, a group, a chord or a chain."""
    here(self, case, name)
    leaves = [work.si(case=case, name=f"r{n}") for n in range(2)]
    if what == "task":
        raise self.replace(leaves[0])
    if what == "group":
        raise self.replace(group(leaves))
    if what == "chord":
        raise self.replace(chord(leaves, work.s(case=case, name="rbody")))
    raise self.replace(chain(leaves))


@app.task(bind=True)
def grow(self, *args, case, name):
    """Add one more header to the chord that this one is of."""
    here(self, case, name)
    self.add_to_chord(work.s(case=case, name="added"))
    return name


@app.task(bind=True)
def errback(self, *args, case, name):
    """Be told of a failure, by id or with a request, as the version does it."""
    here(self, case, name)


@app.task
def double(number):
    note(case="pieces", name="piece", id=double.request.id)
    return 2 * number


@app.task
def plus(one, two):
    return one + two
