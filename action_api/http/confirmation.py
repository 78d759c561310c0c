"""Confirmations: a preview hands one out, and the action is done only with it, once, and soon."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from celerytrail.action_api.errors import Refused
from celerytrail.action_api.identity.authenticate import Identity
from celerytrail.exporter.deployment import Deployment

_PURPOSE = b"celerytrail/confirmation/v1\0"
_MAX_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A confirmation that holds: its id, used once, and the numbers that the person saw."""

    confirmation_id: str
    seen: Mapping[str, int]

    @property
    def idempotency_key(self) -> str:
        """Return what makes the database refuse the second use, on whichever replica."""
        return f"confirmation:{self.confirmation_id}"


class Confirmations:
    """Makes and checks confirmations; nothing is kept, so any replica takes what another gave.

    A confirmation is signed by HMAC-SHA256 with the key of whoever asked (``Identity``), over verb,
    deployment, target, the numbers seen, the actor and the time it ends.
    """

    def __init__(self, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self.seconds = seconds
        self._clock = clock

    def make(
        self,
        identity: Identity,
        verb: str,
        deployment: Deployment,
        target: Mapping[str, str],
        seen: Mapping[str, int],
    ) -> str:
        """Return a confirmation for this actor, verb and target; text that goes into a URL as it is."""
        content = {
            **_subject(identity, verb, deployment, target),
            "seen": dict(seen),
            "expires": int(self._clock()) + self.seconds,
            "id": secrets.token_urlsafe(16),
        }
        payload = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        return f"{_encode(payload)}.{_encode(_signature(identity, payload))}"

    def check(
        self,
        token: str,
        identity: Identity,
        verb: str,
        deployment: Deployment,
        target: Mapping[str, str],
    ) -> Confirmed:
        """Return what a confirmation confirms.

        Raises Refused: ``confirmation_invalid`` when it is not one of this actor for this very
        action, ``confirmation_expired`` when it came too late.
        """
        content = _verified(token, identity)
        subject = _subject(identity, verb, deployment, target)
        if {key: content.get(key) for key in subject} != subject:
            raise Refused(
                "the confirmation is for another action: look at the preview again",
                code="confirmation_invalid",
            )
        if self._clock() > content["expires"]:
            raise Refused(
                f"the confirmation is older than {self.seconds} s: look at the preview again",
                code="confirmation_expired",
            )
        return Confirmed(content["id"], content["seen"])


def _subject(
    identity: Identity, verb: str, deployment: Deployment, target: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "verb": verb,
        "deployment": [deployment.namespace, deployment.service, deployment.environment],
        "target": dict(target),
        "actor": identity.actor.label,
    }


def _signature(identity: Identity, payload: bytes) -> bytes:
    return hmac.digest(identity.confirmation_key, _PURPOSE + payload, "sha256")


def _verified(token: str, identity: Identity) -> dict[str, Any]:
    invalid = Refused(
        "the confirmation is none of yours: look at the preview again", code="confirmation_invalid"
    )
    payload_text, _, signature_text = token.partition(".")
    if len(token) > _MAX_CHARACTERS or not token.isascii():
        raise invalid
    try:
        payload, signature = _decode(payload_text), _decode(signature_text)
    except (binascii.Error, ValueError):
        raise invalid from None
    if not hmac.compare_digest(signature, _signature(identity, payload)):
        raise invalid
    content: dict[str, Any] = json.loads(payload)
    return content


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _decode(text: str) -> bytes:
    decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _encode(decoded) != text:
        raise ValueError("not the one way to write it")
    return decoded
