"""The times of bars are what a division of numeric says, digit for digit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

pytest_plugins = ["tests.databases"]

GREATEST = 2**63 - 1
# Where numeric has another number of decimals, and where the quick way ends.
BOUNDS = (0, 10**18, 101 * 10**16, 1764547200 * 10**9, 9 * 10**18, GREATEST)
MOMENTS = st.one_of(
    st.integers(0, GREATEST),
    st.integers(17 * 10**17, 18 * 10**17),
    st.builds(
        lambda bound, away: min(max(bound + away, 0), GREATEST),
        st.sampled_from(BOUNDS),
        st.integers(-200, 200),
    ),
)
PAIRS = st.one_of(
    st.tuples(MOMENTS, MOMENTS),
    st.builds(
        lambda start, took: (start, min(max(start + took, 0), GREATEST)),
        MOMENTS,
        st.integers(-(10**6), 10**16),
    ),
)
ASKED = """
SELECT p.i FROM unnest(%s::int8[], %s::int8[]) WITH ORDINALITY AS p (b, e, i)
WHERE celerytrail.bar_ms(p.b) IS DISTINCT FROM (p.b / 1000000.0)::float8
   OR celerytrail.bar_ms_between(p.b, p.e) IS DISTINCT FROM
      greatest(p.e / 1000000.0 - p.b / 1000000.0, 0)::float8
"""


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs=st.lists(PAIRS, min_size=50, max_size=200))
def test_times_of_bars_are_those_of_numeric(
    migrated: MigratedDatabase, pairs: list[tuple[int, int]]
) -> None:
    starts, ends = [start for start, _ in pairs], [end for _, end in pairs]
    wrong = [pairs[place - 1] for (place,) in migrated.rows(ASKED, starts, ends)]
    assert wrong == []
