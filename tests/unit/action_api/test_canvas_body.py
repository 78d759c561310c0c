"""Taking bodies apart: the text of the arguments is never touched, no pickle is ever loaded."""

from __future__ import annotations

import json
import pickle
from collections import OrderedDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celerytrail.action_api.errors import Refused
from celerytrail.action_api.verbs.canvas_body import LINKS, ends_without_canvas, read_json_body
from celerytrail.exporter.sealed import Message

NOTHING = dict.fromkeys(LINKS)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WRITERS = st.sampled_from(
    [
        {},
        {"indent": 2},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"ensure_ascii": False, "indent": "\t"},
    ]
)


def message(body: bytes, encoding: str = "utf-8") -> Message:
    return Message({"id": "t"}, {}, "", "q", None, "application/json", encoding, body)


@given(st.lists(JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4), JSON, WRITERS)
def test_arguments_keep_their_text_and_lose_what_was_to_be_called(
    args: list[Any], kwargs: dict[str, Any], link: Any, writer: dict[str, Any]
) -> None:
    embedded = {**NOTHING, "chain": [link], "callbacks": [link]}
    text = json.dumps([args, kwargs, embedded], **writer)
    body = read_json_body(message(text.encode("utf-8", "surrogatepass"))) if valid(text) else None
    if body is None:
        return
    assert (body.args, body.kwargs, body.embedded) == (args, kwargs, embedded)
    assert body.args_text in text
    assert body.kwargs_text in text
    alone = json.loads(body.alone())
    assert alone == [args, kwargs, NOTHING]
    assert body.alone().decode().startswith(f"[{body.args_text}, {body.kwargs_text}, ")


def valid(text: str) -> bool:
    """JSON may hold lone surrogates as escapes, but not as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"[[], {}]",
        b"[[], {}, {}, 1]",
        b"[[], {}, []]",
        b"[{}, [], {}]",
        b"[[], {}, {}] x",
        b"[[], {}, {},]",
        b"[[] {} {}]",
        b'{"task": "t", "id": "x", "args": [], "kwargs": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_body_of_protocol_2_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_json_body(message(body))
    assert refused.value.code == "unreadable_body"


def test_another_encoding_is_refused() -> None:
    with pytest.raises(Refused):
        read_json_body(message(b"[[], {}, {}]", "utf-16"))


ARGUMENTS = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.sampled_from(LINKS),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(LINKS) | st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(
    st.lists(ARGUMENTS, max_size=3),
    st.sampled_from([None, *LINKS]),
    ARGUMENTS.filter(lambda value: value is not None),
    st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_a_pickle_counts_as_without_canvas_only_if_it_has_none(
    args: list[Any], link: str | None, value: Any, protocol: int
) -> None:
    embedded = {**NOTHING, **({link: value} if link else {})}
    found = ends_without_canvas(pickle.dumps((args, {}, embedded), protocol))
    if link is not None:
        assert not found
    # Arguments that name the same strings, and protocols 0 and 1, may leave it uncertain: no more.


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_what_celery_makes_is_recognised(protocol: int) -> None:
    assert ends_without_canvas(pickle.dumps(((1, "a"), {"b": None}, dict(NOTHING)), protocol))
    assert not ends_without_canvas(pickle.dumps(((1,), {}, {}), protocol))
    assert not ends_without_canvas(pickle.dumps(((1,), {}, OrderedDict(NOTHING)), protocol))
    assert not ends_without_canvas(b"no pickle")
