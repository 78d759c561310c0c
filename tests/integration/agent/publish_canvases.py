"""Publish a canvas of every shape and print what Celery's own results say of them, as JSON.

The argument is a list of cases, in JSON, or ``all``. For each: the ids of the groups that its
results name, and the id of the outermost one where the canvas has one.
"""

import json
import sys
import time

import celery
from canvas_app import (
    double,
    errback,
    fail,
    flaky,
    grow,
    plus,
    publish,
    replaced,
    spawn,
    work,
)
from celery import chain, chord, group
from celery.result import GroupResult

import celerytrail.exporter.auto  # noqa: F401

VERSION = tuple(int(part) for part in celery.__version__.split(".")[:2])


class Places:
    """Makes the signatures of one case; ``groups`` are those that its results cannot name."""

    def __init__(self, case):
        self.case = case

    def __call__(self, name, task=work, **extra):
        return task.s(case=self.case, name=name, **extra)

    def many(self, prefix, count, task=work):
        return [self(f"{prefix}{number}", task) for number in range(count)]


CASES = {
    "single": lambda p: p("one"),
    "group": lambda p: group(p.many("m", 3)),
    "group_in_task": lambda p: p("outside", publish, what="group"),
    "chord_in_task": lambda p: p("outside", publish, what="chord"),
    "group_in_member": lambda p: group([p("outside", publish, what="group"), p("other")]),
    "chord": lambda p: chord(p.many("h", 3), p("body")),
    "chord_of_100": lambda p: chord(p.many("h", 100), p("body")),
    "chord_of_one": lambda p: chord([p("h0")], p("body")),
    "chain": lambda p: chain(p.many("c", 3)),
    "chain_with_group": lambda p: chain(p("a"), group(p.many("m", 3)), p("body"), p("z")),
    "chain_to_group": lambda p: chain(p("a"), group(p.many("m", 2))),
    "group_of_chains": lambda p: group(chain(p.many(f"c{n}", 3)) for n in range(2)),
    "chord_of_chains": lambda p: chord([chain(p.many(f"c{n}", 2)) for n in range(3)], p("body")),
    "nested_groups": lambda p: group(group(p.many("x", 2)), group(p.many("y", 2)), p("z")),
    "chord_of_groups": lambda p: chord(
        group(group(p.many("x", 2)), group(p.many("y", 2))), p("body")
    ),
    "chord_of_chain_to_group": lambda p: chord(
        [chain(p("a"), group(p.many("m", 2))), p("h1")], p("body")
    ),
    "group_of_chords": lambda p: group(
        [chord(p.many(f"x{n}", 2), p(f"body{n}")) for n in range(2)]
    ),
    "chord_in_chord": lambda p: chord([chord(p.many("x", 2), p("inner")), p("h1")], p("body")),
    "chord_in_chord_then_task": lambda p: chord(
        [chord(p.many("x", 2), chain(p("inner"), p("z"))), p("h1")], p("body")
    ),
    "three_chords_deep": lambda p: chord(
        [chord([chord(p.many("x", 2), p("inmost")), p("i1")], p("inner")), p("h1")], p("body")
    ),
    "chain_of_chords": lambda p: chain(
        chord(p.many("x", 2), p("body0")), chord(p.many("y", 2), p("body1"))
    ),
    "body_is_chain": lambda p: chord(p.many("h", 2), chain(p("body"), p("z"))),
    "body_is_group": lambda p: chord(p.many("h", 2), group(p.many("b", 2))),
    "body_has_group": lambda p: chord(
        p.many("h", 2), chain(p("body"), group(p.many("m", 2)), p("inner"))
    ),
    "body_is_chord": lambda p: chord(p.many("h", 2), chord(p.many("x", 2), p("inner"))),
    "body_fails": lambda p: chord(p.many("h", 2), p("body", fail).on_error(p("told", errback))),
    "header_fails": lambda p: chord(
        [p("h0"), p("h1", fail)], p("body").on_error(p("told", errback))
    ),
    "retried_members": lambda p: group(p.many("m", 2, flaky)),
    "retried_headers": lambda p: chord(p.many("h", 2, flaky), p("body")),
    "retried_body": lambda p: chord(p.many("h", 2), p("body", flaky)),
    "spawned_in_member": lambda p: group([p("m0", spawn), p("m1")]),
    "spawned_in_header": lambda p: chord([p("h0", spawn), p("h1")], p("body")),
    "spawned_in_body": lambda p: chord(p.many("h", 2), p("body", spawn)),
    "spawned": lambda p: p("one", spawn),
    "callbacks": lambda p: group(
        [p("m0").on_error(p("told", errback)), p("m1", fail).on_error(p("told", errback))]
    ),
    "link": lambda p: linked(p("one"), p("next")),
    "link_in_group": lambda p: group([linked(p("m0"), p("next")), p("m1")]),
    "replaced_by_task": lambda p: p("one", replaced, what="task"),
    "replaced_by_group": lambda p: p("one", replaced, what="group"),
    "replaced_by_chord": lambda p: p("one", replaced, what="chord"),
    "replaced_in_group": lambda p: group([p("m0", replaced, what="chord"), p("m1")]),
    "replaced_in_chord": lambda p: chord([p("h0", replaced, what="group"), p("h1")], p("body")),
    "replaced_by_chain_in_chord": lambda p: chord(
        [p("h0", replaced, what="chain"), p("h1")], p("body")
    ),
    "added_to_chord": lambda p: chord([p("h0", grow), p("h1")], p("body")),
    "immutable": lambda p: chord(
        [place.set(immutable=True) for place in p.many("h", 2)], p("body").set(immutable=True)
    ),
    "generator": lambda p: chord((p(f"h{n}") for n in range(3)), p("body")),
    "empty_group": lambda p: group([]),
    "pieces": lambda p: group([double.s(1), double.s(2)]),
    "map": lambda p: double.map([1, 2, 3]),
    "starmap": lambda p: plus.starmap([(1, 1), (2, 2)]),
    "chunks": lambda p: plus.chunks([(n, n) for n in range(6)], 2).group(),
    "stamped": lambda p: stamped(group(p.many("m", 2))),
}
if VERSION < (5, 3):
    del CASES["stamped"]


def linked(signature, callback):
    signature.link(callback)
    return signature


def stamped(canvas):
    canvas.stamp(customer="c1")
    return canvas


def groups_named_by(result, found, seen):
    """Collect the ids of the groups in a tree of results, innermost parents first."""
    if result is None or id(result) in seen:
        return found
    seen.add(id(result))
    groups_named_by(result.parent, found, seen)
    if isinstance(result, GroupResult):
        found.append(result.id)
        for one in result.results:
            groups_named_by(one, found, seen)
    return found


def say(case, canvas):
    begun = time.time()
    result = canvas.apply_async()
    groups = groups_named_by(result, [], set())
    print(json.dumps({"case": case, "id": result.id, "groups": groups, "begun": begun}), flush=True)


if __name__ == "__main__":
    named = json.loads(sys.argv[1])
    for case, make in CASES.items():
        if named and case not in named:
            continue
        canvas = make(Places(case))
        say(case, canvas)
