"""Who is recognised and who is not, through a real server; every refusal is a chained ledger row."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.action_api_process import ActionApiProcess, ApiAnswer
from tests.grafana.plugin_proxy import SigningKey
from tests.integration.action_api.grafana_identity import (
    claims,
    context,
    hmac_by_public_key,
    person,
    send,
    token,
    unsigned,
)
from tests.integration.action_api.served import (
    BANK,
    BANK_PARAMETERS,
    PURGE,
    RETRY,
    SECRET_1,
    SECRET_2,
    SHOP_PARAMETERS,
    Served,
    alice,
    bearer,
)
from tests.waiting import wait_until

pytest_plugins = ["tests.integration.action_api.served_fixtures"]

WHOAMI = "/v1/viewer/whoami"
TASK = {**SHOP_PARAMETERS, "task_id": "task-of-shop"}
IMPOSTOR = SigningKey("the-key")  # the id of the real one
STRANGER = SigningKey("another-key")


def with_token(text: str) -> dict[str, str]:
    return {**alice(), "X-Grafana-Id": text}


def with_claims(**other: Any) -> dict[str, str]:
    return with_token(token(claims(**other)))


def with_context(**other: Any) -> dict[str, str]:
    return {**alice(), "X-Grafana-Context": json.dumps(context(**other))}


def named(login: str) -> dict[str, str]:
    content = claims(login, sub="user:u")
    return {**with_token(token(content)), **_context_of(login, UserUID="u")}


def _context_of(login: str, **other: Any) -> dict[str, str]:
    return {"X-Grafana-Context": json.dumps(context(login, **other))}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in alice().items() if key != name}


NOBODY: dict[str, tuple[Callable[[], Mapping[str, str]], str]] = {
    "no proof": (dict, "no_proof"),
    "only X-Grafana-User": (lambda: {"X-Grafana-User": "alice"}, "no_proof"),
    "no proxy secret": (lambda: without("X-Celerytrail-Proxy"), "proxy_secret_missing"),
    "no proxy secret but X-Grafana-User": (
        lambda: {**without("X-Celerytrail-Proxy"), "X-Grafana-User": "alice"},
        "proxy_secret_missing",
    ),
    "wrong proxy secret": (
        lambda: {**alice(), "X-Celerytrail-Proxy": SECRET_1[:-1]},
        "proxy_secret_wrong",
    ),
    "empty proxy secret": (lambda: {**alice(), "X-Celerytrail-Proxy": ""}, "proxy_secret_wrong"),
    "secret of another organisation": (
        lambda: {**alice(), "X-Celerytrail-Proxy": SECRET_2},
        "token_audience",
    ),
    "no token": (lambda: without("X-Grafana-Id"), "token_missing"),
    "token of a forger": (lambda: with_token(token(claims(), IMPOSTOR)), "token_signature"),
    "token changed after signing": (
        lambda: with_token(_swap_payload(token(claims(role="Viewer")), claims(role="Admin"))),
        "token_signature",
    ),
    "token is no token": (lambda: with_token("abc"), "token_malformed"),
    "token of 9 KiB": (lambda: with_token(token(claims(pad="x" * 9000))), "token_malformed"),
    "expired": (lambda: with_claims(exp=int(time.time()) - 31), "token_expired"),
    "no expiry": (lambda: with_claims(exp=None), "token_claim_missing"),
    "expiry is a word": (lambda: with_claims(exp="never"), "token_malformed"),
    "from the future": (lambda: with_claims(nbf=int(time.time()) + 90), "token_not_yet_valid"),
    "wrong audience": (lambda: with_claims(aud=["org:2"]), "token_audience"),
    "two audiences": (lambda: with_claims(aud=["org:1", "org:2"]), "token_audience"),
    "no audience": (lambda: with_claims(aud=None), "token_claim_missing"),
    "wrong issuer": (lambda: with_claims(iss="https://grafana.example"), "token_issuer"),
    "no issuer": (lambda: with_claims(iss=None), "token_claim_missing"),
    "no subject": (lambda: with_claims(sub=None), "token_claim_missing"),
    "no type": (lambda: with_claims(type=None), "token_claim_missing"),
    "no user name": (lambda: with_claims(username=None), "token_claim_missing"),
    "a user name that is too long": (lambda: named("ö" * 129), "token_claim_missing"),
    "a user name with a line break": (lambda: named("a\nb"), "token_claim_missing"),
    "algorithm none": (lambda: with_token(unsigned(claims())), "token_algorithm"),
    "HS256 with the public key": (
        lambda: with_token(hmac_by_public_key(claims())),
        "token_algorithm",
    ),
    "unknown key id": (lambda: with_token(token(claims(), STRANGER)), "token_key_unknown"),
    "no key id": (
        lambda: with_token(token(claims(), headers={"kid": None})),
        "token_key_unknown",
    ),
    "key brought along": (
        lambda: with_token(token(claims(), STRANGER, headers={"jwk": STRANGER.public_jwk()})),
        "token_key_unknown",
    ),
    "anonymous": (lambda: with_claims(type="anonymous"), "token_not_of_a_user"),
    "service account": (
        lambda: with_claims(type="service-account", sub="service-account:1"),
        "token_not_of_a_user",
    ),
    "no context": (lambda: without("X-Grafana-Context"), "context_missing"),
    "context is no JSON": (lambda: {**alice(), "X-Grafana-Context": "{"}, "context_malformed"),
    "context is a list": (lambda: {**alice(), "X-Grafana-Context": "[]"}, "context_malformed"),
    "context with a login twice": (
        lambda: {
            **alice(),
            "X-Grafana-Context": '{"Login": "bob", ' + json.dumps(context())[1:],
        },
        "context_malformed",
    ),
    "context of 33 KiB": (lambda: with_context(Teams=["x" * 33_000]), "context_malformed"),
    "context without an organisation": (lambda: with_context(OrgID=None), "context_malformed"),
    "context with organisation true": (lambda: with_context(OrgID=True), "context_malformed"),
    "context of another user": (lambda: with_context(Login="bob"), "context_differs"),
    "context of another case": (lambda: with_context(Login="Alice"), "context_differs"),
    "context of another user id": (lambda: with_context(UserUID="uid-bob"), "context_differs"),
    "context of another organisation": (lambda: with_context(org=2), "context_differs"),
    "context is anonymous": (lambda: with_context(IsAnonymous=True), "context_anonymous"),
    "context is disabled": (lambda: with_context(IsDisabled=True), "context_anonymous"),
    "context is a service account": (
        lambda: with_context(IsServiceAccount=True),
        "context_anonymous",
    ),
    "context is disabled by a word": (lambda: with_context(IsDisabled="no"), "context_anonymous"),
    "Authorization beside Grafana": (
        lambda: {**alice(), "Authorization": "Bearer cta_" + "x" * 43},
        "mixed_proofs",
    ),
    "API token from a button": (
        lambda: {"X-Grafana-Action": "1", "Authorization": "Bearer cta_" + "x" * 43},
        "mixed_proofs",
    ),
    "API token that is unknown": (lambda: bearer("cta_" + "x" * 43), "api_token_unknown"),
    "token of a sink": (lambda: bearer("ct_" + "x" * 43), "api_token_malformed"),
    "basic authentication": (
        lambda: {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
        "api_token_malformed",
    ),
    "joined secrets": (
        lambda: {**alice(), "X-Celerytrail-Proxy": f"{SECRET_1},{SECRET_1}"},
        "repeated_header",
    ),
}


def _swap_payload(text: str, content: Mapping[str, Any]) -> str:
    header, _, signature = text.split(".")
    return ".".join([header, unsigned(content).split(".")[1], signature])


@pytest.mark.parametrize("case", NOBODY)
def test_nobody_is_recognised(served: Served, case: str) -> None:
    headers, why = NOBODY[case]
    before = served.actions()
    answer = served.api.act(RETRY, headers(), TASK)
    assert (answer.status, answer.code) == (401, "not_authenticated")
    row = served.refusal(answer)
    assert row["chained"]
    assert (row["verb"], row["actor"], row["actor_kind"]) == (
        "retry",
        "unauthenticated",
        "unauthenticated",
    )
    assert (row["detail"]["code"], row["detail"]["why"]) == ("not_authenticated", why)
    assert row["target"] is None
    assert row["service"] is None
    assert served.actions() == before


def test_no_secret_is_written_down(served: Served) -> None:
    text = token(claims(), STRANGER)
    answer = served.api.act(RETRY, with_token(text), TASK)
    row = served.refusal(answer)
    assert row["detail"]["claimed"] == {"username": "alice", "sub": "user:uid-alice"}
    signature = text.rpartition(".")[2]
    api_token = "cta_" + "y" * 43
    served.api.act(RETRY, bearer(api_token), TASK)
    everything = "\n".join(
        row[0] for row in served.rows("SELECT a::text FROM celerytrail.actions a")
    )
    for secret in (signature, SECRET_1, SECRET_2, api_token):
        assert secret not in everything
        assert secret not in served.api.output
        assert secret not in answer.body.decode()


def test_a_claimed_name_that_is_not_harmless_is_left_out(served: Served) -> None:
    text = token(claims(login="<script>", sub="x" * 65), STRANGER)
    row = served.refusal(served.api.act(RETRY, with_token(text), TASK))
    assert "claimed" not in row["detail"]


@pytest.mark.parametrize(
    "name", ["X-Celerytrail-Proxy", "X-Grafana-Id", "X-Grafana-Context", "Authorization"]
)
def test_a_repeated_header_is_refused(served: Served, name: str) -> None:
    headers = list(alice().items())
    if name == "Authorization":
        headers = list(bearer(served.api_token(f"repeated-{time.time_ns()}", "retry")).items())
    headers += [(key.lower(), value) for key, value in headers if key == name]
    headers += [("Content-Type", "application/json"), ("X-Celerytrail-Action", "1")]
    answer = served.api.request("POST", RETRY, headers, b"{}", parameters=TASK)
    assert (answer.status, answer.code) == (401, "not_authenticated")
    assert served.refusal(answer)["detail"]["why"] == "repeated_header"


def test_two_halves_of_a_context_are_no_context(served: Served) -> None:
    """WSGI joins repeated headers by a comma, and these two so joined are one JSON object."""
    first, second = json.dumps(context()).split(", ", 1)
    headers = [item for item in alice().items() if item[0] != "X-Grafana-Context"]
    headers += [("X-Grafana-Context", first), ("X-Grafana-Context", second)]
    assert json.loads(f"{first},{second}") == context()
    answer = served.api.request("GET", WHOAMI, headers)
    assert (answer.status, answer.code) == (401, "not_authenticated")
    assert served.refusal(answer)["detail"]["why"] == "repeated_header"


def test_headers_with_underscores_are_other_headers(served: Served) -> None:
    def get(headers: list[tuple[str, str]]) -> tuple[int, bytes]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        request = f"GET {WHOAMI} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n"
        head, _, body = served.api.raw(request.encode()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    proofs = list(alice("Viewer").items())
    underscored = [(name.replace("-", "_"), value) for name, value in proofs]
    assert get(underscored)[0] == 401
    admin = [(name.replace("-", "_"), value) for name, value in alice("Admin").items()]
    for both in (proofs + admin, admin + proofs):
        status, body = get(both)
        assert (status, json.loads(body)["role"]) == (200, "viewer")


def test_our_own_mark_of_repeated_headers_cannot_be_sent(served: Served) -> None:
    answer = served.api.request("GET", WHOAMI, {**alice(), "X-Celerytrail-Repeated": "no"})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("in_token", "in_context", "role"),
    [
        ("Admin", "Admin", "admin"),
        ("Admin", "Editor", "operator"),
        ("Editor", "Admin", "operator"),
        ("Admin", "Viewer", "viewer"),
        ("Viewer", "Admin", "viewer"),
        ("None", "Admin", "nobody"),
        ("Admin", "None", "nobody"),
        ("Owner", "Admin", "nobody"),
        (None, "Editor", "operator"),
    ],
)
def test_the_lower_of_two_roles_holds(
    served: Served, in_token: str | None, in_context: str, role: str
) -> None:
    content = claims(role=in_token)  # type: ignore[arg-type]
    headers = {
        "X-Celerytrail-Proxy": SECRET_1,
        "X-Grafana-Id": token(content),
        "X-Grafana-Context": json.dumps(context(role=in_context)),
    }
    answer = served.api.request("GET", WHOAMI, headers)
    assert answer.json()["role"] == role


def test_a_person_is_recognised_by_their_own_letters(served: Served) -> None:
    answer = served.api.request("GET", WHOAMI, person("jörg ☃", "Editor", 1, SECRET_1))
    assert answer.status == 200
    assert answer.json() == {
        "name": "jörg ☃",
        "role": "operator",
        "org_id": 1,
        "deployments": [
            {
                **SHOP_PARAMETERS,
                "label": "acme/shop/test",
                "verbs": ["cancel", "retry", "retry-chord", "terminate"],
            }
        ],
    }


def test_x_grafana_user_is_ignored(served: Served) -> None:
    answer = served.api.request("GET", WHOAMI, {**alice("Viewer"), "X-Grafana-User": "root"})
    assert (answer.json()["name"], answer.json()["role"]) == ("alice", "viewer")


@pytest.mark.parametrize(
    ("headers", "role"),
    [
        (lambda: alice("Viewer"), "viewer"),
        (
            lambda: {
                **alice("Admin"),
                "X-Grafana-Context": json.dumps(context(role="Viewer")),
                "X-Grafana-User": "admin",
            },
            "viewer",
        ),
    ],
    ids=["a viewer", "an admin's token with a viewer's context"],
)
def test_a_viewer_may_do_nothing(
    served: Served, headers: Callable[[], dict[str, str]], role: str
) -> None:
    before = served.actions()
    answer = served.api.act(RETRY, headers(), TASK)
    assert (answer.status, answer.code) == (403, "not_allowed")
    row = served.refusal(answer)
    assert row == {
        "verb": "retry",
        "actor": "grafana:1:alice",
        "actor_kind": "grafana",
        "role": role,
        **SHOP_PARAMETERS,
        "target": {"task_id": "task-of-shop"},
        "detail": {
            "code": "not_allowed",
            "why": "not_allowed",
            "subject": "user:uid-alice",
        },
        "chained": True,
    }
    assert served.actions() == before


def test_an_editor_may_not_purge(served: Served) -> None:
    answer = served.api.act(
        PURGE, alice("Editor"), {**SHOP_PARAMETERS, "queue": "orders", "seen_depth": "0"}
    )
    assert (answer.status, answer.code) == (403, "not_allowed")
    assert served.refusal(answer)["target"] == {"queue": "orders"}


def test_an_editor_of_one_organisation_does_nothing_on_the_deployment_of_another(
    served: Served,
) -> None:
    parameters = {**BANK_PARAMETERS, "task_id": "task-of-bank"}
    for verb in ("retry", "cancel", "terminate"):
        answer = served.api.act(f"/v1/operator/{verb}", alice("Editor"), parameters)
        assert (answer.status, answer.code) == (403, "not_allowed")
        row = served.refusal(answer)
        assert (row["verb"], row["actor"], row["service"]) == (verb, "grafana:1:alice", "bank")
    queue = {**BANK_PARAMETERS, "queue": "orders"}
    for path, parameters in (
        (PURGE, {**queue, "seen_depth": "0"}),
        ("/v1/admin/preview/purge", queue),
        ("/v1/operator/preview/retry-chord", {**BANK_PARAMETERS, "group_id": "g"}),
    ):
        answer = served.api.act(path, alice("Admin"), parameters)
        assert (answer.status, answer.code) == (403, "not_allowed")
        assert served.refusal(answer)["service"] == "bank"
    assert served.connections_to_other_broker() == 0
    # That the listener would have seen one: who may act there does reach it.
    bob = person("bob", "Admin", 2, SECRET_2)
    answer = served.api.act("/v1/admin/preview/purge", bob, queue)
    assert (answer.status, answer.code) == (503, "broker_unavailable")
    assert served.connections_to_other_broker() > 0


def test_a_task_of_another_deployment_is_not_found_under_ones_own(served: Served) -> None:
    parameters = {**SHOP_PARAMETERS, "task_id": "task-of-bank"}
    answer = served.api.act(RETRY, alice("Editor"), parameters)
    assert (answer.status, answer.code) == (404, "not_found")
    assert served.connections_to_other_broker() == 0


def test_a_deployment_that_is_not_configured_is_refused_in_the_same_words(served: Served) -> None:
    said = [
        served.api.act(RETRY, alice("Editor"), {**parameters, "task_id": "x"}).json()["detail"]
        for parameters in (BANK_PARAMETERS, {**BANK_PARAMETERS, "service": "nowhere"})
    ]
    assert said[0].replace("bank", "nowhere") == said[1]


def test_an_api_token_does_its_verbs_on_its_deployment(served: Served) -> None:
    text = served.api_token("nightly", "retry")
    answer = served.api.request("GET", WHOAMI, bearer(text))
    assert answer.json() == {
        "name": "nightly",
        "role": "operator",
        "org_id": None,
        "deployments": [{**SHOP_PARAMETERS, "label": "acme/shop/test", "verbs": ["retry"]}],
    }
    allowed = served.api.act(RETRY, bearer(text), {**SHOP_PARAMETERS, "task_id": "nobody-knows"})
    assert (allowed.status, allowed.code) == (404, "not_found")
    for path, parameters in (
        ("/v1/operator/cancel", TASK),
        (PURGE, {**SHOP_PARAMETERS, "queue": "orders", "seen_depth": "0"}),
        (RETRY, {**BANK_PARAMETERS, "task_id": "task-of-bank"}),
    ):
        answer = served.api.act(path, bearer(text), parameters)
        assert (answer.status, answer.code) == (403, "not_allowed")
        row = served.refusal(answer)
        assert (row["actor"], row["actor_kind"]) == ("token:nightly", "token")


def test_a_revoked_and_an_expired_token_are_unknown_at_once(served: Served) -> None:
    for name, change in (("revoked", "revoked_at"), ("expired", "expires_at")):
        text = served.api_token(name, "retry", deployment=BANK)
        assert served.api.request("GET", WHOAMI, bearer(text)).status == 200
        served.rows(
            f"UPDATE celerytrail.api_tokens SET {change} = now() - interval '1 s'"
            " WHERE name = %s RETURNING name",
            name,
        )
        answer = served.api.request("GET", WHOAMI, bearer(text))
        assert (answer.status, answer.code) == (401, "not_authenticated")
        row = served.refusal(answer)
        assert (row["verb"], row["detail"]["why"]) == ("whoami", "api_token_unknown")


def test_grafanas_keys_are_not_to_be_had(
    served: Served, another_api: Callable[..., ActionApiProcess]
) -> None:
    """Redirecting, silent, gone: refused with 503 and a row; when they are back, all is well."""
    server = served.key_server
    held: list[str] = []

    def redirect(handler: Any) -> None:
        send(handler, 302, server.document(), {"Location": "/elsewhere"})

    def silent(handler: Any) -> None:
        held.append(handler.path)
        server.released.wait(60)

    server.answer = redirect
    api = another_api()

    def refused() -> ApiAnswer:
        answer = api.act(RETRY, alice(), TASK)
        assert (answer.status, answer.code) == (503, "unavailable")
        return answer

    try:
        answer = refused()
        assert int(answer.headers["retry-after"]) > 0
        row = served.refusal(answer)
        assert (row["actor"], row["detail"]["why"]) == ("unauthenticated", "keys_unavailable")
        server.answer = silent
        wait_until(lambda: refused() and held, "the silent server is asked")
        server.stop()
        refused()
        assert api.request("GET", "/live").status == 200
        assert "/elsewhere" not in server.asked
    finally:
        server.answer = None
        server.start()
    wait_until(lambda: api.request("GET", WHOAMI, alice()).status == 200, "it recovers")


def test_known_keys_outlive_an_outage(served: Served) -> None:
    assert served.api.request("GET", WHOAMI, alice()).status == 200
    served.key_server.stop()
    try:
        assert served.api.request("GET", WHOAMI, alice()).status == 200
    finally:
        served.key_server.start()


def test_who_takes_the_name_of_another_can_be_told_apart(served: Served) -> None:
    """People of Grafana may change their own login, and a token may be made under an old name."""

    def as_alice(uid: str) -> dict[str, str]:
        return {
            **with_token(token(claims("alice", sub=f"user:{uid}"))),
            **_context_of("alice", UserUID=uid),
        }

    refused = served.api.act(
        PURGE, as_alice("mallory"), {**BANK_PARAMETERS, "queue": "q", "seen_depth": "0"}
    )
    assert served.refusal(refused)["detail"]["subject"] == "user:mallory"
    text = served.api_token("name-used-twice", "cancel")
    refused = served.api.act(RETRY, bearer(text), TASK)
    detail = served.refusal(refused)["detail"]
    ((token_id,),) = served.rows(
        "SELECT encode(substr(token_hash, 1, 6), 'hex') FROM celerytrail.api_tokens"
        " WHERE name = 'name-used-twice'"
    )
    assert detail["subject"] == token_id
