"""Publish what the arguments say, once the agent listens, and print the ids as JSON lines."""

from __future__ import annotations

import json
import sys

from celery import chain, chord, group
from controlled import charge, later, nap, part, whole

import celerytrail.exporter.auto  # noqa: F401


def say(name, **what):
    print(json.dumps({"name": name, **what}), flush=True)


def a_charge(order, password=""):
    say("charge", id=charge.apply_async((int(order),), {"password": password or None}).id)


def a_part(number):
    say("part", id=part.apply_async((int(number),), {"fails": True}).id)


def a_chain():
    done = chain(part.s(1, fails=True), later.s(), later.s()).apply_async()
    ids = [done.id]
    while done.parent is not None:
        done = done.parent
        ids.append(done.id)
    say("chain", ids=ids[::-1])


def a_chord(size, *failing):
    header = group(part.s(n, fails=str(n) in failing) for n in range(int(size)))
    done = chord(header)(whole.s(factor=2))
    say("chord", body=done.id, group=done.parent.id, ids=[one.id for one in done.parent.results])


def a_nap(seconds):
    say("nap", id=nap.delay(float(seconds)).id)


def waiting(queue, count):
    ids = [part.apply_async((n,), queue=queue).id for n in range(int(count))]
    say("waiting", ids=ids)


if __name__ == "__main__":
    {
        "charge": a_charge,
        "part": a_part,
        "chain": a_chain,
        "chord": a_chord,
        "nap": a_nap,
        "waiting": waiting,
    }[sys.argv[1]](*sys.argv[2:])
