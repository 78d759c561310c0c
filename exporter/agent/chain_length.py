"""Which place a message has in a chain: read off the chain that it carries and that of the task in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celerytrail.exporter.agent.canvas import MAX_NESTING, is_published_first


def chain_length(embedded: Any, request: Any) -> int | None:
    """Return how many links a chain has whose first link this is; for a later link, below zero, how many from it on.

    Returns None for what is no link, or takes the place of one. ``embedded`` is the third part of a protocol 2
    body, ``request`` that of the task that publishes. It takes as long for a chain of a thousand links
    as for one of two.
    """
    chain = embedded.get("chain") if isinstance(embedded, dict) else None
    if not isinstance(chain, (list, tuple)):
        return None
    own = request.__dict__.get("chain") if request is not None else None
    if isinstance(own, (list, tuple)) and _goes_on(chain, own):
        return -len(chain) - 1
    # What takes the place of a task goes on with its chain, and begins none.
    if not chain or own or _has(chain, request):
        return None
    return len(chain) + 1


def _goes_on(chain: Sequence[Any], own: Sequence[Any]) -> bool:
    """Tell whether a chain is what is left of the task's own, or, at a retry, all of it."""
    # Up to Celery 5.5 the next link is taken off the task's own chain before it is sent.
    if chain is own:
        return True
    length = len(chain)
    if not len(own) - 1 <= length <= len(own):
        return False
    if length and chain[0] is own[0] and chain[-1] is own[length - 1]:
        # Celery hands on the very links: to compare all of them would cost more with each.
        return True
    return chain == own[:length]


def _has(chain: Sequence[Any], request: Any) -> bool:
    task_id = request.__dict__.get("id") if request is not None else None
    return task_id is not None and any(
        is_published_first(task_id, one) for one in chain[:MAX_NESTING]
    )
