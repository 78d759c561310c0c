"""What verbs share about the task they are for."""

from __future__ import annotations

from hashlib import sha256

from celerytrail.action_api.action import ActionRequest
from celerytrail.action_api.errors import BadRequest, NotFound, Refused
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import TaskRow

MAX_ID_BYTES = 1024
_MAX_KEY_BYTES = 400


def required(request: ActionRequest, name: str) -> str:
    """Return a parameter that has to be given. Raises BadRequest."""
    value = request.parameters.get(name) or ""
    if not value or len(value.encode("utf-8", "replace")) > MAX_ID_BYTES or "\0" in value:
        raise BadRequest(f"{name} has to be given, with 1 to {MAX_ID_BYTES} bytes")
    return value


def target_key(kind: str, name: str, *rest: object) -> str:
    """Return ``kind/name/rest``; a name that is too long for the ledger's key is its SHA-256."""
    if len(name.encode()) > _MAX_KEY_BYTES:
        name = f"sha256:{sha256(name.encode()).hexdigest()}"
    return "/".join([kind, name, *(str(part) for part in rest)])


def find_task(ledger: Ledger, request: ActionRequest) -> TaskRow:
    """Return the task that a request names. Raises BadRequest, NotFound."""
    task_id = required(request, "task_id")
    task = ledger.task(request.deployment, task_id)
    if task is None:
        raise NotFound(f"task {task_id} is not known in {request.deployment.label}")
    return task


def require_ended(task: TaskRow) -> None:
    """Raise Refused (code ``still_running``) for a task of which no end is known."""
    if not task.ended:
        raise Refused(
            f"task {task.task_id} has not ended, it is {task.state}: cancel or terminate it first, "
            "or wait",
            code="still_running",
            extra={"state": task.state},
        )


def require_not_ended(task: TaskRow) -> None:
    """Raise Refused (code ``already_ended``) for a task whose end is known."""
    if task.ended:
        raise Refused(
            f"task {task.task_id} has ended already, it is {task.state}",
            code="already_ended",
            extra={"state": task.state},
        )
