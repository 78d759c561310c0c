"""What many messages, or runs, of one task have in common: a key for what is remembered of them.

Two of one key differ in their ids, numbers, times and body alone. Ids that are no UUIDs may hold
anything, and times to come (ETA, expiry) are another each time: such a message has no key.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from typing import Any

from celerytrail.exporter.shipper.secret_values import UUID
from celerytrail.exporter.spool.record import HEADERS, MARSHAL_VERSION, REQUEST

MAX_KEY_BYTES = 1024
AROUND = ("exchange", "routing_key", "priority", "reply_to", "content_type", "content_encoding")
"""Fields of a record that belong to the message beside its headers."""

IDS = ("id", "root_id", "parent_id", "group")
_TASK, _RETRIES = 1, 2
_OF_IDS = 6
_ETA, _EXPIRES, _ETA_OF_REQUEST = (
    HEADERS.index("eta"),
    HEADERS.index("expires"),
    REQUEST.index("eta"),
)
assert HEADERS[:_OF_IDS] == REQUEST[:_OF_IDS] == ("id", "task", "retries", *IDS[1:])
_is_uuid = UUID.fullmatch


def message_key(fields: Mapping[str, Any]) -> bytes | None:
    """Return the key of the message of a record that has headers."""
    headers = fields.get("headers")
    if type(headers) is not tuple or not _OF_IDS <= len(headers) <= len(HEADERS):
        return None
    return _key(
        headers, (*headers[_OF_IDS:], *map(fields.get, AROUND)), headers[_ETA : _EXPIRES + 1]
    )


def run_key(request: object) -> bytes | None:
    """Return the key of a run by its request."""
    if type(request) is not tuple or not _OF_IDS <= len(request) <= len(REQUEST):
        return None
    return _key(request, request[_OF_IDS:], request[_ETA_OF_REQUEST : _ETA_OF_REQUEST + 1])


def _key(
    values: tuple[Any, ...], others: tuple[Any, ...], to_come: tuple[Any, ...]
) -> bytes | None:
    task_id, task, retries, root_id, parent_id, group = values[:_OF_IDS]
    for moment in to_come:
        if moment is not None:
            return None
    if type(task_id) is not str or not _is_uuid(task_id):
        return None
    for other in (root_id, parent_id, group):
        if other is not None and other != task_id and not (type(other) is str and _is_uuid(other)):
            return None
    try:
        # Unlike the values themselves this tells 1 from True, and takes lists.
        key = marshal.dumps((task, retries, others), MARSHAL_VERSION)
    except ValueError:
        return None
    return key if len(key) <= MAX_KEY_BYTES else None
