"""A description out of remembered pieces is the one that is written anew, and tells all values apart."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.common_key import message_key
from celerytrail.exporter.shipper.message_description import Describer, message_of
from celerytrail.exporter.spool.record import HEADERS
from tests.unit.shipper.segments import headers, record

ID, OTHER = "01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210"
ids = st.sampled_from([ID, OTHER])
odd = st.sampled_from([0, 1, True, False, 1.0, None, "", "1", 'q"\\', "ü\0", b"\xff", "\0id\0"])
DESCRIBER = Describer()


def facts_of(values: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(HEADERS, values, strict=False))


@given(
    ids, ids | st.none(), ids | st.none(), ids | st.none() | odd,
    st.dictionaries(st.sampled_from(HEADERS[6:]), odd | st.lists(odd, max_size=2)),
    st.dictionaries(st.sampled_from(["exchange", "routing_key", "priority", "reply_to"]), odd),
    st.integers(0, len(HEADERS)),
)  # fmt: skip
def test_it_is_what_is_written_anew(
    task_id: str,
    root: str | None,
    parent: str | None,
    group: Any,
    more: dict[str, Any],
    around: dict[str, Any],
    kept: int,
) -> None:
    values = headers(task_id, root_id=root, parent_id=parent, group=group, **more)[:kept]
    fields = record("sent", 2, headers=values, **around).fields
    # One describer for all examples: what it remembers of the others must not show.
    described = DESCRIBER.describe(fields, facts_of(values), b"body", message_key(fields))
    assert described == message_of(fields, facts_of(values), b"body").to_bytes()
