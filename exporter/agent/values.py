"""Reading the values that records keep out of Celery's headers and request objects."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any

from celerytrail.exporter.spool.record import HEADERS, REQUEST

DELIVERY = ("exchange", "routing_key", "priority", "redelivered")

_OF_REQUEST = REQUEST[: -len(DELIVERY)]
_get_headers = itemgetter(*HEADERS)
_get_delivery = itemgetter(*DELIVERY)
_NO_DELIVERY = (None, None, None, None)

_get_request = attrgetter(*_OF_REQUEST)


def header_values(headers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of ``record.HEADERS``; what this Celery does not send is None."""
    try:
        values: tuple[Any, ...] = _get_headers(headers)
    except KeyError:
        values = tuple(map(headers.get, HEADERS))
    return values


def request_values(request: Any) -> tuple[Any, ...]:
    """Return the values of ``record.REQUEST`` of a task's request (a ``Context``)."""
    try:
        values: tuple[Any, ...] = _get_request(request)
    except AttributeError:  # an eager request of an older Celery does not know its task's name
        values = tuple(getattr(request, name, None) for name in _OF_REQUEST)
    return values + _delivery_values(request.delivery_info)


def request_values_of_message(headers: Mapping[str, Any], delivery: Any) -> tuple[Any, ...]:
    """Return the values of ``record.REQUEST`` from message headers, where no request is at hand."""
    return tuple(map(headers.get, _OF_REQUEST)) + _delivery_values(delivery)


def _delivery_values(delivery: Any) -> tuple[Any, ...]:
    if not delivery:
        return _NO_DELIVERY
    try:
        values: tuple[Any, ...] = _get_delivery(delivery)
    except KeyError:
        values = tuple(map(delivery.get, DELIVERY))
    return values


def body_bytes(encoded: Any, limit: int) -> tuple[bytes | None, int | None]:
    """Return (body, size) of an encoded body: the body is None over the limit, both when unknown."""
    if encoded is None:
        return None, None
    size = len(encoded)
    if size > limit:
        return None, size
    if isinstance(encoded, str):
        encoded = encoded.encode("utf-8", "surrogatepass")
        size = len(encoded)
    return (bytes(encoded) if size <= limit else None), size
