"""From a task to the message it was: found in the ledger, checked, and opened for this task only."""

from __future__ import annotations

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.action_api.errors import Refused, Unavailable
from celerytrail.action_api.keyring import Keyring
from celerytrail.action_api.ledger import Ledger
from celerytrail.action_api.rows import StoredMessage
from celerytrail.exporter.commitment import SALT_BYTES, commit
from celerytrail.exporter.sealed import (
    Binding,
    CannotOpen,
    Message,
    SealedFormatError,
    SealingUnavailable,
    open_container,
)

_TURN_ON = (
    "Sealing is off: make keys with `celerytrail keys`, give the shipper "
    "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE and CELERYTRAIL_SEAL_PSK_FILE and the action API "
    "seal_private_key_files and seal_psk_file; what is sent from then on can be retried"
)
_WITHHELD = {
    "redacted": f"its arguments hold something secret, and were redacted. {_TURN_ON}",
    "unexamined": f"it is not JSON, so nobody could look for secrets in it. {_TURN_ON}",
    "too_large": "it is larger than what is kept",
    "missing": "the agent did not see its body",
}

_CONTENT = {
    "application/json": "json",
    "json": "json",
    "application/x-python-serialize": "pickle",
    "pickle": "pickle",
    "application/x-yaml": "yaml",
    "yaml": "yaml",
    "application/x-msgpack": "msgpack",
    "msgpack": "msgpack",
}


def open_message(ledger: Ledger, settings: DeploymentSettings, task_id: str) -> Message:
    """Return the newest message of a task of a deployment, as it went to the broker.

    Everything is checked before a key is used: that the span which commits to the body is the one
    that was chained, that the commitment fits, that the row is of this task and deployment. Raises
    Refused, with a code that says which of them it was, and Unavailable.
    """
    stored = ledger.message_for_retry(settings.deployment, task_id)
    if stored is None:
        raise Refused(f"no message of task {task_id} was recorded", code="no_body")
    body = _checked(stored, settings, task_id)
    if stored.retries is None or stored.stream_id is None or stored.seq is None:
        raise Refused(f"the message of task {task_id} is bound to no record", code="ledger_broken")
    binding = Binding(
        settings.ledger_id,
        settings.deployment.label,
        task_id,
        stored.retries,
        stored.stream_id.hex,
        stored.seq,
    )
    keyring = Keyring.of(settings)
    try:
        message = open_container(
            body, binding, keyring.private_keys, keyring.psk, allow_plain=settings.allow_plain
        )
    except (CannotOpen, SealedFormatError) as exc:
        raise Refused(
            f"the message of task {task_id} cannot be used: {exc}", code="not_sealed_for_this"
        ) from exc
    except SealingUnavailable as exc:
        raise Unavailable(str(exc), code="keys_unusable") from exc
    if message.headers.get("id") != task_id:
        raise Refused(
            f"the message that is stored for task {task_id} is another task's",
            code="not_sealed_for_this",
        )
    return message


def content_kind(message: Message) -> str:
    """Return ``json``, ``pickle``, ``yaml``, ``msgpack``, or the content type as it is."""
    named = (message.content_type or "").partition(";")[0].strip().lower()
    return _CONTENT.get(named, named or "unnamed")


def require_allowed_content(message: Message, settings: DeploymentSettings) -> str:
    """Return the kind of a message's body, when the deployment lets it be sent again.

    Raises Refused with code ``pickle_not_allowed`` or ``content_not_allowed``.
    """
    kind = content_kind(message)
    if kind not in settings.allow_content:
        raise Refused(
            f"the body is {kind}, which deployment {settings.deployment.label} does not let be "
            f'sent again: add "{kind}" to allow_content if you trust whoever can publish',
            code="pickle_not_allowed" if kind == "pickle" else "content_not_allowed",
        )
    return kind


def _checked(stored: StoredMessage, settings: DeploymentSettings, task_id: str) -> bytes:
    if stored.block_fault is not None:
        raise Refused(
            f"the ledger is not as it was chained ({stored.block_fault}): nothing of it is sent. "
            "Run `celerytrail verify`",
            code="ledger_broken",
        )
    if stored.verification == "broken":
        raise Refused(
            "the last verification found the chain broken: nothing of it is sent until "
            "`celerytrail verify` passes",
            code="ledger_broken",
        )
    if stored.body is None or stored.salt is None:
        raise _no_body(stored, task_id)
    if (stored.deployment, stored.task_id) != (settings.deployment, task_id):
        raise Refused(
            f"the body that is stored for task {task_id} is another's", code="not_sealed_for_this"
        )
    fits = (
        len(stored.salt) == SALT_BYTES
        and stored.commitment is not None
        and commit("body", stored.salt, stored.body) == stored.commitment == stored.span_commitment
    )
    if not fits:
        raise Refused(
            f"the body that is stored for task {task_id} is not the one that was recorded",
            code="ledger_broken",
        )
    return stored.body


def _no_body(stored: StoredMessage, task_id: str) -> Refused:
    if stored.withheld:
        why = _WITHHELD.get(stored.withheld, f"it was withheld ({stored.withheld})")
        return Refused(
            f"the message of task {task_id} was not kept: {why}",
            code="body_withheld",
            extra={"withheld": stored.withheld},
        )
    if stored.span_commitment is not None:
        why = "it was erased, or its time was over, or it has not arrived yet"
    else:
        why = "the agent did not see it"
    return Refused(f"the message of task {task_id} is not there: {why}", code="no_body")
