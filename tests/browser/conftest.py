"""Fixtures for pages of the plugin in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tests leave pictures of the pages, for people to look at."""
    return tmp_path_factory.mktemp("pictures")
