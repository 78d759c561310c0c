"""Real chords through an in-memory broker: which ids their headers get, and who may name them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from celery import Celery, chain, chord, group
from celery.canvas import _chord

from celerytrail.exporter.agent.install import uninstrument
from celerytrail.exporter.spool.member_ids import member_span_id
from celerytrail.exporter.spool.record import HEADERS, Record
from celerytrail.exporter.spool.trail import UNCOUNTED, Trail, read_trail
from tests.unit.agent.conftest import Recorded


def trail_of(record: Record) -> Trail:
    trail = read_trail(record.fields["trail"])
    assert trail is not None
    return trail


def task_of(record: Record) -> str:
    return str(dict(zip(HEADERS, record.fields["headers"], strict=False))["task"])


def headers_of(recorded: Recorded) -> list[Trail]:
    return [trail_of(one) for one in recorded.of("sent") if task_of(one) == "add"]


def a_chord(app: Celery, count: int) -> Any:
    members = group([app.tasks["add"].s(n, 1) for n in range(count)], app=app)
    return chord(members, app.tasks["xsum"].s(), app=app)


def test_the_ids_of_headers_follow_from_that_of_their_chord(
    recorded: Recorded, app: Celery
) -> None:
    a_chord(app, 3)()
    (span,) = recorded.of("group")
    assert span.fields["size"] == 3
    assert span.fields["chord_body_name"] == "xsum"
    chord_id = span.fields["span_id"]
    assert [one.send_id for one in headers_of(recorded)] == [
        member_span_id(chord_id, number) for number in range(3)
    ]
    assert {one.enclosing[0].headers for one in headers_of(recorded)} == {3}


def test_a_chord_in_a_chord_is_a_header_of_it(recorded: Recorded, app: Celery) -> None:
    add, xsum = app.tasks["add"], app.tasks["xsum"]
    chord([add.s(1, 1), a_chord(app, 2), chain(add.s(2, 2), add.s(3))], xsum.s(), app=app)()
    outer, inner = (one.fields for one in recorded.of("group"))
    ids = [member_span_id(outer["span_id"], number) for number in range(3)]
    first, _, _, last = headers_of(recorded)
    assert (first.send_id, inner["span_id"], last.send_id) == tuple(ids)


def test_a_chord_that_is_applied_again_has_no_id_twice(recorded: Recorded, app: Celery) -> None:
    frozen = a_chord(app, 3)
    frozen.freeze()
    frozen()
    frozen()
    (span,) = recorded.of("group")
    trails = headers_of(recorded)
    assert {one.group_span_id for one in trails} == {span.fields["span_id"]}
    assert len({one.send_id for one in trails}) == len(trails) == 6
    # Of the second nobody can name the headers.
    assert [one.enclosing[0].headers for one in trails] == [3, 3, 3, *([UNCOUNTED] * 3)]


def test_threads_do_not_mix_up_their_chords(recorded: Recorded, app: Celery) -> None:
    threads = [threading.Thread(target=a_chord(app, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {one.fields["span_id"] for one in recorded.of("group")}
    assert len(found) == 4
    assert {one.send_id for one in headers_of(recorded)} == {
        member_span_id(span_id, number) for span_id in found for number in range(5)
    }


def test_a_generator_is_not_run_ahead_of_celery(recorded: Recorded, app: Celery) -> None:
    add, ahead = app.tasks["add"], []

    def headers() -> Any:
        for number in range(10):
            ahead.append(number - len(recorded.of("sent")))
            yield add.s(number, 1)

    chord(headers(), app.tasks["xsum"].s(), app=app)()
    with_agent = list(ahead)
    ahead.clear()
    uninstrument()
    sent = len(recorded.of("sent"))
    assert sent >= 10
    chord(headers(), app.tasks["xsum"].s(), app=app)()
    assert with_agent[0] == 0
    assert len(ahead) == len(with_agent)


def test_plain_groups_are_not_counted(recorded: Recorded, app: Celery) -> None:
    group([app.tasks["add"].s(n, 1) for n in range(3)], app=app).apply_async()
    (span,) = recorded.of("group")
    assert span.fields["size"] is None
    assert {one.enclosing for one in headers_of(recorded)} == {()}


def test_polls_for_a_chord_are_in_its_trace_and_in_no_group(
    recorded: Recorded, app: Celery, tmp_path: Path
) -> None:
    app.conf.result_backend = f"file://{tmp_path}"  # one that cannot count headers
    a_chord(app, 2)()
    (poll,) = [one for one in recorded.of("sent") if task_of(one) == "celery.chord_unlock"]
    (span,) = recorded.of("group")
    trail = trail_of(poll)
    assert (trail.trace_id, trail.parent_span_id) == (
        span.fields["trace_id"],
        span.fields["span_id"],
    )
    assert (trail.group_id, trail.root_group_id) == ("", span.fields["group_id"])
    assert trail.known(span.fields["group_id"]).headers == 2  # type: ignore[union-attr]
    assert [one.send_id for one in headers_of(recorded)] == [
        member_span_id(span.fields["span_id"], number) for number in range(2)
    ]


def test_publishes_are_plain_again_after_a_chord(recorded: Recorded, app: Celery) -> None:
    a_chord(app, 2)()
    app.tasks["add"].delay(1, 2)
    assert not recorded.recorder.pending.look_closer
    assert not recorded.recorder.chords.under_way()


def test_uninstrument_gives_chords_back(app: Celery, recorded: Recorded) -> None:
    ours = _chord.run
    assert hasattr(ours, "__wrapped__")
    uninstrument()
    assert _chord.run is ours.__wrapped__
    a_chord(app, 2)()
    assert recorded.of("sent") == []
