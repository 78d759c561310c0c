"""Delivers records until the receiver has them: what to do with each of its answers.

| answer | what happens |
|---|---|
| 2xx | delivered; what ``partial_success`` refuses is counted and logged, as OTLP says |
| 429, 408, 5xx, no answer | tried again, for ever, with backoff and Retry-After |
| 401, 403 | held and tried again slowly, an alarm in the log: a person has to act |
| 400, 413, 422 | halved until the bad record is alone; that one goes to ``rejected/``, counted |
| any other | held like 401: a wrong address must not cost records |
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from celerytrail.exporter.shipper.backoff import Backoff
from celerytrail.exporter.shipper.errors import ConfigError, DeliveryError, Unreachable
from celerytrail.exporter.shipper.otlp_settings import LOGS, TRACES, Endpoint
from celerytrail.exporter.shipper.patience import Patience
from celerytrail.exporter.shipper.rejected import RejectedFolder
from celerytrail.exporter.shipper.requests import Outgoing, encode_request, split
from celerytrail.exporter.shipper.transport import Answer, Transport

_log = logging.getLogger(__name__)

ALARM_SECONDS = 60.0
HOLD_SECONDS = 15.0
_REFUSED_TOKEN = frozenset((401, 403))
_REFUSED_DATA = frozenset((400, 413, 422))
_AGAIN = frozenset((408, 425, 429))
_MESSAGE_LENGTH = 200


@dataclass(slots=True)
class Counts:
    """What became of the records so far, by signal."""

    delivered: dict[str, int]
    rejected: dict[str, int]

    @classmethod
    def none(cls) -> Counts:
        """Return counts of nothing."""
        return cls({TRACES: 0, LOGS: 0}, {TRACES: 0, LOGS: 0})


class Delivery:
    """Sends log records and spans, one request at a time, and returns when they are taken."""

    def __init__(
        self,
        endpoints: dict[str, Endpoint],
        transport: Transport,
        rejected: RejectedFolder,
        patience: Patience,
        *,
        token: str | None = None,
        read_token: Callable[[], str] | None = None,
        clean: Callable[[str], str] = lambda text: text,
        backoff: Backoff | None = None,
    ) -> None:
        self.counts = Counts.none()
        self.trouble = ""
        """Why delivery is held up just now, or was last; for the message at the end."""
        self._error = ("", 0.0)
        self._endpoints = endpoints
        self._transport = transport
        self._rejected = rejected
        self._patience = patience
        self._token = token
        self._read_token = read_token
        self._clean = clean
        self._backoff = backoff or Backoff()
        self._alarmed_at: dict[str, float] = {}

    def send(self, signal: str, records: Sequence[Outgoing]) -> None:
        """Deliver records of one signal, in requests of bounded size.

        When it returns, each of them was taken or refused for good. Raises StoppedWaiting when the
        time is up before, DeliveryError where waiting needs a person and the patience says to give
        up.
        """
        for part in split(records):
            self._send_part(signal, part)

    def error_since(self, moment: float) -> str | None:
        """Return the last trouble since a time of ``time.monotonic`` in a few fixed words."""
        error, at = self._error
        return error if error and at >= moment else None

    def _note_error(self, error: str) -> None:
        self._error = (error, time.monotonic())

    def _send_part(self, signal: str, records: Sequence[Outgoing]) -> None:
        request = encode_request(records)
        answer = self._exchange(signal, request)
        if answer.status in _REFUSED_DATA:
            if len(records) > 1:
                middle = len(records) // 2
                self._send_part(signal, records[:middle])
                self._send_part(signal, records[middle:])
                return
            self.counts.rejected[signal] += 1
            self._note_error(f"refused {answer.status}")
            self._rejected.keep(signal, answer.status, request)
            self._alarm(
                f"{signal} {answer.status}",
                "the receiver refused a record of %s for good (%d); it is in rejected/, %d so far",
                signal,
                answer.status,
                self.counts.rejected[signal],
            )
            return
        self._count(signal, len(records), answer)

    def _exchange(self, signal: str, request: bytes) -> Answer:
        endpoint = self._endpoints[signal]
        while True:
            # Once at least, also when the time is up: the last batch of a drain is worth a try.
            try:
                answer = self._transport.post(endpoint, request, self._token)
            except Unreachable as exc:
                self.trouble = f"no answer from {exc}"
                self._note_error(exc.trouble)
                self._alarm("unreachable", "%s; trying again", self.trouble)
                self._patience.wait(self._backoff.next(), self.trouble)
                continue
            status = answer.status
            if 200 <= status < 300:
                if self.trouble:
                    _log.info("delivery goes on")
                    self.trouble = ""
                self._backoff.reset()
                return answer
            if status in _REFUSED_DATA:
                return answer
            if status in _AGAIN or (status >= 500 and status not in (501, 505)):
                self.trouble = f"{endpoint.receiver} answered {status}"
                self._note_error(f"answered {status}")
                self._alarm(f"again {status}", "%s; trying again", self.trouble)
                self._patience.wait(self._backoff.next(answer.retry_after), self.trouble)
                continue
            self._hold(endpoint, status)

    def _hold(self, endpoint: Endpoint, status: int) -> None:
        self._note_error(f"refused {status}")
        if status in _REFUSED_TOKEN:
            self.trouble = (
                f"{endpoint.receiver} answered {status}: it refuses the token; check CELERYTRAIL_TOKEN "
                "and the deployment it was made for"
            )
            if self._renew_token():
                return
        else:
            self.trouble = (
                f"{endpoint.receiver} answered {status}: this is no OTLP receiver; check "
                "CELERYTRAIL_ENDPOINT"
            )
        if self._patience.give_up:
            raise DeliveryError(self.trouble)
        self._alarm(f"hold {status}", "%s. Records are kept and tried again", self.trouble)
        self._patience.wait(HOLD_SECONDS, self.trouble)

    def _renew_token(self) -> bool:
        if self._read_token is None:
            return False
        try:
            token = self._read_token()
        except ConfigError as exc:
            self._alarm("token", "%s", exc)
            return False
        if token == self._token:
            return False
        self._token = token
        return True

    def _count(self, signal: str, sent: int, answer: Answer) -> None:
        refused, message = _partial_success(signal, answer.body)
        refused = max(0, min(refused, sent))
        self.counts.delivered[signal] += sent - refused
        if refused:
            self.counts.rejected[signal] += refused
            self._note_error("refused in part")
            self._alarm(
                f"partial {signal}",
                "the receiver took %d of %d records of %s: %s",
                sent - refused,
                sent,
                signal,
                self._clean(message[:_MESSAGE_LENGTH]),
            )

    def _alarm(self, what: str, text: str, *args: object) -> None:
        now = time.monotonic()
        last = self._alarmed_at.get(what)
        if last is None or now - last >= ALARM_SECONDS:
            self._alarmed_at[what] = now
            _log.warning(text, *args)


def _partial_success(signal: str, body: bytes) -> tuple[int, str]:
    # Collectors and proxies may answer with an empty body, or with JSON: that is full success.
    try:
        if signal == TRACES:
            spans = ExportTraceServiceResponse.FromString(body).partial_success
            return spans.rejected_spans, spans.error_message
        logs = ExportLogsServiceResponse.FromString(body).partial_success
        return logs.rejected_log_records, logs.error_message
    except DecodeError:
        return 0, ""
