"""Macros of Grafana's Postgres data source."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.dashboards.grafana_sql import intervals
from celerytrail.dashboards.grafana_sql.comments import without_comments
from celerytrail.dashboards.grafana_sql.errors import MacroError
from celerytrail.dashboards.grafana_sql.macros import Fill, expand, expand_with_fill, rfc3339

FROM = datetime(2026, 1, 1, tzinfo=timezone.utc)
TO = datetime(2026, 1, 1, 1, 6, 40, 250_000, tzinfo=timezone.utc)


def expanded(sql: str, interval_ms: int = 1000) -> str:
    return expand(sql, time_from=FROM, time_to=TO, interval_ms=interval_ms)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("$__time(c)", 'c AS "time"'),
        ("$__timeEpoch(c)", 'extract(epoch from c) as "time"'),
        (
            "$__timeFilter(a.c)",
            "a.c BETWEEN '2026-01-01T00:00:00Z' AND '2026-01-01T01:06:40.25Z'",
        ),
        ("$__timeFrom()", "'2026-01-01T00:00:00Z'"),
        ("$__timeTo()", "'2026-01-01T01:06:40.25Z'"),
        ("$__timeGroup(c,'5m')", "floor(extract(epoch from c)/300)*300"),
        ("$__timeGroup(c, 5m)", "floor(extract(epoch from c)/300)*300"),
        ("$__timeGroup(c,'500ms')", "floor(extract(epoch from c)/0.5)*0.5"),
        ("$__timeGroup(c,'5m'),", 'floor(extract(epoch from c)/300)*300 AS "time",'),
        ("$__timeGroupAlias(c,'1h')", 'floor(extract(epoch from c)/3600)*3600 AS "time"'),
        ("$__timeGroupAlias(c,$__interval)", 'floor(extract(epoch from c)/60)*60 AS "time"'),
        ("$__unixEpochFilter(c)", "c >= 1767225600 AND c <= 1767229600"),
        (
            "$__unixEpochNanoFilter(c)",
            "c >= 1767225600000000000 AND c <= 1767229600000000000",
        ),
        ("$__unixEpochNanoFrom()", "1767225600000000000"),
        ("$__unixEpochNanoTo()", "1767229600000000000"),
        ("$__unixEpochFrom()..$__unixEpochTo()", "1767225600..1767229600"),
        ("$__unixEpochGroup(c,'5m')", "floor((c)/300)*300"),
        ("$__unixEpochGroupAlias(c,'5m')", 'floor((c)/300)*300 AS "time"'),
        ("$__interval $__interval_ms", "1m 90000"),
        ("a = '$x' AND b", "a = '$x' AND b"),
    ],
)
def test_each_macro(sql: str, expected: str) -> None:
    assert expanded(sql, interval_ms=90_000) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "$__timeFliter(c)",
        "$lower(c)",
        "$__timeFilter()",
        "$__timeGroup(c)",
        "$__timeGroup(c, sometimes)",
        "$__timeGroup(c, '0s')",
        "$__timeGroup(c, '5m', most)",
    ],
)
def test_what_grafana_refuses_is_an_error(sql: str) -> None:
    with pytest.raises(MacroError):
        expanded(sql)


def test_an_argument_list_ends_at_the_first_bracket() -> None:
    sql = expanded("$__timeFilter(to_timestamp(x))")
    assert sql.startswith("to_timestamp(x BETWEEN")
    assert sql.endswith("Z')")


def test_macros_in_comments_are_not_looked_at() -> None:
    sql = "SELECT '-- $x' /* $__nothing(1) */ -- $__nothing(2)\nFROM t"
    assert expanded(sql) == "SELECT '-- $x'  \nFROM t"


@pytest.mark.parametrize(
    ("third", "fill"),
    [
        ("", None),
        (", NULL", Fill(300_000, "null")),
        (", previous", Fill(300_000, "previous")),
        (", 0", Fill(300_000, "value", 0.0)),
    ],
)
def test_the_fill_is_returned_and_never_in_the_sql(third: str, fill: Fill | None) -> None:
    done = expand_with_fill(f"$__timeGroup(c,'5m'{third})", time_from=FROM, time_to=TO)
    assert done.sql == "floor(extract(epoch from c)/300)*300"
    assert done.fill == fill


def test_a_time_without_zone_and_an_interval_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        expand("", time_from=FROM.replace(tzinfo=None), time_to=TO)
    with pytest.raises(ValueError, match="no interval"):
        expanded("", interval_ms=0)


@pytest.mark.parametrize(
    ("interval_ms", "text"),
    [
        (1, "1ms"),
        (999, "999ms"),
        (1500, "1s"),
        (90_000, "1m"),
        (7_200_000, "2h"),
        (86_400_000 * 3, "3d"),
        (86_400_000 * 400, "1y"),
        (0, "1ms"),
    ],
)
def test_an_interval_is_written_in_its_largest_unit(interval_ms: int, text: str) -> None:
    assert intervals.written(interval_ms) == text


@given(st.integers(min_value=1, max_value=10**12))
def test_what_is_written_can_be_read_and_is_never_longer(interval_ms: int) -> None:
    read = intervals.read_ms(intervals.written(interval_ms))
    assert 0 < read <= interval_ms
    assert read * 2 > interval_ms


@given(st.integers(1, 10**11), st.integers(1, 5000), st.integers(1, 10**6))
def test_a_step_keeps_to_the_points_and_to_the_least(
    range_ms: int, points: int, least: int
) -> None:
    step = intervals.step_ms(range_ms, points, least)
    assert step >= least
    # The coarsest jump of the steps is that from a month to a year.
    assert range_ms / step < points * 13


@given(st.text(alphabet="ab'\"-*/ \n", max_size=40))
def test_leaving_comments_out_twice_changes_nothing_that_is_quoted(sql: str) -> None:
    quoted = "'" + sql.replace("'", "''") + "'"
    assert without_comments(quoted) == quoted
    assert without_comments(f"a {quoted} b") == f"a {quoted} b"


YEARS = (datetime(1970, 1, 1), datetime(2900, 1, 1))


@given(st.datetimes(*YEARS, timezones=st.just(timezone.utc)), st.integers(-12, 12))
def test_times_are_written_in_utc_and_mean_the_same(moment: datetime, hours: int) -> None:
    there = moment.astimezone(timezone(timedelta(hours=hours)))
    text = rfc3339(there)
    assert text == rfc3339(moment)
    date, _, rest = text.removesuffix("Z").partition(".")
    read = datetime.strptime(date, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    assert read + timedelta(microseconds=int(rest.ljust(6, "0") or 0)) == moment


@given(st.text(alphabet=st.characters(exclude_characters="$"), max_size=60))
def test_sql_without_macros_and_comments_stays_as_it_is(sql: str) -> None:
    if "--" not in sql and "/*" not in sql:
        assert expanded(sql) == sql
