"""What ``opentelemetry-instrument`` finds: it loads the agent before the program's own code runs.

OpenTelemetry's instrumentation package is used where it is installed and is no dependency. The
agent keeps a pipeline of its own: it takes no tracer provider and changes none.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any

from celerytrail.exporter.agent.install import instrument, uninstrument


class _Alone:
    """The part of OpenTelemetry's base class that is used, where that is not installed."""

    def instrument(self, **named: Any) -> None:
        """Load the agent."""
        self._instrument(**named)

    def uninstrument(self, **named: Any) -> None:
        """Take the agent away."""
        self._uninstrument(**named)

    def _instrument(self, **named: Any) -> None:
        raise NotImplementedError

    def _uninstrument(self, **named: Any) -> None:
        raise NotImplementedError


def _base() -> Any:
    try:
        return import_module("opentelemetry.instrumentation.instrumentor").BaseInstrumentor
    except ImportError:
        return _Alone


class CelerytrailInstrumentor(_base()):  # type: ignore[misc]
    """The agent as an OpenTelemetry instrumentor; its settings are the environment's."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be installed for it to be of use."""
        return ("celery >= 5.2",)

    def _instrument(self, **_: Any) -> None:
        instrument()

    def _uninstrument(self, **_: Any) -> None:
        uninstrument()
