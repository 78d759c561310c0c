from __future__ import annotations

import json
import marshal
import uuid
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from celerytrail.exporter.agent.result import MAX_VALUES, result_value


class Lazy:
    """Looks at a database when somebody looks at it."""

    def __str__(self) -> str:
        raise AssertionError("the text of an application's object was asked for")

    __repr__ = __str__


class LazyList(list[Any]):
    def __iter__(self) -> Any:
        raise AssertionError("an application's container was read")


def test_what_is_built_in_is_kept_and_the_rest_is_named() -> None:
    value = {"total": Decimal("9.50"), 7: (1, None, True), "rows": LazyList(), "who": Lazy()}
    assert result_value(value) == {
        "total": "9.50",
        "7": [1, None, True],
        "rows": f"<{__name__}.LazyList>",
        "who": f"<{__name__}.Lazy>",
    }
    assert result_value(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


def test_size_and_depth_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]
    wide = [list(range(1000)) for _ in range(1000)]
    for value in (deep, wide, "x" * 10**7, b"x" * 10**7, {n: n for n in range(10**5)}, 10**5000):
        assert len(json.dumps(result_value(value))) < 40 * MAX_VALUES


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
)  # fmt: skip


@given(VALUES)
def test_any_copy_can_be_written(value: Any) -> None:
    written = marshal.dumps(result_value(value), 2)
    assert marshal.dumps(marshal.loads(written), 2) == written
