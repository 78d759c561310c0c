"""What the action API counts of itself, in a Prometheus registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The counters of one process; with several worker processes, of all of them together."""

    def __init__(self, multiprocess: bool = False) -> None:
        self._multiprocess = multiprocess
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"celerytrail_actions_{name}", text, labels, registry=registry)

        self.performed = counter("performed", "Actions that came to an end.", "verb", "state")
        self.duplicates = counter("duplicates", "Wishes that an earlier action answered.", "verb")
        self.refused = counter("refused", "Requests that were refused.", "code", "why")
        self.refusals_unrecorded = counter(
            "refusals_unrecorded", "Refusals that could not be written into the ledger."
        )
        self.refusals_summed = counter(
            "refusals_summed", "Refusals that became part of one row a minute."
        )
        self.unexpected = counter("unexpected_errors", "Errors nobody thought of.")
        self.request_seconds = Histogram(
            "celerytrail_actions_request_seconds",
            "Time of a request, from its headers to its answer.",
            ("endpoint", "status"),
            buckets=_SECONDS,
            registry=registry,
        )

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if not self._multiprocess:
            return generate_latest(self._registry)
        everything = CollectorRegistry()
        MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        return generate_latest(everything)
