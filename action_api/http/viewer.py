"""What anybody with a role may read: who they are, queues, what became of an action."""

from __future__ import annotations

from typing import Any

from celerytrail.action_api.errors import NotAllowed, NotFound
from celerytrail.action_api.http.gate import identity, require_identity
from celerytrail.action_api.http.mutation import deployment_of
from celerytrail.action_api.http.openapi import Blueprint, errors, reads
from celerytrail.action_api.http.schemas import (
    ActionAnswer,
    ActionIdParameters,
    DeploymentParameters,
    QueuesAnswer,
    WhoAmIAnswer,
)
from celerytrail.action_api.http.services import services
from celerytrail.action_api.perform import outcome_from_document
from celerytrail.action_api.rights import may_see, require_sight, verbs_for


def viewer_blueprint() -> Blueprint:
    """Return the routes of /v1/viewer."""
    routes = Blueprint("viewer", __name__, url_prefix="/v1/viewer")
    routes.before_request(require_identity)

    @routes.at("GET", "/whoami")
    @reads(routes)
    @routes.answers(WhoAmIAnswer)
    def whoami() -> dict[str, Any]:
        """Say whom this server takes you for, and what you may do."""
        config, actor = services().config, identity().actor
        visible = [
            settings.deployment
            for settings in config.deployments
            if may_see(config, actor, settings.deployment)
        ]
        return {
            "name": actor.name,
            "role": actor.role.name.lower(),
            "org_id": actor.org_id,
            "deployments": [
                {
                    "namespace": deployment.namespace,
                    "service": deployment.service,
                    "environment": deployment.environment,
                    "label": deployment.label,
                    "verbs": sorted(verbs_for(config, actor, deployment)),
                }
                for deployment in visible
            ],
        }

    @routes.at("GET", "/queues")
    @reads(routes)
    @routes.takes(DeploymentParameters)
    @routes.answers(QueuesAnswer)
    def queues(parameters: dict[str, Any]) -> dict[str, Any]:
        """List the queues of a deployment, as its broker has them now."""
        deployment = deployment_of(parameters)
        require_sight(services().config, identity().actor, deployment)
        return {"queues": list(services().queues(deployment))}

    @routes.at("GET", "/action")
    @reads(routes)
    @errors(routes, 404)
    @routes.takes(ActionIdParameters)
    @routes.answers(ActionAnswer)
    def action(parameters: dict[str, Any]) -> dict[str, Any]:
        """Say where an action stands; ``state`` is ``open`` until it has ended."""
        action_id = parameters["action_id"]
        found = services().ledger.intent_state(action_id)
        if found is None:
            raise NotFound(f"there is no action {action_id}")
        actor = identity().actor
        if found.actor != actor.label and not may_see(services().config, actor, found.deployment):
            raise NotAllowed(f"{actor.label} may not read about action {action_id}")
        outcome = outcome_from_document(found.state, found.outcome)
        return {
            "action_id": action_id,
            "verb": found.verb,
            "state": found.state,
            "message": outcome.message or "it is being done",
            "duplicate": False,
            "actor": found.actor,
            "tasks": outcome.tasks,
            "new_group_id": outcome.detail.get("group_id"),
        }

    return routes
