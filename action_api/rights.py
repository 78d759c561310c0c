"""Who may do what: (organisation, role) to deployment to verbs. What nothing allows is refused."""

from __future__ import annotations

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.config import ActionApiConfig, Right
from celerytrail.action_api.errors import NotAllowed
from celerytrail.action_api.verb_roles import MINIMUM_ROLE
from celerytrail.exporter.deployment import Deployment


def verbs_for(config: ActionApiConfig, actor: Actor, deployment: Deployment) -> frozenset[str]:
    """Return the verbs that an actor may do on a deployment; none where the file knows it not."""
    if config.settings_of(deployment) is None:
        return frozenset()
    if actor.kind == "token":
        granted = actor.scopes if actor.deployment == deployment.label else None
    else:
        granted = frozenset[str]().union(
            *(
                right.verbs
                for right in _rights_of(config, actor)
                if right.covers(deployment) and actor.role >= right.role
            )
        )
    return frozenset(verb for verb in granted or () if MINIMUM_ROLE[verb] <= actor.role)


def may_see(config: ActionApiConfig, actor: Actor, deployment: Deployment) -> bool:
    """Say whether an actor may read about a deployment.

    A person may where the organisation has any right at all, from the role viewer on; a token where
    it belongs.
    """
    if config.settings_of(deployment) is None or actor.role < Role.VIEWER:
        return False
    if actor.kind == "token":
        return actor.deployment == deployment.label
    return any(right.covers(deployment) for right in _rights_of(config, actor))


def require_right(config: ActionApiConfig, actor: Actor, verb: str, deployment: Deployment) -> None:
    """Return when an actor may do a verb on a deployment.

    Raises NotAllowed, in the same words for a deployment that is not in the file: who may do nothing
    there is not told whether it exists.
    """
    if verb not in verbs_for(config, actor, deployment):
        raise NotAllowed(f"{actor.label} may not {verb} on {deployment.label}")


def require_sight(config: ActionApiConfig, actor: Actor, deployment: Deployment) -> None:
    """Return when an actor may read about a deployment. Raises NotAllowed."""
    if not may_see(config, actor, deployment):
        raise NotAllowed(f"{actor.label} may not read about {deployment.label}")


def _rights_of(config: ActionApiConfig, actor: Actor) -> tuple[Right, ...]:
    if actor.kind != "grafana":
        return ()
    return tuple(right for org in config.orgs if org.org_id == actor.org_id for right in org.rights)
