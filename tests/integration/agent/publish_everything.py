"""Publish one of everything and print, as JSON, what the app and its result backend say of it."""

import json
import os
import sys
import time

from celery import chain, chord, group
from recorded_app import (
    add,
    app,
    fail,
    fan,
    flaky,
    hopeless,
    ignored,
    killed,
    limited,
    parent,
    rejected,
    replaced,
    slow,
    total,
)

if sys.argv[1] == "with agent":
    import celerytrail.exporter.auto  # noqa: F401

DEADLINE = time.monotonic() + 200


def wait_for(condition, what):
    while not condition():
        if time.monotonic() > DEADLINE:
            sys.exit(f"gave up waiting for {what}")
        time.sleep(0.05)


def ids_below(result):
    found = []
    for child in getattr(result, "results", None) or ():
        found += ids_below(child)
    if not getattr(result, "results", None):
        found.append(result.id)
    return found


if sys.argv[1] != "with agent":
    result = add.delay(7, 7)
    assert result.get(timeout=60) == 14
    print(json.dumps({"add": result.id}))
    sys.exit(0)

alone = {
    "add": add.delay(1, 2),
    "fail": fail.delay("boom é"),
    "flaky": flaky.delay(2),
    "hopeless": hopeless.delay(),
    "parent": parent.delay(),
    "fan": fan.delay(),
    "replaced": replaced.delay(),
    "killed": killed.delay(),
    "limited": limited.delay(),
    "revoked": add.apply_async((9, 9), countdown=1.5),
    "expired": add.apply_async((9, 9), countdown=1, expires=0.5),
}
silent = {"ignored": ignored.delay(), "rejected": rejected.delay()}
unknown = app.send_task("no.such.task", (1,))
unconsumed = add.apply_async((3, 3), queue="nobody")
app.control.revoke(alone["revoked"].id, reply=True, limit=1, timeout=60)

started = os.path.join(os.getcwd(), "started")
alone["terminated"] = slow.delay(started)
wait_for(lambda: os.path.exists(started), "the slow task")
app.control.revoke(
    alone["terminated"].id, terminate=True, signal="SIGKILL", reply=True, limit=1, timeout=60
)

group_result = group([add.s(n, n) for n in range(5)]).apply_async()
chord_result = chord([add.s(n, n) for n in range(5)])(total.s())
chain_result = chain(add.s(1, 1), add.s(2), add.s(3)).apply_async()
nested_result = group(
    [chord([add.s(n, 1), add.s(n, 2)], total.s()) for n in range(2)] + [add.s(5, 5)]
).apply_async()
middle_result = chain(add.s(1, 1), group([add.s(2), add.s(3)]), total.s(), add.s(4)).apply_async()

values = {
    "group": group_result.get(timeout=60),
    "chord": chord_result.get(timeout=60),
    "chain": chain_result.get(timeout=60),
    "nested": nested_result.get(timeout=60),
    "middle": middle_result.get(timeout=60),
}
ENDED = ("SUCCESS", "FAILURE", "REVOKED")
for name, result in alone.items():
    wait_for(lambda result=result: result.state in ENDED, name)

print(
    json.dumps(
        {
            "alone": {
                name: {"id": result.id, "state": result.state, "result": repr(result.result)}
                for name, result in alone.items()
            },
            "silent": {name: result.id for name, result in silent.items()},
            "unknown": unknown.id,
            "unconsumed": unconsumed.id,
            "spawned": {"parent": alone["parent"].result, "fan": alone["fan"].result},
            "group": {"id": group_result.id, "members": ids_below(group_result)},
            "chord": {"body": chord_result.id, "headers": ids_below(chord_result.parent)},
            "chain": [chain_result.parent.parent.id, chain_result.parent.id, chain_result.id],
            "nested": {"id": nested_result.id, "ends": ids_below(nested_result)},
            "values": values,
        }
    )
)
