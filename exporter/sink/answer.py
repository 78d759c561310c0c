"""What the sink answers, in the request's own content type."""

from __future__ import annotations

import json

from flask import Response
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from celerytrail.exporter.sink.refusal import RequestRefused

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_MAX_MESSAGE = 1024


def spans_stored(media_type: str, rejected: int, message: str) -> Response:
    """Return the 200 for a trace request; ``partial_success`` is set when spans were rejected."""
    if media_type == JSON:
        return _partial("rejectedSpans", rejected, message)
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = message[:_MAX_MESSAGE]
    return Response(answer.SerializeToString(), 200, content_type=PROTOBUF)


def payloads_stored(media_type: str, rejected: int, message: str) -> Response:
    """Return the 200 for a log request; ``partial_success`` is set when records were rejected."""
    if media_type == JSON:
        return _partial("rejectedLogRecords", rejected, message)
    answer = ExportLogsServiceResponse()
    if rejected:
        answer.partial_success.rejected_log_records = rejected
        answer.partial_success.error_message = message[:_MAX_MESSAGE]
    return Response(answer.SerializeToString(), 200, content_type=PROTOBUF)


def refused(media_type: str, refusal: RequestRefused) -> Response:
    """Return an error as a google.rpc.Status."""
    message = refusal.message[:_MAX_MESSAGE]
    if media_type == JSON:
        body = json.dumps({"code": refusal.code, "message": message}).encode()
    else:
        body = _status(refusal.code, message)
    response = Response(body, refusal.status, content_type=media_type)
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(refusal.retry_after)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="celerytrail"'
    return response


def _partial(field: str, rejected: int, message: str) -> Response:
    # 64-bit integers are strings in protobuf's JSON.
    body = (
        {"partialSuccess": {field: str(rejected), "errorMessage": message[:_MAX_MESSAGE]}}
        if rejected
        else {}
    )
    return Response(json.dumps(body), 200, content_type=JSON)


def _status(code: int, message: str) -> bytes:
    """Encode a google.rpc.Status by hand: two fields are no reason to depend on its package."""
    text = message.encode()
    length = bytearray()
    rest = len(text)
    while rest >= 0x80:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    length.append(rest)
    return b"\x08" + bytes([code]) + b"\x12" + bytes(length) + text
