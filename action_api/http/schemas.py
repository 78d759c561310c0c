"""The shapes of requests and answers, for the code and for the OpenAPI document alike."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validates_schema
from marshmallow.validate import Length, OneOf, Range

from celerytrail.action_api.verbs.terminate import SIGNALS

MAX_NAME_CHARACTERS = 255
MAX_REASON_CHARACTERS = 1000
MAX_CONFIRMATION_CHARACTERS = 4096
_MAX_SEEN = 10**9


def _name(text: str, **options: Any) -> fields.String:
    return fields.String(
        validate=Length(0 if "load_default" in options else 1, MAX_NAME_CHARACTERS),
        metadata={"description": text},
        **options,
    )


class DeploymentParameters(Schema):
    """Which Celery deployment: its three OpenTelemetry resource attributes."""

    namespace = _name("service.namespace", load_default="")
    service = _name("service.name", required=True)
    environment = _name("deployment.environment.name", load_default="")


class ReasonParameters(DeploymentParameters):
    """A deployment, and why."""

    reason = fields.String(
        validate=Length(1, MAX_REASON_CHARACTERS),
        metadata={"description": "Why; kept as a payload that can be erased."},
    )


class TaskParameters(ReasonParameters):
    """One task."""

    task_id = _name("The id of the task.", required=True)


class TerminateParameters(TaskParameters):
    """One task, and the signal for the process that runs it."""

    signal = fields.String(
        load_default="SIGTERM",
        validate=OneOf(SIGNALS),
        metadata={"description": "What the process that runs the task is sent."},
    )


class QueueParameters(DeploymentParameters):
    """One queue."""

    queue = _name("The name of the queue.", required=True)


class GroupParameters(DeploymentParameters):
    """One group or chord."""

    group_id = _name("The id of the group, which is that of the chord's header.", required=True)


class _Confirmed(ReasonParameters):
    """What was seen before: a confirmation of a preview, or the number on a dashboard."""

    seen_name = ""
    confirmation = fields.String(
        validate=Length(1, MAX_CONFIRMATION_CHARACTERS),
        metadata={"description": "From the preview; used once, within its time."},
    )

    @validates_schema
    def _exactly_one(self, data: dict[str, Any], **_: Any) -> None:
        given = [name for name in ("confirmation", self.seen_name) if data.get(name) is not None]
        if len(given) != 1:
            raise ValidationError(
                f"give either confirmation or {self.seen_name}", field_name="confirmation"
            )


def _seen(text: str) -> fields.Integer:
    return fields.Integer(validate=Range(0, _MAX_SEEN), metadata={"description": text})


class PurgeParameters(_Confirmed, QueueParameters):
    """One queue, and what was seen of it."""

    seen_name = "seen_depth"
    seen_depth = _seen("How many messages were in the queue when somebody looked.")


class RetryChordParameters(_Confirmed, GroupParameters):
    """One chord, and what was seen of it."""

    seen_name = "seen_members"
    seen_members = _seen("How many tasks the chord had when somebody looked.")


class ActionIdParameters(Schema):
    """One action."""

    action_id = fields.UUID(required=True, metadata={"description": "As an answer named it."})


class TaskResultAnswer(Schema):
    """What became of one task."""

    task_id = fields.String(required=True)
    result = fields.String(
        required=True,
        metadata={"description": "sent, revoked, purged, skipped, failed or unknown."},
    )
    new_task_id = fields.String(
        required=True, allow_none=True, metadata={"description": "The task sent in its place."}
    )
    message = fields.String(required=True, allow_none=True)


class ActionAnswer(Schema):
    """How an action ended."""

    action_id = fields.UUID(required=True)
    verb = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=OneOf(("succeeded", "failed", "partial", "unknown", "open")),
        metadata={"description": "unknown: it may have been done, and nothing shows it yet."},
    )
    message = fields.String(required=True)
    duplicate = fields.Boolean(
        required=True, metadata={"description": "An earlier action for the same, told again."}
    )
    actor = fields.String(required=True)
    tasks = fields.List(fields.Nested(TaskResultAnswer), required=True)
    new_group_id = fields.String(
        allow_none=True,
        metadata={"description": "The group that a chord or group was sent again as."},
    )


class PreviewAnswer(Schema):
    """What an action would do, and the confirmation with which it may be done."""

    confirmation = fields.String(required=True)
    expires_in_seconds = fields.Integer(required=True)
    preview = fields.Dict(keys=fields.String(), required=True)


class ReachableDeployment(Schema):
    """A deployment and what somebody may do there."""

    namespace = fields.String(required=True)
    service = fields.String(required=True)
    environment = fields.String(required=True)
    label = fields.String(required=True)
    verbs = fields.List(fields.String(), required=True)


class WhoAmIAnswer(Schema):
    """Whom this server takes the caller for."""

    name = fields.String(required=True)
    role = fields.String(required=True, validate=OneOf(("nobody", "viewer", "operator", "admin")))
    org_id = fields.Integer(required=True, allow_none=True)
    deployments = fields.List(fields.Nested(ReachableDeployment), required=True)


class QueueAnswer(Schema):
    """One queue of a broker."""

    queue = fields.String(required=True)
    depth = fields.Integer(required=True, allow_none=True)
    oldest_age_seconds = fields.Float(required=True, allow_none=True)
    consumers = fields.Integer(required=True, allow_none=True)


class QueuesAnswer(Schema):
    """The queues of one deployment."""

    queues = fields.List(fields.Nested(QueueAnswer), required=True)


class HealthAnswer(Schema):
    """Whether a process works."""

    status = fields.String(required=True)


class ProblemAnswer(Schema):
    """Problem details (RFC 9457)."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(
        required=True, metadata={"description": "A constant name that scripts may rely on."}
    )
    request_id = fields.String(required=True)
