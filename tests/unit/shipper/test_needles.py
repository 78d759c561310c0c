"""Looking for many texts at once finds what looking for each of them finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.shipper.needles import Needles
from celerytrail.exporter.shipper.secret_values import SECRET_VALUES
from celerytrail.exporter.shipper.sensitive_names import DEFAULT_TERMS

LITERALS = [literal for secret in SECRET_VALUES for literal in secret.literals]
texts = st.text(st.sampled_from("abkey_-G"), max_size=12)


@given(st.lists(texts.filter(bool), max_size=12), st.lists(texts, max_size=4).map("".join))
def test_it_is_what_a_search_for_each_finds(needles: list[str], text: str) -> None:
    assert Needles(needles).any_in(text) == any(needle in text for needle in needles)


def test_each_of_those_in_use_is_found_and_not_without_its_first_or_last_letter() -> None:
    for needles in (LITERALS, list(DEFAULT_TERMS)):
        looked_for = Needles(needles)
        for needle in needles:
            assert looked_for.any_in(f"so{needle}so")
            for rest in (needle[1:], needle[:-1]):
                text = f" {rest} "
                assert looked_for.any_in(text) == any(other in text for other in needles)


def test_nothing_is_found_where_nothing_is_looked_for() -> None:
    assert not Needles([]).any_in("anything")
