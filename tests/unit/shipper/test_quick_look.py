"""What a quick look takes for clean, the long way leaves as it is; and most values it takes for clean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celerytrail.exporter.shipper.json_body import has_repeated_names
from celerytrail.exporter.shipper.redaction import Redactor, Rules
from celerytrail.exporter.shipper.secret_values import SECRET_VALUES
from celerytrail.exporter.shipper.task_rules import TaskSetting

REDACTORS = (
    Redactor(),
    Redactor(Rules(names=("cc_no", "k8s", "geheim"), emails=True)),
    Redactor(Rules(tasks=(TaskSetting("shop.pay", frozenset((0,))),))),
)
LITERALS = [literal for secret in SECRET_VALUES for literal in secret.literals]
words = st.sampled_from([
    "password", "pin", "pa", "n", "ss", "to", "ken", "cc", "no", "k8s", "name", "value", "Key", "task",
    "shop.pay", "args", "hunter2hunter2", "4111", "1111", "4111111111111111", "--", "a@b.example", "ü", "\0",
    *LITERALS,
])  # fmt: skip
signs = st.sampled_from(
    ["", " ", ":", "=", '"', "',", "\n", "-", ".", "/", "\\", "%3d", ", ", "\0"]
)
texts = st.lists(words | signs, max_size=6).map("".join)
numbers = st.sampled_from(
    [0, 1.5, 4111111111111111, 4111111111111111.0, 10**30, -1e300, True, None]
)
values = st.recursive(
    texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(values)
@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_clean_is_left_as_it_is(value: Any) -> None:
    for redactor in REDACTORS:
        assert redactor._quick is not None
        if redactor._is_clean(value):
            assert redactor._hide(value, 0) == value
        if isinstance(value, str) and redactor._quick.is_clean_text(value):
            assert redactor.hide_text(value) == value


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b:", "\\u003a", "\\n"]), texts), max_size=4),
    st.sampled_from(["utf-8", "utf-16-le", "utf-8-sig"]),
    st.booleans(),
)
def test_where_an_object_has_a_name_twice_it_is_not_clean(
    pairs: list[tuple[str, str]], encoding: str, ascii_only: bool
) -> None:
    text = ", ".join(
        f'"{name}": {json.dumps(value, ensure_ascii=ascii_only)}' for name, value in pairs
    )
    body = f"[[], {{{text}}}, {{}}]".encode(encoding)
    if REDACTORS[0]._is_clean(json.loads(body), body):
        assert not has_repeated_names(body)


@pytest.mark.parametrize(
    "value",
    [
        "please reset your password today, or ask for a token",
        {"id": 17, "lines": [1, 2, 3], "customer": "someone", "at": "2026-11-28T10:00:00Z"},
        [1.5, None, True, {"items": [{"id": 1}], "note": "company's shipping"}],
        "0195ab3e-11a1-7c00-8b0f-0a0b0c0d0e0f",
    ],
)
def test_what_is_no_secret_is_clean(value: Any) -> None:
    body = json.dumps([[], {"value": value}, {"chain": None}]).encode()
    assert REDACTORS[0]._is_clean(json.loads(body), body)


@pytest.mark.parametrize("literal", LITERALS)
def test_what_secrets_are_known_by_is_seen_anywhere(literal: str) -> None:
    for text in (literal, f"some words {literal}", f"{literal} and more words"):
        assert not REDACTORS[0]._is_clean({"a": [text]})


def test_deep_nesting_is_not_clean() -> None:
    for depth, clean in ((99, True), (100, False)):
        value: Any = []
        for _ in range(depth):
            value = [value]
        assert REDACTORS[0]._is_clean(value) is clean
        assert (REDACTORS[0]._hide(value, 0) == value) is clean
