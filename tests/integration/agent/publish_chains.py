"""Publish chains of every kind, each as its case, and print the id of its first link, as JSON lines."""

import json

from canvas_app import flaky, publish, quits, replaced, spawn, work
from celery import chain, chord, group

import celerytrail.exporter.auto  # noqa: F401


def place(case, name, task=work, **extra):
    return task.s(case=case, name=name, **extra)


def linked(signature, callback):
    signature.link(callback)
    return signature


def middle(case):
    """Return what stands between the first link and the last."""
    kind, _, what = case.partition(" ")
    made = {
        "plain": lambda: place(case, "b"),
        "retried": lambda: place(case, "b", flaky),
        "sends": lambda: place(case, "b", spawn),
        "publishes": lambda: place(case, "b", publish, what=what),
        "linked": lambda: linked(place(case, "b"), place(case, "told")),
        "replaced": lambda: place(case, "b", replaced, what=what),
        "group": lambda: group(place(case, f"m{n}") for n in range(2)),
        "chord": lambda: chord([place(case, f"h{n}") for n in range(2)], place(case, "body")),
        "quits": lambda: place(case, "b", quits),
    }
    return made[kind]()


CASES = (
    "plain", "retried", "sends", "publishes group", "publishes chord", "linked", "replaced task", "replaced group",
    "replaced chord", "replaced chain", "group", "chord", "quits",
)  # fmt: skip

if __name__ == "__main__":
    for case in CASES:
        for where in ("middle", "end"):
            links = [
                place(case, "a"),
                middle(case),
                *([place(case, "z")] if where == "middle" else []),
            ]
            if case == "quits" and where == "end":
                # The last but one quits, after it sent as many as there are links.
                links = [place(case, "a", spawn), place(case, "b", quits), place(case, "z")]
            canvas = chain(links)
            result = canvas.apply_async()
            first = result
            while first.parent is not None:
                first = first.parent
            print(json.dumps({"case": case, "where": where, "id": first.id}), flush=True)
