"""A span out of a template is the one that is built anew, whatever the records before were."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.identity import identify
from celerytrail.exporter.shipper.span_builder import build_span
from celerytrail.exporter.shipper.span_templates import SpanTemplates
from celerytrail.exporter.spool.record import HEADERS, LAYOUTS, Record
from celerytrail.exporter.spool.trail import Trail
from tests.unit.shipper.segments import HEADER, NOW, headers, record, request

ID, OTHER = "01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210"
ids = st.sampled_from([ID, OTHER])
runs = st.integers(1, 2**64 - 1).map(lambda number: f"{number:016x}")
odd = st.sampled_from(
    [0, 1, True, False, 1.0, -1, 2**63, None, "", "1", "%b%", "ü\0", (1,), [1], {}, b"x", "\1id\2"]
)
times = st.sampled_from([0, 1, NOW - 5000, NOW, NOW + 10**12])
sizes = st.sampled_from([None, 0, 127, 128, 16384, 2**31])
trails = st.builds(
    Trail,
    st.sampled_from(["11" * 16, "a" * 32]),
    runs,
    times,
    runs | st.just(""),
    group_id=st.sampled_from(["", "g", ID]),
    root_group_id=st.sampled_from(["", "r", OTHER]),
    queue=st.sampled_from(["", "celery", "%d", "q" * 300]),
).map(Trail.text)
TEMPLATES = SpanTemplates()


@st.composite
def records(draw: st.DrawFn) -> Record:
    step = draw(st.sampled_from(
        ["sent", "received", "started", "succeeded", "failed", "retried", "rejected", "lost", "revoked"]
    ))  # fmt: skip
    more = draw(st.dictionaries(st.sampled_from(HEADERS[6:]), odd, max_size=1))
    asked = draw(
        st.dictionaries(st.sampled_from(["priority", "is_eager", "group"]), odd, max_size=1)
    )
    task = draw(ids)
    common = {"root_id": draw(ids | st.none()), "parent_id": draw(ids | st.none())}
    fields: dict[str, Any] = dict.fromkeys(LAYOUTS[step])
    own = {
        "trail": draw(trails),
        "headers": headers(task, **common, **more),
        "request": request(task, **common, **asked),
        "run_id": draw(runs | st.none()),
        "start_unix_nano": draw(times),
        "body_size": draw(sizes),
        "body": draw(st.none() | st.binary(max_size=200)),
        "runtime_ns": draw(st.none() | st.integers(-1, 2**40)),
        "exception_class": draw(st.sampled_from([None, "", "ValueError", "a.b.C"])),
        "chain_length": draw(st.sampled_from([None, None, 0, 3, -1, -999, 2**63, True, "3"])),
        "chord_body_id": draw(st.sampled_from([None, None, "", OTHER, "\1body\2", 7])),
    }
    fields |= {name: value for name, value in own.items() if name in fields}
    # At most one is strange: what is strange in two ways has no template, and is not looked at here.
    strange = draw(st.sampled_from(LAYOUTS[step]))
    if strange not in ("headers", "request"):
        fields[strange] = draw(odd)
    return record(step, draw(st.integers(1, 2**40)), draw(times), **fields)


@given(
    st.lists(records(), min_size=1, max_size=4),
    st.dictionaries(st.sampled_from(["args", "kwargs", "body"]), st.binary(min_size=32, max_size=32)),
    st.sampled_from([None, "redacted"]),
    st.none() | st.just({"args": b"[]"}),
)  # fmt: skip
def test_it_is_what_is_built_anew(
    items: list[Record],
    commitments: dict[str, bytes],
    withheld: str | None,
    arguments: dict[str, bytes] | None,
) -> None:
    for item in items:
        identity = identify(HEADER, item)
        given = {"withheld": withheld, "arguments": arguments}
        ours = TEMPLATES.build(item, identity, commitments, **given)  # type: ignore[arg-type]
        assert ours == build_span(item, identity, commitments, **given)  # type: ignore[arg-type]


def test_the_usual_records_have_templates() -> None:
    templates = SpanTemplates()
    trail = Trail("11" * 16, "22" * 8, NOW - 5000, queue="celery").text()
    for seq, task in enumerate((ID, OTHER), 1):
        asked = request(task)
        for item in (
            record("sent", seq, NOW, trail=trail, headers=headers(task), body=b"[]", start_unix_nano=1),
            record("sent", seq, NOW, trail=trail, headers=headers(task), chain_length=3),
            record("sent", seq, NOW, trail=trail, headers=headers(task), chain_length=-2, chord_body_id="b"),
            record("received", seq, NOW, trail=trail, headers=headers(task)),
            record("started", seq, NOW, trail=trail, request=asked, run_id="55" * 8),
            record("succeeded", seq, NOW, trail=trail, request=asked, run_id="55" * 8, runtime_ns=9),
            record("failed", seq, NOW, trail=trail, request=asked, exception_class="ValueError"),
        ):  # fmt: skip
            identity = identify(HEADER, item)
            assert templates.build(item, identity, {}) == build_span(item, identity, {})
    assert len(templates._templates) == 5
    assert None not in templates._templates.values()


def test_a_name_that_looks_like_a_mark_changes_nothing() -> None:
    templates = SpanTemplates()
    trail = Trail("11" * 16, "22" * 8, NOW, queue="celery").text()
    asked = request(ID, task="\1id\2 \1group\2 0ddfacedbadc0ffe")
    item = record("started", 3, NOW, trail=trail, request=asked, run_id="55" * 8)
    identity = identify(HEADER, item)
    assert templates.build(item, identity, {}) == build_span(item, identity, {})
