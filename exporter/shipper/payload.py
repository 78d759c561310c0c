"""The payload items of a record: user data that travels apart from its span, as OTLP log records.

Whatever is made here depends on the record, its segment and the settings alone, so that a record
that is sent again after a crash has the same items, salts and commitments.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from celerytrail.exporter.sealed import Binding, DataKey, keep_plain_bytes, seal_bytes
from celerytrail.exporter.shipper.identity import Identity
from celerytrail.exporter.shipper.json_text import with_text_keys
from celerytrail.exporter.shipper.message_description import Describer, beside_the_body
from celerytrail.exporter.shipper.payload_items import ItemMaker, PayloadItem
from celerytrail.exporter.shipper.redaction import Redacted, RedactedBody, Redactor
from celerytrail.exporter.shipper.task_rules import EVERYTHING, TaskRule
from celerytrail.exporter.spool.record import LAYOUTS, Record
from celerytrail.exporter.spool.segment import SegmentHeader

DEFAULT_BODY_BYTES = 256 * 1024
MAX_CONTAINER_BYTES = 512 * 1024
"""A body over the first, or a container over the second, is not kept; a receiver takes no more."""

_MESSAGE_STEPS = frozenset(("sent", "send_failed", "received"))
_START = "started"
_ENDS = frozenset(name for name, layout in LAYOUTS.items() if "result" in layout)
_TOLD = ("exception", "traceback")
_JSON = frozenset(("application/json", "json"))


class Payload(NamedTuple):
    """All items of one record. ``withheld`` says why its message body is not among them."""

    items: tuple[PayloadItem, ...]
    withheld: str | None

    def commitments(self) -> dict[str, bytes]:
        """Return the commitments by kind."""
        return {item.kind: item.commitment for item in self.items}


@dataclass(frozen=True, slots=True)
class Sealing:
    """What seals the bodies of one segment."""

    data_key: DataKey
    psk: bytes
    ledger_id: str


class Draft(NamedTuple):
    """What of a record is to be told: redacted items, its message as a container, or why not that."""

    shown: list[tuple[str, Redacted]]
    container: bytes | None
    withheld: str | None


_NOTHING = Payload((), None)
_SAYS_NOTHING = Draft([], None, None)


class PayloadBuilder:
    """Makes payload items by the settings of this process."""

    def __init__(self, redactor: Redactor, *, max_body_bytes: int = DEFAULT_BODY_BYTES) -> None:
        self._redactor = redactor
        self._max_body_bytes = max_body_bytes
        self._describer = Describer()

    def build(
        self,
        header: SegmentHeader,
        deployment: str,
        record: Record,
        identity: Identity,
        sealing: Sealing | None,
    ) -> Payload:
        """Return the items of a record, see ``draft``; raises as ``payload_of``."""
        draft = self.draft(header, deployment, record, identity, sealing)
        return payload_of(header, record, identity, draft)

    def draft(
        self,
        header: SegmentHeader,
        deployment: str,
        record: Record,
        identity: Identity,
        sealing: Sealing | None,
    ) -> Draft:
        """Return what is to be told of a record.

        ``deployment`` is the label of the segment's deployment. With ``sealing`` the message body
        is sealed; without, it is kept only where redaction found nothing to hide in all of it.
        """
        task_id = identity.task_id
        if task_id is None:
            # A payload belongs to a task: without an id nobody could find, or erase, it.
            return _SAYS_NOTHING
        fields = record.fields
        step = record.step.name
        if step == _START:
            return _SAYS_NOTHING
        said = fields.get("task_rules")
        if (
            step in _ENDS
            and fields.get("exception") is None
            and fields.get("traceback") is None
            and fields.get("result") is None
        ):
            # Most ends show nothing. What they say of their task is learned all the same.
            if said is not None:
                self._redactor.tasks.of_record(None, said)
            return _SAYS_NOTHING
        shown: list[tuple[str, Redacted]] = []
        container: bytes | None = None
        withheld: str | None = None
        # The message was shown when it was sent; a reception shows it only if that was not seen.
        rule = self._redactor.tasks.of_record(_text(identity.facts.get("task")), said)
        redactor = self._redactor.of_rule(rule)
        if step in _MESSAGE_STEPS and (step != "received" or identity.derived):
            body = fields.get("body")
            looked_at: RedactedBody | None = None
            if (
                isinstance(body, bytes)
                and fields.get("content_type") in _JSON
                and rule is not EVERYTHING
            ):
                looked_at = redactor.body(body, rule)
            shown += _arguments(redactor, rule, identity, looked_at)
            container, withheld = self._body(
                header, deployment, record, identity, redactor, looked_at, sealing
            )
        elif step == "unknown" and identity.derived:
            shown += _arguments(redactor, rule, identity, None)
        for kind in _TOLD:
            value = fields.get(kind)
            if value is not None:
                shown.append(
                    (kind, redactor.hidden() if rule.exception else redactor.text(_decoded(value)))
                )
        if fields.get("result") is not None:
            shown.append(
                (
                    "result",
                    redactor.hidden() if rule.result else _result(redactor, fields["result"]),
                )
            )
        return Draft(shown, container, withheld)

    def _body(
        self,
        header: SegmentHeader,
        deployment: str,
        record: Record,
        identity: Identity,
        redactor: Redactor,
        looked_at: RedactedBody | None,
        sealing: Sealing | None,
    ) -> tuple[bytes | None, str | None]:
        body = record.fields.get("body")
        if not isinstance(body, bytes):
            large = record.fields.get("body_size") is not None or body is not None
            return None, "too_large" if large else "missing"
        if len(body) > self._max_body_bytes:
            return None, "too_large"
        described = self._describer.describe(record.fields, identity.facts, body, identity.key)
        if sealing is not None:
            binding = Binding(
                sealing.ledger_id,
                deployment,
                identity.task_id or "",
                identity.retries,
                header.stream_id,
                record.seq,
            )
            container = seal_bytes(described, binding, sealing.data_key, sealing.psk, header.secret)
        else:
            if looked_at is None:
                return None, "unexamined"
            if looked_at.changed or redactor.hold_secrets(
                beside_the_body(record.fields, identity.facts), identity.key
            ):
                return None, "redacted"
            container = keep_plain_bytes(described)
        if len(container) > MAX_CONTAINER_BYTES:
            return None, "too_large"
        return container, None


def payload_of(header: SegmentHeader, record: Record, identity: Identity, draft: Draft) -> Payload:
    """Return a draft as items with their commitments; raises as ``ItemMaker``."""
    shown, container, withheld = draft
    if not shown and container is None:
        return Payload((), withheld) if withheld else _NOTHING
    maker = ItemMaker(header, record, identity, identity.task_id or "")
    items = [maker.item(kind, redacted.data, redacted) for kind, redacted in shown]
    if container is not None:
        items.append(maker.item("body", container, None))
    return Payload(tuple(items), withheld)


def _arguments(
    redactor: Redactor, rule: TaskRule, identity: Identity, body: RedactedBody | None
) -> Iterator[tuple[str, Redacted]]:
    facts = identity.facts
    if body is not None:
        yield "args", body.args
        yield "kwargs", body.kwargs
    else:
        for kind, name in (("args", "argsrepr"), ("kwargs", "kwargsrepr")):
            value = facts.get(name)
            if value is not None:
                text = _decoded(value)
                yield kind, redactor.argument_text(text, rule, positional=kind == "args")
    stamps = facts.get("stamps")
    if stamps:
        yield "stamps", redactor.value(with_text_keys(stamps))


def _result(redactor: Redactor, value: Any) -> Redacted:
    return redactor.value(_decoded(value) if isinstance(value, bytes) else with_text_keys(value))


def _decoded(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else repr(value)


def _text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
