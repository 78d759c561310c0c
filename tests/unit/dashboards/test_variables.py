"""Variables of a dashboard in SQL and other texts."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.dashboards.grafana_sql.errors import VariableError
from celerytrail.dashboards.grafana_sql.variables import ALL, Definition, names_in, substitute

MANY = Definition(multi=True, include_all=True, options=("a", "b'c"))
VALUES = {"one": "it's", "many": ["a", "b'c"], "single": ["a"]}
DEFINED = {"many": MANY, "single": MANY}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'$one'", "'it''s'"),
        ("${one}", "it''s"),
        ("[[one]]", "it''s"),
        ("${one:raw}", "it's"),
        ("${one:sqlstring}", "'it''s'"),
        ("[[one:sqlstring]]", "'it''s'"),
        ("${one:percentencode}", "it%27s"),
        ("${one:queryparam}", "var-one=it%27s"),
        ("${one:doublequote} ${one:singlequote}", "\"it's\" 'it\\'s'"),
        ("IN ($many)", "IN ('a','b''c')"),
        ("IN (${many:sqlstring})", "IN ('a','b''c')"),
        ("${many:csv} ${many:pipe}", "a,b'c a|b'c"),
        ("${many:json} ${one:json}", '["a", "b\'c"] "it\'s"'),
        ("${many:glob} ${single:glob}", "{a,b'c} a"),
        ("${many:regex}", "(a|b'c)"),
        ("${many:queryparam}", "var-many=a&var-many=b%27c"),
        ("${many:text}", "a + b'c"),
        ("$single", "'a'"),
        ("$other $__timeFilter(c) ${__data.fields.one} ${__value.raw} $1", None),
        ("${one.path} $__from", None),
    ],
)
def test_each_way_to_write_a_reference(text: str, expected: str | None) -> None:
    written = substitute(text, VALUES, definitions=DEFINED)
    assert written == (text if expected is None else expected)


def test_other_texts_than_sql_get_values_as_they_are() -> None:
    text = "$one: $many"
    assert substitute(text, VALUES, definitions=DEFINED, for_sql=False) == "it's: {a,b'c}"


@pytest.mark.parametrize("value", [ALL, [ALL]])
def test_all_stands_for_every_option(value: str | list[str]) -> None:
    written = substitute(
        "$many|${many:csv}|${many:queryparam}|${many:text}",
        {"many": value},
        definitions=DEFINED,
    )
    assert written == "'a','b''c'|a,b'c|var-many=%24__all|All"


def test_all_with_a_value_of_its_own_is_put_in_unescaped_in_any_format() -> None:
    definition = Definition(multi=True, include_all=True, all_value="'$__all'", options=("a",))
    written = substitute(
        "IN (${many:sqlstring}) OR $many", {"many": ALL}, definitions={"many": definition}
    )
    assert written == "IN ('$__all') OR '$__all'"


def test_all_of_nothing_and_unknown_formats_are_errors() -> None:
    with pytest.raises(VariableError, match="neither options"):
        substitute("$many", {"many": ALL}, definitions={"many": Definition(include_all=True)})
    with pytest.raises(VariableError, match="known formats"):
        substitute("${one:sqlstrnig}", VALUES)


def test_the_range_of_time() -> None:
    moment = datetime(2026, 1, 1, 0, 0, 0, 250_000, tzinfo=timezone.utc)
    text = "${__from} $__to ${__from:date} ${__from:date:iso} ${__from:date:seconds}"
    iso = "2026-01-01T00:00:00.250Z"
    written = substitute(text, {}, time_from=moment, time_to=moment)
    assert written == f"1767225600250 1767225600250 {iso} {iso} 1767225600"
    assert substitute(text, {}) == text
    with pytest.raises(VariableError):
        substitute("${__from:YYYY}", {}, time_from=moment)


def test_scoped_values_win() -> None:
    assert substitute("$a $b", {"a": "1", "b": "2"}, scoped={"b": "3"}) == "1 3"


def test_names_are_found() -> None:
    assert names_in("$a ${b:csv} [[c]] ${__data.fields.d}") == {"a", "b", "c", "__data"}


def strings_of(sql: str) -> list[str]:
    """The string literals of a list such as 'a','b''c', read as Postgres reads them."""
    assert re.fullmatch(r"(?s)'(?:[^']|'')*'(?:,'(?:[^']|'')*')*", sql), sql
    return [one.replace("''", "'") for one in re.findall(r"(?s)'((?:[^']|'')*)'", sql)]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_no_value_leaves_its_quotes(values: list[str]) -> None:
    if values == [ALL]:
        return
    for text in ("${many:sqlstring}", "$many"):
        written = substitute(text, {"many": values}, definitions={"many": Definition(multi=True)})
        assert strings_of(written) == values


@given(st.text(max_size=20))
def test_a_single_value_between_quotes_does_not_leave_them(value: str) -> None:
    if value != ALL:
        assert strings_of(substitute("'$one'", {"one": value})) == [value]


@given(st.text(max_size=20))
def test_an_encoded_value_is_one_word_of_an_address(value: str) -> None:
    if value != ALL:
        written = substitute("${one:percentencode}", {"one": value})
        assert re.fullmatch(r"[A-Za-z0-9%_.~-]*", written)
        assert unquote(written) == value


@given(st.text(max_size=20))
def test_a_value_that_looks_like_a_variable_is_not_read_again(value: str) -> None:
    if value != ALL:
        values = {"one": "${two:raw}" + value, "two": "x"}
        assert substitute("${one:raw}", values) == values["one"]
