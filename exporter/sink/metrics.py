"""What the sink counts of itself, in a Prometheus registry of its own."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from celerytrail.exporter.sink.verification_metrics import VerificationMetrics

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counters of one process; with several worker processes, of all of them together."""

    def __init__(self, multiprocess: bool = False, verification_status: Path | None = None) -> None:
        self._multiprocess = multiprocess
        self._registry = registry = CollectorRegistry()
        self._verification = (
            VerificationMetrics(verification_status) if verification_status is not None else None
        )
        if self._verification is not None and not multiprocess:
            registry.register(self._verification)
        deployment = ("deployment",)

        def counter(name: str, text: str, labels: tuple[str, ...] = deployment) -> Counter:
            return Counter(f"celerytrail_sink_{name}", text, labels, registry=registry)

        self.spans_received = counter("spans_received", "Spans in decodable requests.")
        self.spans_inserted = counter("spans_inserted", "Spans that became new rows.")
        self.spans_known = counter("spans_known", "Spans that were already rows.")
        self.spans_rejected = counter("spans_rejected", "Spans that can never be stored.")
        self.spans_ignored = counter("spans_ignored", "Spans of other applications.")
        self.spans_marked = counter(
            "spans_marked", "Spans stored with a mark: cut, or a wrong clock."
        )
        self.equivocations = counter(
            "equivocations", "Spans whose stream and number are taken by a different event."
        )
        self.foreign = counter("spans_foreign", "Spans of another deployment than the token's.")
        self.payloads_received = counter("payloads_received", "Log records in decodable requests.")
        self.payloads_inserted = counter("payloads_inserted", "Payloads that became new rows.")
        self.payloads_known = counter("payloads_known", "Payloads that were already rows.")
        self.payloads_rejected = counter("payloads_rejected", "Payloads that can never be stored.")
        self.payloads_ignored = counter("payloads_ignored", "Log records of other applications.")
        self.sent_bytes = counter("body_bytes", "Bytes of bodies as sent.", ("signal",))
        self.inflated_bytes = counter("inflated_bytes", "Bytes after gzip.", ("signal",))
        self.refused = counter("requests_refused", "Requests not taken.", ("signal", "reason"))
        self.database_errors = counter(
            "database_errors", "Calls to the database that failed.", ("kind",)
        )
        self.unexpected = counter("unexpected_errors", "Errors nobody thought of.", ("signal",))
        self.request_seconds = Histogram(
            "celerytrail_sink_request_seconds",
            "Time of a request, from its headers to its answer.",
            ("signal", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.requests_in_flight = Gauge(
            "celerytrail_sink_requests_in_flight",
            "Requests being handled.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        if not self._multiprocess:
            return generate_latest(self._registry)
        everything = CollectorRegistry()
        MultiProcessCollector(everything)  # type: ignore[no-untyped-call]
        if self._verification is not None:
            everything.register(self._verification)
        return generate_latest(everything)
