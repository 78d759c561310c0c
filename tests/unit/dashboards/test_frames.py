"""Answers of Postgres as Grafana's data frames."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.dashboards.drawing.errors import DrawingError
from celerytrail.dashboards.drawing.frames import Field, as_json, field_of, wide

BOOL, INT8, TEXT, JSONB, FLOAT8, TIMESTAMPTZ, NUMERIC, DATE = (
    16,
    20,
    25,
    3802,
    701,
    1184,
    1700,
    1082,
)


@pytest.mark.parametrize(
    ("name", "oid", "text", "kind", "value"),
    [
        ("a", BOOL, "t", "boolean", True),
        ("a", INT8, "7", "number", 7),
        ("a", NUMERIC, "7.5", "number", 7.5),
        ("a", FLOAT8, "NaN", "number", None),
        ("a", FLOAT8, "Infinity", "number", None),
        ("a", TEXT, "7", "string", "7"),
        ("a", JSONB, '{"b": [1]}', "other", {"b": [1]}),
        ("a", TIMESTAMPTZ, "2026-01-01 00:00:01.25+00", "time", 1767225601250),
        ("a", TIMESTAMPTZ, "2026-01-01 01:30:01+01:30", "time", 1767225601000),
        ("a", TIMESTAMPTZ, "2025-12-31 23:00:01-01", "time", 1767225601000),
        ("a", TIMESTAMPTZ, "infinity", "time", None),
        ("a", DATE, "2026-01-01", "time", 1767225600000),
        ("time", INT8, "1767225600", "time", 1767225600000),
        ("time", FLOAT8, "1767225600000", "time", 1767225600000),
        ("timeend", INT8, "1767225600000000000", "time", 1767225600000),
    ],
)
def test_each_type(name: str, oid: int, text: str, kind: str, value: object) -> None:
    field = field_of(name, oid, [text, None])
    assert (field.type, field.values) == (kind, (value, None))


@given(st.datetimes(datetime(1971, 1, 1), datetime(2900, 1, 1)))
def test_a_time_is_read_to_the_microsecond(moment: datetime) -> None:
    field = field_of("a", TIMESTAMPTZ, [f"{moment:%Y-%m-%d %H:%M:%S.%f}+00"])
    utc = moment.replace(tzinfo=timezone.utc)
    read = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=field.values[0])
    assert abs(read - utc) <= timedelta(microseconds=4)


def test_texts_become_the_labels_of_series() -> None:
    rows = [
        Field("time", "time", (1, 1, 2)),
        Field("queue", "string", ("b", "a", "b")),
        Field("depth", "number", (5, 6, 7)),
    ]
    assert wide(rows) == [
        Field("time", "time", (1, 2)),
        Field("depth", "number", (6, None), {"queue": "a"}),
        Field("depth", "number", (5, 7), {"queue": "b"}),
    ]


def test_a_column_named_metric_names_the_series() -> None:
    rows = [
        Field("time", "time", (1,)),
        Field("metric", "string", ("p95",)),
        Field("value", "number", (5,)),
    ]
    assert wide(rows)[1] == Field("p95", "number", (5,))


def test_numbers_alone_stay_as_they_are() -> None:
    rows = [Field("time", "time", (1, 2)), Field("depth", "number", (5, 6))]
    assert wide(rows) == rows


@pytest.mark.parametrize(
    "times",
    [Field("at", "time", (1, 2)), Field("time", "time", (2, 1)), Field("time", "time", (None, 1))],
)
def test_what_is_no_time_series_is_an_error(times: Field) -> None:
    with pytest.raises(DrawingError):
        wide([times, Field("depth", "number", (1, 2))])


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc"), st.integers()), min_size=1))
def test_no_value_gets_lost_or_moves_to_another_time(rows: list[tuple[int, str, int]]) -> None:
    by_place = {(at, label): value for at, label, value in sorted(rows, key=lambda row: row[0])}
    ordered = sorted(by_place.items())
    made = wide(
        [
            Field("time", "time", tuple(at for (at, _), _ in ordered)),
            Field("label", "string", tuple(label for (_, label), _ in ordered)),
            Field("value", "number", tuple(value for _, value in ordered)),
        ]
    )
    times, *series = made
    found = {
        (at, one.labels["label"]): value
        for one in series
        for at, value in zip(times.values, one.values, strict=True)
        if value is not None
    }
    assert found == by_place


def test_a_frame_is_valid_json() -> None:
    frame = as_json([field_of("a", FLOAT8, ["1", "NaN", None])], "A")
    assert json.loads(json.dumps(frame, allow_nan=False)) == {
        "refId": "A",
        "length": 3,
        "fields": [{"name": "a", "type": "number", "values": [1, None, None]}],
    }
