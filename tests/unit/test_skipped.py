"""A skip that nobody expects fails a strict run."""

from __future__ import annotations

import pytest

from tests.skipped import SkipReport

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("reason", "strict", "expected"),
    [
        ("CELERYTRAIL_TEST_CELERY52_PYTHON names no interpreter with Celery 5.2", True, 0),
        ("I did not feel like it", False, 0),
        ("I did not feel like it", True, 1),
    ],
)
def test_strict_runs_mind_the_list(
    pytester: pytest.Pytester, reason: str, strict: bool, expected: int
) -> None:
    pytester.makepyfile(
        f"import pytest\ndef test_it(): pytest.skip({reason!r})\ndef test_not(): pass"
    )
    result = pytester.runpytest_inprocess(
        "-p", "no:randomly", "-p", "no:cacheprovider", plugins=[SkipReport(strict=strict)]
    )
    assert result.ret == expected
    text = result.stdout.str()
    assert reason in text
    assert ("NOT EXPECTED" in text) == ("feel" in reason)
