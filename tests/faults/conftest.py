"""The whole pipeline, for tests that take away the ground it stands on."""

from __future__ import annotations

from tests.acceptance.conftest import pipeline

__all__ = ["pipeline"]
