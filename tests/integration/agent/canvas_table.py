"""What each canvas of ``publish_canvases.py`` is expected to be: groups, and who belongs to which.

Written down from what Celery's messages were measured to say, not from what is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OUTER = "outer"
"""The first group that the results of the canvas name."""

INNER = "inner"
"""The group that a task of the canvas published, and wrote down."""


@dataclass(frozen=True, slots=True)
class Around:
    """One group: its kind, its headers where they can be counted, the place of its body, and what it
    hangs under: a place, the kind of a group, or nothing.
    """

    kind: str
    size: int | None = None
    body: str | None = None
    under: str = ""


@dataclass(frozen=True, slots=True)
class Canvas:
    """``roots``: place -> the outermost group of each send of it. ``links``: body -> its headers.

    ``older``: groups that there are in Celery up to 5.5 only. ``lazy``: the headers come from a
    generator, which Celery runs while it sends them.
    """

    roots: dict[str, set[str | None]]
    groups: list[Around] = field(default_factory=list)
    links: dict[str, set[str]] = field(default_factory=dict)
    older: list[Around] = field(default_factory=list)
    lazy: bool = False


def all_of(group: str | None, *places: str) -> dict[str, set[str | None]]:
    """Say that these places belong to one outermost group."""
    return {place: {group} for place in places}


def many(prefix: str, count: int) -> list[str]:
    """Return numbered places."""
    return [f"{prefix}{number}" for number in range(count)]


def chord_of(headers: list[str], body: str = "body", under: str = "") -> Around:
    """Return a chord with that many headers."""
    return Around("chord", len(headers), body, under)


H2, H3, M2, M3 = many("h", 2), many("h", 3), many("m", 2), many("m", 3)
X2, Y2 = many("x", 2), many("y", 2)
CHAINS = [f"c{one}{link}" for one in range(3) for link in range(2)]


def simple_chord(headers: list[str], *more: str) -> Canvas:
    """Return a chord of which everything else is inside, too."""
    return Canvas(all_of(OUTER, *headers, "body", *more), [chord_of(headers)], {"body": {*headers}})


TABLE: dict[str, Canvas] = {
    "single": Canvas(all_of(None, "one")),
    "group": Canvas(all_of(OUTER, *M3), [Around("group")]),
    "group_in_task": Canvas(
        all_of(None, "outside") | all_of(INNER, *M3), [Around("group", under="outside")]
    ),
    "chord_in_task": Canvas(
        all_of(None, "outside") | all_of(INNER, *H3, "body"),
        [chord_of(H3, under="outside")],
        {"body": {*H3}},
    ),
    "group_in_member": Canvas(
        all_of(OUTER, "outside", "other", *M3), [Around("group"), Around("group", under="outside")]
    ),
    "chord": simple_chord(H3),
    "chord_of_100": simple_chord(many("h", 100)),
    "chord_of_one": simple_chord(["h0"]),
    "chain": Canvas(all_of(None, *many("c", 3))),
    "chain_with_group": Canvas(
        all_of(None, "a") | all_of(OUTER, *M3, "body", "z"),
        [chord_of(M3, under="a")],
        {"body": {*M3}},
    ),
    "chain_to_group": Canvas(all_of(None, "a") | all_of(OUTER, *M2), [Around("group", under="a")]),
    "group_of_chains": Canvas(
        all_of(OUTER, *(f"c{one}{link}" for one in range(2) for link in range(3))),
        [Around("group")],
    ),
    "chord_of_chains": Canvas(
        all_of(OUTER, *CHAINS, "body"),
        [Around("chord", 3, "body")],
        {"body": {"c00", "c10", "c20"}},
    ),
    "nested_groups": Canvas(all_of(OUTER, *X2, *Y2, "z"), [Around("group")]),
    "chord_of_groups": simple_chord([*X2, *Y2]),
    "chord_of_chain_to_group": Canvas(
        all_of(OUTER, "a", *M2, "h1", "body"),
        [Around("chord", 2, "body")],
        {"body": {"a", "h1"}},
    ),
    "group_of_chords": Canvas(
        all_of(OUTER, "x00", "x01", "x10", "x11", "body0", "body1"),
        [
            Around("group"),
            Around("chord", 2, "body0", "group"),
            Around("chord", 2, "body1", "group"),
        ],
        {"body0": {"x00", "x01"}, "body1": {"x10", "x11"}},
    ),
    "chord_in_chord": Canvas(
        all_of(OUTER, *X2, "inner", "h1", "body"),
        [chord_of(["", ""]), chord_of(X2, "inner", "chord of body")],
        {"inner": {*X2}, "body": {"chord of inner", "h1"}},
    ),
    "chord_in_chord_then_task": Canvas(
        all_of(OUTER, *X2, "inner", "z", "h1", "body"),
        [chord_of(["", ""]), chord_of(X2, "inner", "chord of body")],
        {"inner": {*X2}, "body": {"chord of inner", "h1"}},
    ),
    "three_chords_deep": Canvas(
        all_of(OUTER, *X2, "inmost", "i1", "inner", "h1", "body"),
        [
            chord_of(["", ""]),
            chord_of(["", ""], "inner", "chord of body"),
            chord_of(X2, "inmost", "chord of inner"),
        ],
        {
            "inmost": {*X2},
            "inner": {"chord of inmost", "i1"},
            "body": {"chord of inner", "h1"},
        },
    ),
    # The second chord is published by the first one's body, and is inside its group therefore.
    "chain_of_chords": Canvas(
        all_of(OUTER, *X2, "body0", *Y2, "body1"),
        [chord_of(X2, "body0"), chord_of(Y2, "body1", "body0")],
        {"body0": {*X2}, "body1": {*Y2}},
    ),
    "body_is_chain": Canvas(all_of(OUTER, *H2, "body", "z"), [chord_of(H2)], {"body": {*H2}}),
    "body_is_group": Canvas(
        all_of(OUTER, *H2, "b0", "b1"),
        [chord_of(H2, "b0")],
        {"b0": {*H2}, "b1": {*H2}},
        # In 5.7 its messages name the group of the headers only.
        [Around("group", under="chord of b0")],
    ),
    "body_has_group": Canvas(
        all_of(OUTER, *H2, "body", *M2, "inner"),
        [chord_of(H2), chord_of(M2, "inner", "body")],
        {"body": {*H2}, "inner": {*M2}},
    ),
    "body_is_chord": Canvas(
        all_of(OUTER, *H2, *X2, "inner"),
        [chord_of(H2, "x0"), chord_of(X2, "inner", "chord of x0")],
        {"x0": {*H2}, "x1": {*H2}, "inner": {*X2}},
    ),
    # Celery sends those whom a task names for its failure as a group.
    "body_fails": Canvas(
        all_of(OUTER, *H2, "body", "told"),
        [chord_of(H2), Around("group", under="body")],
        {"body": {*H2}},
    ),
    # The body is never sent: Celery only calls whom it names for a failure.
    "header_fails": Canvas(
        all_of(OUTER, *H2, "told"), [Around("chord", 2), Around("group", under="h1")]
    ),
    "retried_members": Canvas(all_of(OUTER, *M2), [Around("group")]),
    "retried_headers": simple_chord(H2),
    "retried_body": simple_chord(H2),
    "spawned_in_member": Canvas(all_of(OUTER, *M2, "spawned"), [Around("group")]),
    "spawned_in_header": simple_chord(H2, "spawned"),
    "spawned_in_body": simple_chord(H2, "spawned"),
    "spawned": Canvas(all_of(None, "one", "spawned")),
    "callbacks": Canvas(all_of(OUTER, *M2, "told"), [Around("group"), Around("group", under="m1")]),
    "link": Canvas(all_of(None, "one", "next")),
    "link_in_group": Canvas(all_of(OUTER, *M2, "next"), [Around("group")]),
    "replaced_by_task": Canvas(all_of(None, "one", "r0")),
    # What takes the place of the task has its id, so that the task is both outside and inside.
    "replaced_by_group": Canvas(
        {"one": {None, INNER}} | all_of(INNER, "r0", "r1"),
        [Around("chord", 2, "one", "one")],
        {"one": {"r0", "r1"}},
    ),
    "replaced_by_chord": Canvas(
        {"one": {None, INNER}, "rbody": {None, INNER}} | all_of(INNER, "r0", "r1"),
        [Around("chord", 2, "one", "one")],
        {"one": {"r0", "r1"}},
    ),
    "replaced_in_group": Canvas(
        all_of(OUTER, "m0", "m1", "r0", "r1", "rbody"),
        [Around("group"), Around("chord", 2, "m0", "group")],
        {"m0": {"r0", "r1"}},
    ),
    "replaced_in_chord": Canvas(
        all_of(OUTER, "h0", "h1", "r0", "r1", "body"),
        [chord_of(H2), Around("chord", 2, "h0", "chord of body")],
        {"h0": {"r0", "r1"}, "body": {*H2}},
    ),
    "replaced_by_chain_in_chord": Canvas(
        all_of(OUTER, "h0", "h1", "r0", "r1", "body"), [chord_of(H2)], {"body": {*H2}}
    ),
    # One more result reaches the body; who added it is known to nobody.
    "added_to_chord": Canvas(all_of(OUTER, *H2, "added", "body"), [chord_of(H2)], {"body": {*H2}}),
    "immutable": simple_chord(H2),
    "generator": Canvas(
        all_of(OUTER, *H3, "body"), [Around("chord", None, "body")], {"body": {*H3}}, lazy=True
    ),
    "empty_group": Canvas({}),
    "map": Canvas({}),
    "starmap": Canvas({}),
    "stamped": Canvas(all_of(OUTER, *M2), [Around("group")]),
}
