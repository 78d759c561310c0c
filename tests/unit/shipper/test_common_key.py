"""A key is the same for what differs in ids and body alone, and tells all other values apart."""

from __future__ import annotations

from typing import Any

import pytest

from celerytrail.exporter.shipper.common_key import message_key, run_key
from celerytrail.exporter.spool.record import HEADERS
from tests.unit.shipper.segments import NOW, headers, record, request

ID, OTHER = "01234567-89ab-cdef-0123-456789abcdef", "fedcba98-7654-3210-fedc-ba9876543210"
ODD = "password=hunter2"


def key(values: tuple[Any, ...], **more: Any) -> bytes | None:
    return message_key(record("sent", 2, headers=values, **more).fields)


def test_what_differs_in_ids_and_body_alone_has_one_key() -> None:
    assert key(headers(ID), body=b"1") == key(headers(OTHER, parent_id=ID), body=b"2") is not None
    first = run_key(request(ID))
    assert first == run_key(request(OTHER, root_id=ID, group=ID)) is not None


@pytest.mark.parametrize("name", ["id", "root_id", "parent_id", "group"])
def test_with_an_id_that_may_hold_anything_there_is_none(name: str) -> None:
    given = {"task_id": ID, **({"task_id": ODD} if name == "id" else {name: ODD})}
    assert key(headers(**given)) is None
    assert run_key(request(**given)) is None


def test_with_a_time_to_come_there_is_none() -> None:
    assert key(headers(ID, eta="2026-11-22T18:48:52+02:00")) is None
    assert key(headers(ID, expires=NOW)) is None
    assert run_key(request(ID, eta="2026-11-22T18:48:52+02:00")) is None


def test_one_and_true_have_not_one_key() -> None:
    assert len({key(headers(ID, group_index=value)) for value in (1, True, 1.0)}) == 3
    assert len({run_key(request(ID, priority=value)) for value in (1, True, 1.0)}) == 3


def test_headers_of_another_length_have_another_key() -> None:
    keys = {key(headers(ID)[:kept], exchange=None) for kept in range(6, len(HEADERS) + 1)}
    assert len(keys) == len(HEADERS) - 5
    assert None not in keys


def test_what_is_no_message_has_none() -> None:
    assert message_key({}) is None
    assert key(list(headers(ID))) is None  # type: ignore[arg-type]
    assert key(headers(ID)[:5]) is None
    assert key(headers(ID, stamps={"a": "x" * 2000})) is None
    assert run_key(None) is None
    assert run_key((*request(ID), 1)) is None
