"""Deny by default: a right is there, and for this, or nothing may be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celerytrail.action_api.actor import Actor, Role
from celerytrail.action_api.config import ActionApiConfig, DeploymentSettings, GrafanaOrg, Right
from celerytrail.action_api.errors import NotAllowed
from celerytrail.action_api.rights import may_see, require_right, require_sight, verbs_for
from celerytrail.action_api.verb_roles import MINIMUM_ROLE, verbs_of
from celerytrail.action_api.verbs.table import VERBS
from celerytrail.exporter.deployment import Deployment
from celerytrail.sql.tokens import SCOPES

SHOP = Deployment("", "shop", "")
BANK = Deployment("", "bank", "")
ELSEWHERE = Deployment("", "elsewhere", "")
OPERATOR_VERBS = {"retry", "cancel", "terminate", "retry-chord"}


def org(org_id: int, *rights: Right) -> GrafanaOrg:
    return GrafanaOrg(org_id, "https://g/", "http://g/keys", f"secret-{org_id}", rights)


CONFIG = ActionApiConfig(
    "host=db",
    deployments=(DeploymentSettings(SHOP, "x"), DeploymentSettings(BANK, "x")),
    orgs=(
        org(
            1,
            Right(Role.OPERATOR, "/shop/", verbs_of(Role.OPERATOR)),
            Right(Role.ADMIN, "/shop/", frozenset({"purge"})),
            Right(Role.ADMIN, "/bank/", frozenset({"cancel"})),
            Right(Role.OPERATOR, "/elsewhere/", verbs_of(Role.OPERATOR)),
        ),
        org(2, Right(Role.ADMIN, "*", verbs_of(Role.ADMIN))),
        org(3),
    ),
)
ALICE = Actor("grafana", "alice", "user:a", Role.ADMIN, 1)


@pytest.mark.parametrize(
    ("org_id", "role", "deployment", "verbs"),
    [
        (1, Role.NOBODY, SHOP, set()),
        (1, Role.VIEWER, SHOP, set()),
        (1, Role.OPERATOR, SHOP, OPERATOR_VERBS),
        (1, Role.ADMIN, SHOP, {*OPERATOR_VERBS, "purge"}),
        (1, Role.OPERATOR, BANK, set()),
        (1, Role.ADMIN, BANK, {"cancel"}),
        (1, Role.ADMIN, ELSEWHERE, set()),
        (2, Role.OPERATOR, SHOP, set()),
        (2, Role.ADMIN, BANK, {*OPERATOR_VERBS, "purge"}),
        (2, Role.ADMIN, ELSEWHERE, set()),
        (3, Role.ADMIN, SHOP, set()),
        (4, Role.ADMIN, SHOP, set()),
        (None, Role.ADMIN, SHOP, set()),
    ],
)
def test_organisation_and_role_and_deployment_make_the_verbs(
    org_id: int | None, role: Role, deployment: Deployment, verbs: set[str]
) -> None:
    actor = replace(ALICE, org_id=org_id, role=role)
    assert verbs_for(CONFIG, actor, deployment) == verbs
    for verb in VERBS:
        if verb in verbs:
            require_right(CONFIG, actor, verb, deployment)
        else:
            with pytest.raises(NotAllowed):
                require_right(CONFIG, actor, verb, deployment)


def test_a_token_does_its_scopes_on_its_deployment_alone() -> None:
    token = Actor(
        "token", "t", "id", Role.ADMIN, deployment="/shop/", scopes=frozenset({"retry", "purge"})
    )
    assert verbs_for(CONFIG, token, SHOP) == {"retry", "purge"}
    assert verbs_for(CONFIG, token, BANK) == set()
    assert verbs_for(CONFIG, replace(token, role=Role.OPERATOR), SHOP) == {"retry"}
    assert verbs_for(CONFIG, replace(token, scopes=None), SHOP) == set()
    assert verbs_for(CONFIG, replace(token, deployment=None), SHOP) == set()
    # The number of an organisation gives a token nothing.
    assert verbs_for(CONFIG, replace(token, org_id=2), BANK) == set()
    assert may_see(CONFIG, token, SHOP)
    assert not may_see(CONFIG, token, BANK)


def test_another_kind_of_actor_may_do_nothing() -> None:
    assert verbs_for(CONFIG, replace(ALICE, kind="robot"), SHOP) == set()


def test_who_may_read() -> None:
    assert may_see(CONFIG, replace(ALICE, role=Role.VIEWER), SHOP)
    assert not may_see(CONFIG, replace(ALICE, role=Role.NOBODY), SHOP)
    assert not may_see(CONFIG, replace(ALICE, org_id=3), SHOP)
    assert not may_see(CONFIG, ALICE, ELSEWHERE)
    with pytest.raises(NotAllowed):
        require_sight(CONFIG, replace(ALICE, org_id=3), SHOP)


def test_the_verbs_are_the_same_everywhere() -> None:
    assert set(MINIMUM_ROLE) == set(VERBS) == set(SCOPES)
    for name, verb in VERBS.items():
        assert verb.minimum_role == MINIMUM_ROLE[name]  # type: ignore[attr-defined]
