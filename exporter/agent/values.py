"""Reading the values that records keep out of Celery's headers and request objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

from celery.app.task import Context

from celerytrail.exporter.spool.record import HEADERS, REQUEST

_DELIVERY = ("routing_key", "redelivered", "priority")
ENDED_WITH_REPRS = HEADERS.index("argsrepr")

_OF_REQUEST = REQUEST[: REQUEST.index("routing_key")]
_OF_52 = HEADERS[: HEADERS.index("replaced_task_nesting")]
_MISSING_IN_52 = (None, None, None)

_get_headers = itemgetter(*HEADERS)
_get_without_reprs = itemgetter(*HEADERS[:ENDED_WITH_REPRS])
_get_of_52 = itemgetter(*_OF_52)
_get_of_request_52 = itemgetter(*_OF_REQUEST[:-1])
_get_delivery = itemgetter(*_DELIVERY)
_NO_DELIVERY = (None, None, None)


def _values_of_52(known: Mapping[str, Any]) -> tuple[Any, ...]:
    # Before 5.3 no message says how often its task was replaced.
    return (*_get_of_request_52(known), None)


_HAS_ALL = hasattr(Context, "replaced_task_nesting")
_get_request: Callable[[Any], tuple[Any, ...]] = (
    itemgetter(*_OF_REQUEST) if _HAS_ALL else _values_of_52
)


def header_values(headers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of ``record.HEADERS``; what this Celery does not send is None."""
    try:
        values: tuple[Any, ...] = _get_headers(headers)
    except KeyError:
        values = tuple(map(headers.get, HEADERS))
    return values


def header_values_without_reprs(headers: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the same but for the two reprs of the arguments: for records that keep the body."""
    try:
        if "stamps" in headers:
            values: tuple[Any, ...] = _get_without_reprs(headers)
        else:
            values = _get_of_52(headers) + _MISSING_IN_52
    except KeyError:
        values = tuple(map(headers.get, HEADERS[:ENDED_WITH_REPRS]))
    return values


get_without_reprs: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
    _get_without_reprs if _HAS_ALL else header_values_without_reprs
)
"""The same for a message of this Celery, in a call less; of another one's it raises KeyError."""


def request_values(request: Any) -> tuple[Any, ...]:
    """Return the values of ``record.REQUEST`` of a task's request (a ``Context``)."""
    known = request.__dict__
    try:
        # A request of a message has all of these, and then it is not eager.
        values: tuple[Any, ...] = _get_request(known) + _get_delivery(known["delivery_info"])
    except (KeyError, TypeError):  # an eager request, or a message of an older Celery
        values = tuple(getattr(request, name, None) for name in _OF_REQUEST)
        values = (*values, *_delivery_values(request.delivery_info), known.get("is_eager"))
    return values


def request_values_of_message(headers: Mapping[str, Any], delivery: Any) -> tuple[Any, ...]:
    """Return the values of ``record.REQUEST`` from message headers, where no request is at hand."""
    return (*map(headers.get, _OF_REQUEST), *_delivery_values(delivery))


def _delivery_values(delivery: Any) -> tuple[Any, ...]:
    return tuple(map(delivery.get, _DELIVERY)) if delivery else _NO_DELIVERY


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
