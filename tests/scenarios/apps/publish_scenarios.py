"""Play scenarios by name, and print the id of each one's task as a line of JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from celery import Celery, chord
from celery.exceptions import OperationalError
from kombu import Connection, Exchange, Producer
from scenario_app import (
    FOLDER,
    HELD_UP,
    HOLD_UP,
    add,
    app,
    begun,
    broker,
    call_directly,
    careless,
    careless_slowly,
    exhaust,
    exit_child,
    exit_unaccepted,
    fail,
    flaky,
    held,
    held_late,
    hopeless,
    ignore,
    kill_child,
    kill_child_late,
    kill_child_once,
    kill_child_retried,
    leave,
    limited,
    occupy,
    progress,
    reject,
    reject_once,
    release,
    replace_by_group,
    replace_by_task,
    softly_limited,
    total,
    triumphant,
    unserialisable,
)

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)

DEADLINE = time.monotonic() + 280


def wait_for(condition: Callable[[], object], what: str) -> None:
    while not condition():
        if time.monotonic() > DEADLINE:
            sys.exit(f"gave up waiting for {what}")
        time.sleep(0.05)


def revoke(task_id: str, **how: object) -> None:
    answers = app.control.revoke(task_id, reply=True, timeout=60, limit=1, **how)
    if not answers:
        sys.exit("no worker answered the revoke")


def start_held(task=held, **options: object) -> str:
    task_id = task.apply_async(**options).id
    wait_for(lambda: begun(task_id), "the start of a held task")
    return task_id


def malformed() -> None:
    with Connection(broker) as connection:
        Producer(connection).publish(
            {"no": "task"}, exchange=Exchange(""), routing_key="celery", serializer="json"
        )


def leave_alone(_: str) -> None:
    """Nothing has to be done to a task that expires."""


def caught_waiting(act: Callable[[str], object], *, expires: bool = False) -> str:
    """Return a task that the worker held for its time when ``act`` was over.

    On a slow machine its time may have come by then: another one gets twice as much.
    """
    seconds = 6.0
    while True:
        last = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        options = {"expires": last} if expires else {}
        task_id = add.apply_async((1, 1), eta=last + timedelta(seconds=1), **options).id

        def too_late(last: datetime = last) -> bool:
            return datetime.now(timezone.utc) >= last

        while not (task_id in answer("scheduled") or too_late()):
            time.sleep(0.05)
        act(task_id)
        if not too_late():
            return task_id
        seconds *= 2


def revoked_unreceived() -> str:
    task_id = str(uuid.uuid4())
    revoke(task_id)
    return add.apply_async((1, 1), task_id=task_id).id


def expired_unreceived() -> str:
    past = datetime.now(timezone.utc) - timedelta(hours=1)
    return add.apply_async((1, 1), expires=past).id


def terminated(signal: str) -> str:
    task_id = start_held()
    revoke(task_id, terminate=True, signal=signal)
    release(task_id)  # where nothing terminates it
    return task_id


def revoked_running() -> str:
    task_id = start_held()
    revoke(task_id)
    release(task_id)
    return task_id


def always_eager() -> str:
    app.conf.task_always_eager = True
    try:
        return add.delay(1, 1).id
    finally:
        app.conf.task_always_eager = False


def eager_chord() -> str:
    app.conf.task_always_eager = True
    try:
        result = chord([add.s(1, 1), add.s(2, 2)])(total.s())
        if result.get(disable_sync_subtasks=False) != 6:
            sys.exit("the eager chord has another result")
        return result.id
    finally:
        app.conf.task_always_eager = False


def broker_down() -> str:
    task_id = str(uuid.uuid4())
    nobody = Celery("nobody", broker="redis://127.0.0.1:1/0", set_as_current=False)
    try:
        nobody.send_task("scenario_app.add", (1, 1), task_id=task_id, retry=False)
    except (OperationalError, OSError):
        return task_id
    sys.exit("the message was published to nobody")


def redelivered() -> str:
    task_id = start_held(held_late)
    with app.connection_for_write(transport_options={"visibility_timeout": 1}) as connection:
        channel = connection.default_channel

        def unacked() -> list[tuple[bytes, float]]:
            return channel.client.zrange(channel.unacked_index_key, 0, -1, withscores=True)

        first = unacked()

        def given_out_again() -> bool:
            if unacked() == first:  # no more than once: the second reception would time out, too
                channel.qos.restore_visible(interval=1)
            return unacked() != first

        wait_for(given_out_again, "the redelivery")
    wait_for(lambda: len(begun(task_id)) > 1, "the second run")
    release(task_id)
    return task_id


def answer(command: str) -> list[str]:
    """Return the ids of the tasks that the worker names, once it has answered."""
    while True:
        told = getattr(app.control.inspect(timeout=60, limit=1), command)()
        if told:
            tasks = [one for tasks in told.values() for one in tasks]
            return [one.get("request", one)["id"] for one in tasks]
        if time.monotonic() > DEADLINE:
            sys.exit(f"no worker answered {command}")


def put_back() -> str:
    """Let a child die after it took a task, while the main process is busy with another child's end.

    The main process looks at its children from the last to the first, then at their tasks. It sees
    the last one alive, is held up by what it has to log of the first one, and finds the last one
    dead and its task not accepted.
    """
    for _ in range(2):
        start_held(occupy)
    (first, _), (last, in_last) = (
        (FOLDER / f"child-{index}").read_text().split() for index in (0, 1)
    )
    release(in_last)
    wait_for(lambda: in_last not in answer("active"), "the end of the last child's task")
    os.kill(int(last), signal.SIGSTOP)
    task_id = exit_unaccepted.delay().id
    wait_for(lambda: task_id in answer("reserved"), "the reception")
    for _ in range(2):  # between two answers it has written what it had for its children
        answer("active")
    HOLD_UP.touch()
    os.kill(int(first), signal.SIGKILL)
    wait_for(HELD_UP.exists, "the main process to be held up")
    os.kill(int(last), signal.SIGCONT)
    state = Path(f"/proc/{last}/stat")
    wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", "the child's death")
    HOLD_UP.unlink()
    wait_for(lambda: len(begun(task_id)) > 1, "the second run")
    return task_id


def careless_beside_another() -> str:
    task_id = start_held(careless_slowly)
    for _ in range(2):  # when the second of them has a result, the first has ended for all
        add.delay(1, 1).get(timeout=120)
    release(task_id)
    return task_id


def waiting_long() -> str:
    return add.apply_async((1, 1), countdown=12).id


def fillers() -> None:
    # The other place of the worker's two, so that what comes next is prefetched and not run.
    (FOLDER / "filler").write_text(start_held())


SCENARIOS: dict[str, Callable[[], str | None]] = {
    "ok": lambda: add.delay(1, 2).id,
    "exception": lambda: fail.delay().id,
    "retry": lambda: flaky.delay().id,
    "retry exhausted": lambda: hopeless.delay().id,
    "Ignore": lambda: ignore.delay().id,
    "Reject(requeue=False)": lambda: reject.delay().id,
    "Reject(requeue=True)": lambda: reject_once.delay().id,
    "self.replace(sig)": lambda: replace_by_task.delay().id,
    "self.replace(group)": lambda: replace_by_group.delay().id,
    "soft time limit": lambda: softly_limited.delay().id,
    "hard time limit": lambda: limited.delay().id,
    "child SIGKILL": lambda: kill_child.delay().id,
    "child os._exit": lambda: exit_child.delay().id,
    "child os._exit, not accepted": put_back,
    "child SIGKILL, acks_late": lambda: kill_child_late.delay().id,
    "child SIGKILL, reject_on_worker_lost": lambda: kill_child_once.delay().id,
    "child SIGKILL, retry_on_worker_lost": lambda: kill_child_retried.delay().id,
    "sys.exit() in task": lambda: leave.delay().id,
    "MemoryError raised": lambda: exhaust.delay().id,
    "unpicklable result": lambda: unserialisable.delay().id,
    "after_return raises": lambda: careless.delay().id,
    "after_return raises, beside another task": careless_beside_another,
    "on_success raises": lambda: triumphant.delay().id,
    "update_state(custom)": lambda: progress.delay().id,
    "task() called directly": lambda: call_directly.delay().id,
    "unknown task": lambda: app.send_task("no.such.task", (1,)).id,
    "malformed message": malformed,
    "revoked before start / ETA": lambda: caught_waiting(revoke),
    "expired before start / ETA": lambda: caught_waiting(leave_alone, expires=True),
    "revoked before reception": revoked_unreceived,
    "expired before reception": expired_unreceived,
    "revoke(terminate=True) SIGTERM, running": lambda: terminated("SIGTERM"),
    "revoke(terminate=True) SIGKILL, running": lambda: terminated("SIGKILL"),
    "revoke without terminate, running": revoked_running,
    "eager (apply)": lambda: add.apply((1, 2)).id,
    "eager (apply), exception": lambda: fail.apply().id,
    "eager (apply), retry": lambda: flaky.apply().id,
    "eager (task_always_eager)": always_eager,
    "eager chord": eager_chord,
    "broker down at publish": broker_down,
    "visibility_timeout redelivery": redelivered,
    "warm shutdown, running": start_held,
    "warm shutdown, prefetched": lambda: add.delay(1, 2).id,
    "warm shutdown, ETA": waiting_long,
    "cold shutdown": start_held,
    "cold shutdown, acks_late": lambda: start_held(held_late),
    "max_tasks_per_child": lambda: add.delay(1, 2).id,
    "MainProcess SIGKILL": start_held,
}

if __name__ == "__main__":
    Path(FOLDER).mkdir(exist_ok=True)
    for name in json.loads(sys.argv[1]):
        if name == "warm shutdown, prefetched":
            fillers()
        print(json.dumps({"name": name, "id": SCENARIOS[name]()}), flush=True)
