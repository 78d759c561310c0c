"""The message that is sent in place of a task: the same task and arguments, and nothing after it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from celerytrail.action_api.broker.outgoing import Outgoing
from celerytrail.action_api.errors import Refused
from celerytrail.action_api.verbs.canvas_body import ends_without_canvas, read_json_body
from celerytrail.exporter.sealed import Message

_KEPT = ("lang", "task", "shadow", "timelimit", "argsrepr", "kwargsrepr", "ignore_result")
_STAMPS = ("stamped_headers", "stamps")
ORIGIN = f"celerytrail@{socket.gethostname()}"


def body_alone(message: Message, kind: str) -> bytes:
    """Return the body to send: that of the message without callbacks, chain and chord.

    ``kind`` is that of ``content_kind``. Only JSON can be taken apart. A pickled body is sent as it
    is, when its last bytes show that there is nothing to take off. Raises Refused for all others.
    """
    if kind == "json":
        body = read_json_body(message)
        if any(body.embedded.values()):
            return body.alone()
        return message.body
    if message.headers.get("group") or not (kind == "pickle" and ends_without_canvas(message.body)):
        raise Refused(
            f"the body is {kind}, which cannot be taken apart without loading it, so the rest of a "
            "chain, a callback or a chord that may be in it would run again",
            code="canvas_not_removable",
        )
    return message.body


def outgoing(message: Message, body: bytes, new_id: str) -> Outgoing:
    """Return the message that runs the task once more, under an id of its own.

    It is a root of its own, in no group, at its first attempt, due now: an ETA or an end of validity
    that is over would keep it from running. Where it goes, its priority, time limits and stamps are
    as they were. The trail of the old message is left out: with it, the run would be the old task's.
    """
    if not message.routing_key and not message.exchange:
        raise Refused("the message names no queue it went to", code="no_route")
    old: Mapping[str, Any] = message.headers
    headers: dict[str, Any] = {name: old.get(name) for name in _KEPT}
    headers.update({name: old[name] for name in _STAMPS if old.get(name) is not None})
    headers.update(
        id=new_id,
        root_id=new_id,
        parent_id=None,
        group=None,
        group_index=None,
        retries=0,
        eta=None,
        expires=None,
        origin=ORIGIN,
        replaced_task_nesting=0,
    )
    return Outgoing(
        headers=headers,
        body=body,
        content_type=message.content_type or "application/json",
        content_encoding=message.content_encoding or "utf-8",
        exchange=message.exchange or "",
        routing_key=message.routing_key or "",
        priority=message.priority,
        correlation_id=new_id,
    )
