"""POST /v1/traces and /v1/logs: from a request to COMMIT to the answer.

The order is part of the promise: room, token and headers are checked before the body is read, and
200 is answered only after everything that can be stored is committed.
OTLP/HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Request, Response, request

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.sink import answer
from celerytrail.exporter.sink.admission import Admission, Ticket
from celerytrail.exporter.sink.bearer import Gate, token_hash
from celerytrail.exporter.sink.body import BodyBounds, is_gzip, read_body, reserve
from celerytrail.exporter.sink.chunks import Decoded, Rejected
from celerytrail.exporter.sink.decode import decode_spans
from celerytrail.exporter.sink.errors import LedgerRefused, LedgerUnavailable, TokenRefused
from celerytrail.exporter.sink.guard_watch import GuardWatch
from celerytrail.exporter.sink.ledger import Ledger, Principal, Written
from celerytrail.exporter.sink.metrics import Metrics
from celerytrail.exporter.sink.otlp_json import Transcoded, logs_from_json, traces_from_json
from celerytrail.exporter.sink.payloads import decode_payloads
from celerytrail.exporter.sink.readers import INDEX
from celerytrail.exporter.sink.refusal import (
    RequestRefused,
    unauthenticated,
    unavailable,
    unsupported,
)
from celerytrail.exporter.sink.wire import Group, groups

MAX_QUARANTINED = 32
MAX_QUARANTINED_BYTES = 16 * 1024
"""Records of one request that are kept for people to look at, and how much of each."""

_log = logging.getLogger(__name__)
_MARKS = INDEX["marks"]
_UNREADABLE = "JSON of a record cannot be read"

Decoder = Callable[[bytes, Sequence[Group], Deployment, int], Iterator[Decoded]]


@dataclass(frozen=True, slots=True)
class Signal:
    """What differs between traces and logs."""

    name: str
    from_json: Callable[[bytes], Transcoded]
    decode: Decoder
    write: Callable[[bytes, Sequence[tuple[Any, ...]]], Written]
    stored: Callable[[str, int, str], Response]


@dataclass(slots=True)
class Outcome:
    """What became of the records of one request."""

    received: int = 0
    ignored: int = 0
    inserted: int = 0
    known: int = 0
    equivocations: int = 0
    foreign: int = 0
    marked: int = 0
    rejected: int = 0
    reasons: Tally[str] | None = None

    def reject(self, reason: str, count: int = 1) -> None:
        """Count records that can never be stored, and why."""
        if count:
            if self.reasons is None:
                self.reasons = Tally()
            self.reasons[reason] += count
            self.rejected += count

    @property
    def message(self) -> str:
        """Return why records were rejected, the most frequent reasons first."""
        if self.reasons is None:
            return ""
        said = "; ".join(f"{reason} ({n})" for reason, n in self.reasons.most_common(8))
        return f"{self.rejected} rejected: {said}"


class Receiver:
    """Takes OTLP requests into a ledger."""

    def __init__(
        self,
        ledger: Ledger,
        metrics: Metrics,
        admission: Admission,
        bounds: BodyBounds,
        guards: GuardWatch,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._admission = admission
        self._bounds = bounds
        self._guards = guards
        self._gate = Gate(ledger.authenticate)
        self._traces = Signal(
            "traces", traces_from_json, decode_spans, ledger.write_spans, answer.spans_stored
        )
        self._logs = Signal(
            "logs", logs_from_json, decode_payloads, ledger.write_payloads, answer.payloads_stored
        )

    def blueprint(self) -> Blueprint:
        """Return the two routes."""
        routes = Blueprint("otlp", __name__)
        routes.add_url_rule(
            "/v1/traces", "traces", lambda: self._answer(self._traces), methods=["POST"]
        )
        routes.add_url_rule("/v1/logs", "logs", lambda: self._answer(self._logs), methods=["POST"])
        return routes

    def _answer(self, signal: Signal) -> Response:
        begun = time.perf_counter()
        media_type = _answered_in(request)
        try:
            response = self._admitted(signal)
        except RequestRefused as refusal:
            self._metrics.refused.labels(signal.name, refusal.reason).inc()
            response = answer.refused(media_type, refusal)
        except LedgerUnavailable as error:
            self._metrics.database_errors.labels("unavailable").inc()
            _log.warning("the ledger is not available: %s", error)
            seconds = max(1, round(error.retry_after_seconds))
            response = answer.refused(
                media_type, unavailable("ledger", "the ledger is not available", seconds)
            )
        except LedgerRefused as error:
            self._metrics.database_errors.labels("refused").inc()
            _log.error("the ledger refused a batch: %s", error)
            response = answer.refused(
                media_type, unavailable("ledger", "the ledger did not take the batch", 10)
            )
        except Exception:  # noqa: BLE001
            # A client that gets a 500 drops its data; with 503 it keeps them until this is mended.
            self._metrics.unexpected.labels(signal.name).inc()
            _log.exception("a %s request failed", signal.name)
            response = answer.refused(
                media_type, unavailable("unexpected", "the sink could not handle the request", 10)
            )
        self._metrics.request_seconds.labels(signal.name, str(response.status_code)).observe(
            time.perf_counter() - begun
        )
        return response

    def _admitted(self, signal: Signal) -> Response:
        ticket = self._admission.enter()
        self._metrics.requests_in_flight.inc()
        try:
            return self._take(signal, ticket)
        finally:
            self._metrics.requests_in_flight.dec()
            ticket.close()

    def _take(self, signal: Signal, ticket: Ticket) -> Response:
        digest = token_hash(request.headers.get("Authorization"))
        principal = self._gate.principal(digest)
        media_type = _media_type(request)
        gzip = is_gzip(request.headers.get("Content-Encoding"))
        reserve(ticket, request.content_length, gzip, self._bounds)
        self._guards.check()
        body = read_body(
            request.stream, gzip, self._bounds, ticket, request.environ.get("gunicorn.socket")
        )
        self._metrics.sent_bytes.labels(signal.name).inc(body.sent_bytes)
        self._metrics.inflated_bytes.labels(signal.name).inc(len(body.content))
        outcome = Outcome()
        content = body.content
        del body
        if media_type == answer.JSON:
            ticket.hold(2 * len(content))
            transcoded = signal.from_json(content)
            content = transcoded.body
            outcome.received += transcoded.unreadable
            outcome.reject(_UNREADABLE, transcoded.unreadable)
        try:
            self._store(signal, digest, principal, content, outcome)
        except TokenRefused:
            self._gate.forget(digest)
            raise unauthenticated("the bearer token is unknown, revoked or expired") from None
        self._count(signal, principal, outcome)
        return signal.stored(media_type, outcome.rejected, outcome.message)

    def _store(
        self,
        signal: Signal,
        digest: bytes,
        principal: Principal,
        content: bytes,
        outcome: Outcome,
    ) -> None:
        deployment = Deployment(principal.namespace, principal.service, principal.environment)
        kept: list[Rejected] = []
        for chunk in signal.decode(content, groups(content), deployment, time.time_ns()):
            outcome.received += chunk.received
            outcome.ignored += chunk.ignored
            for rejected in chunk.rejected:
                outcome.reject(rejected.reason)
                outcome.foreign += rejected.foreign
                if rejected.raw is not None and len(kept) < MAX_QUARANTINED:
                    kept.append(Rejected(rejected.reason, rejected.raw[:MAX_QUARANTINED_BYTES]))
            if not chunk.rows:
                continue
            written = signal.write(digest, chunk.rows)
            outcome.inserted += written.inserted
            outcome.known += written.known
            outcome.equivocations += written.equivocations
            outcome.reject("its stream and number belong to another event", written.equivocations)
            outcome.reject("; ".join(written.refusals) or "refused", written.refused)
            if signal.name == "traces":
                outcome.marked += sum(1 for row in chunk.rows if row[_MARKS] is not None)
        self._quarantine(digest, kept)

    def _quarantine(self, digest: bytes, kept: Sequence[Rejected]) -> None:
        by_reason: dict[str, list[bytes]] = {}
        for rejected in kept:
            if rejected.raw is not None:
                by_reason.setdefault(rejected.reason, []).append(rejected.raw)
        for reason, items in by_reason.items():
            self._ledger.quarantine(digest, reason, items)

    def _count(self, signal: Signal, principal: Principal, outcome: Outcome) -> None:
        metrics = self._metrics
        label = Deployment(principal.namespace, principal.service, principal.environment).label
        if signal.name == "traces":
            metrics.spans_received.labels(label).inc(outcome.received)
            metrics.spans_inserted.labels(label).inc(outcome.inserted)
            metrics.spans_known.labels(label).inc(outcome.known)
            metrics.spans_rejected.labels(label).inc(outcome.rejected)
            metrics.spans_ignored.labels(label).inc(outcome.ignored)
            metrics.spans_marked.labels(label).inc(outcome.marked)
            metrics.equivocations.labels(label).inc(outcome.equivocations)
        else:
            metrics.payloads_received.labels(label).inc(outcome.received)
            metrics.payloads_inserted.labels(label).inc(outcome.inserted)
            metrics.payloads_known.labels(label).inc(outcome.known)
            metrics.payloads_rejected.labels(label).inc(outcome.rejected)
            metrics.payloads_ignored.labels(label).inc(outcome.ignored)
        metrics.foreign.labels(label).inc(outcome.foreign)
        if outcome.rejected:
            _log.warning("%s: %s: %s", signal.name, label, outcome.message)


def _media_type(of: Request) -> str:
    if of.mimetype in (answer.PROTOBUF, answer.JSON):
        return of.mimetype
    raise unsupported(f"Content-Type has to be {answer.PROTOBUF} or {answer.JSON}")


def _answered_in(of: Request) -> str:
    """Return the media type of an error: the request's own, JSON where that is none of OTLP's."""
    return answer.PROTOBUF if of.mimetype == answer.PROTOBUF else answer.JSON
