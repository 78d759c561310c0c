"""How requests are read and answered: parameters, confirmations, limits, outages, headers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery

from tests.action_api_process import ActionApiProcess
from tests.integration.action_api.forwarder import Forwarder
from tests.integration.action_api.grafana_identity import person
from tests.integration.action_api.served import (
    MANY,
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

PREVIEW = "/v1/admin/preview/purge"
QUEUE = {**SHOP_PARAMETERS, "queue": "orders"}
JSON = {"Content-Type": "application/json", "X-Celerytrail-Action": "1"}


class Orders:
    """The queue ``orders`` of the shop's broker."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def fill(self, number: int) -> None:
        for _ in range(number):
            self._app.send_task("shop.pay", args=[1], queue="orders")

    @property
    def depth(self) -> int:
        with self._app.connection_for_read() as connection, connection.channel() as channel:
            return int(channel._size("orders"))

    def empty(self) -> None:
        with self._app.connection_for_read() as connection, connection.channel() as channel:
            channel._purge("orders")


@pytest.fixture
def orders(served: Served) -> Iterator[Orders]:
    app = Celery("shop", broker=served.valkey.url, set_as_current=False)
    made = Orders(app)
    made.empty()
    # A purge of the same queue a moment ago would be taken for a double click.
    served.rows(
        "UPDATE celerytrail.intents SET finished_at = finished_at - interval '1 hour' RETURNING 1"
    )
    yield made
    app.close()


def test_a_purge_by_a_button_removes_what_was_seen(served: Served, orders: Orders) -> None:
    orders.fill(3)
    headers = {**alice(), "X-Grafana-Action": "1", "Content-Type": "application/json"}
    parameters = {**QUEUE, "seen_depth": "3", "reason": "$reason"}
    answer = served.api.request("POST", PURGE, headers, b"{}", parameters=parameters)
    assert answer.status == 200, answer
    said = answer.json()
    assert (said["verb"], said["state"], said["actor"]) == (
        "purge",
        "succeeded",
        "grafana:1:alice",
    ), (said, served.api.output)
    assert [task["result"] for task in said["tasks"]] == ["purged"] * 3
    assert said["duplicate"] is False
    assert orders.depth == 0
    rows = served.rows(
        "SELECT phase, actor, role, request_id = %s, reason_commitment IS NULL,"
        " target ->> 'subject'"
        " FROM celerytrail.actions"
        " WHERE intent_id = %s AND phase IN ('intent', 'outcome') ORDER BY batch_id",
        answer.headers["x-request-id"],
        said["action_id"],
    )
    assert [row[:4] for row in rows] == [
        ("intent", "grafana:1:alice", "admin", True),
        ("outcome", "grafana:1:alice", "admin", True),
    ]
    assert [row[5] for row in rows] == ["user:uid-alice"] * 2
    assert rows[0][4], "$reason is a name that Grafana did not fill, and no reason"
    assert served.api.metric("performed_total", verb="purge", state="succeeded") >= 1


def test_what_became_of_an_action_can_be_asked(served: Served, orders: Orders) -> None:
    orders.fill(1)
    done = served.api.act(PURGE, alice(), {**QUEUE, "seen_depth": "1"}).json()

    def ask(headers: dict[str, str], action_id: str) -> Any:
        return served.api.request(
            "GET", "/v1/viewer/action", headers, parameters={"action_id": action_id}
        )

    assert ask(alice("Viewer"), done["action_id"]).json() == done
    stranger = ask(person("bob", "Admin", 2, SECRET_2), done["action_id"])
    assert (stranger.status, stranger.code) == (403, "not_allowed")
    assert served.refusal(stranger)["verb"] == "action"
    assert ask(alice(), str(uuid.uuid4())).code == "not_found"
    assert ask(alice(), "1").code == "bad_request"


def test_the_queues_are_listed(served: Served, orders: Orders) -> None:
    orders.fill(2)
    answer = served.api.request(
        "GET", "/v1/viewer/queues", alice("Viewer"), parameters=SHOP_PARAMETERS
    )
    (row,) = [row for row in answer.json()["queues"] if row["queue"] == "orders"]
    assert (row["depth"], row["consumers"]) == (2, None)
    stranger = served.api.request(
        "GET", "/v1/viewer/queues", person("bob", "Admin", 2, SECRET_2), parameters=SHOP_PARAMETERS
    )
    assert (stranger.status, stranger.code) == (403, "not_allowed")


def preview(api: ActionApiProcess, headers: dict[str, str]) -> dict[str, Any]:
    answer = api.act(PREVIEW, headers, QUEUE)
    assert answer.status == 200, answer
    found: dict[str, Any] = answer.json()
    return found


def test_a_confirmation_is_good_on_every_replica_and_once(
    served: Served, orders: Orders, another_api: Callable[..., ActionApiProcess]
) -> None:
    orders.fill(2)
    found = preview(served.api, alice())
    assert found["expires_in_seconds"] == 120
    assert (found["preview"]["depth"], len(found["preview"]["sample"])) == (2, 2)
    parameters = {**QUEUE, "confirmation": found["confirmation"]}
    second = another_api()
    done = second.act(PURGE, alice(), parameters)
    assert (done.status, done.json()["state"]) == (200, "succeeded")
    orders.fill(2)
    for api in (served.api, second):
        replayed = api.act(PURGE, alice(), parameters)
        assert (replayed.status, replayed.code) == (409, "confirmation_used")
        row = served.refusal(replayed)
        assert (row["verb"], row["actor"], row["chained"]) == ("purge", "grafana:1:alice", True)
        assert row["detail"]["code"] == "confirmation_used"
        assert row["target"] == {"queue": "orders"}
    with_reason = served.api.act(PURGE, alice(), {**parameters, "reason": "once more"})
    assert (with_reason.status, with_reason.code) == (409, "confirmation_used")
    assert orders.depth == 2


def test_a_confirmation_is_for_one_actor_one_target_one_verb(
    served: Served, orders: Orders
) -> None:
    orders.fill(1)
    token = preview(served.api, alice())["confirmation"]
    carol = person("carol", "Admin", 1, SECRET_1)
    purger = bearer(served.api_token("purger", "purge", "retry-chord"))
    changed = token[:8] + ("A" if token[8] != "A" else "B") + token[9:]
    cases = [
        (PURGE, carol, {**QUEUE, "confirmation": token}),
        (PURGE, purger, {**QUEUE, "confirmation": token}),
        (PURGE, alice(), {**QUEUE, "queue": "celery", "confirmation": token}),
        (PURGE, alice(), {**QUEUE, "confirmation": changed}),
        (PURGE, alice(), {**QUEUE, "confirmation": token.partition(".")[0]}),
        (PURGE, alice(), {**QUEUE, "confirmation": "ä.b"}),
        (
            "/v1/operator/retry-chord",
            alice(),
            {**SHOP_PARAMETERS, "group_id": "orders", "confirmation": token},
        ),
    ]
    for path, headers, parameters in cases:
        answer = served.api.act(path, headers, parameters)
        assert (answer.status, answer.code) == (409, "confirmation_invalid"), parameters
        assert served.refusal(answer)["detail"]["code"] == "confirmation_invalid"
    assert orders.depth == 1
    both = served.api.act(
        PURGE, {**alice(), "Idempotency-Key": "k"}, {**QUEUE, "confirmation": token}
    )
    assert (both.status, both.code) == (400, "bad_request")
    assert served.api.act(PURGE, alice(), {**QUEUE, "confirmation": token}).status == 200
    assert orders.depth == 0


def test_a_token_of_a_script_confirms_too(served: Served, orders: Orders) -> None:
    orders.fill(1)
    headers = bearer(served.api_token("sweeper", "purge"))
    token = preview(served.api, headers)["confirmation"]
    done = served.api.act(PURGE, headers, {**QUEUE, "confirmation": token})
    assert (done.status, done.json()["actor"]) == (200, "token:sweeper")


def test_a_queue_that_has_grown_is_not_purged(served: Served, orders: Orders) -> None:
    orders.fill(2)
    token = preview(served.api, alice())["confirmation"]
    orders.fill(6)
    for seen in ({"seen_depth": "2"}, {"confirmation": token}):
        answer = served.api.act(PURGE, alice(), {**QUEUE, **seen})
        assert (answer.status, answer.code) == (409, "depth_grown")
        assert served.refusal(answer)["detail"]["code"] == "depth_grown"
    assert orders.depth == 8


def test_an_idempotency_key_stands_for_one_request(served: Served, orders: Orders) -> None:
    orders.fill(1)
    headers = {**alice(), "Idempotency-Key": f"key-{uuid.uuid4()}"}
    parameters = {**QUEUE, "seen_depth": "1"}
    first, second = (served.api.act(PURGE, headers, parameters).json() for _ in range(2))
    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert first["action_id"] == second["action_id"]
    other = served.api.act(PURGE, headers, {**QUEUE, "seen_depth": "2"})
    assert (other.status, other.code) == (409, "idempotency_conflict")
    for wrong in ("x" * 129, "a b", "ä"):
        answer = served.api.act(PURGE, {**alice(), "Idempotency-Key": wrong}, parameters)
        assert (answer.status, answer.code) == (400, "bad_request")


BAD: dict[str, tuple[str, bytes]] = {
    "no service": ("queue=orders", b"{}"),
    "no queue": ("service=shop", b"{}"),
    "an empty queue": ("service=shop&queue=", b"{}"),
    "a queue that Grafana did not fill": ("service=shop&queue=$reason", b"{}"),
    "the same twice": ("service=shop&queue=a&queue=a", b"{}"),
    "the same twice in the body": ("service=shop", b'{"queue": "a", "queue": "a"}'),
    "another value in the body": ("service=shop&queue=a", b'{"queue": "b"}'),
    "a parameter nobody knows": ("service=shop&queue=a&que=b", b"{}"),
    "U+0000": ("service=shop&queue=a%00b", b"{}"),
    "U+0000 in the body": ("service=shop", b'{"queue": "a\\u0000b"}'),
    "a line break": ("service=shop&queue=a%0Ab", b"{}"),
    "a control character of ISO 8859": ("service=shop&queue=a%C2%85b", b"{}"),
    "a lone surrogate": ("service=shop", b'{"queue": "a\\ud800b"}'),
    "no UTF-8": ("service=shop&queue=%ff", b"{}"),
    "too long": (f"service=shop&queue={'a' * 256}", b"{}"),
    "many parameters": ("&".join(f"p{n}=1" for n in range(40)), b"{}"),
    "no JSON": ("service=shop&queue=a", b"{"),
    "a list": ("service=shop&queue=a", b"[]"),
    "a deep list": ("service=shop&queue=a", b"[" * 50_000),
    "true": ("service=shop", b'{"queue": true}'),
    "null": ("service=shop", b'{"queue": null}'),
    "a fraction": ("service=shop", b'{"queue": 1.5}'),
    "not a number": ("service=shop", b'{"queue": NaN}'),
    "an object": ("service=shop", b'{"queue": {"a": 1}}'),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_well_formed_is_a_400(served: Served, case: str) -> None:
    query, body = BAD[case]
    answer = served.api.request("POST", f"{PREVIEW}?{query}", {**alice(), **JSON}, body)
    assert (answer.status, answer.code) == (400, "bad_request"), answer


def test_parameters_may_come_in_the_body(served: Served, orders: Orders) -> None:
    orders.fill(1)
    body = json.dumps({**QUEUE, "seen_depth": 1}).encode()
    query = f"{PURGE}?queue=orders&seen_depth=1"
    answer = served.api.request("POST", query, {**alice(), **JSON}, body)
    assert (answer.status, answer.json()["state"]) == (200, "succeeded")


def test_both_or_neither_of_confirmation_and_number_are_refused(served: Served) -> None:
    for given in ({}, {"seen_depth": "1", "confirmation": "a.b"}):
        answer = served.api.act(PURGE, alice(), {**QUEUE, **given})
        assert (answer.status, answer.code) == (400, "bad_request")


def test_an_action_needs_a_header_that_no_form_can_send(served: Served) -> None:
    parameters = {**SHOP_PARAMETERS, "task_id": "task-of-shop"}
    for sent in ({}, {"X-Celerytrail-Action": "yes"}):
        headers = {**alice(), "Content-Type": "application/json", **sent}
        answer = served.api.request("POST", RETRY, headers, b"{}", parameters=parameters)
        assert (answer.status, answer.code) == (403, "action_header_missing")
        row = served.refusal(answer)
        assert (row["actor"], row["target"]) == ("grafana:1:alice", {"task_id": "task-of-shop"})


@pytest.mark.parametrize(
    "content_type",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_a_body_is_json(served: Served, content_type: dict[str, str]) -> None:
    headers = {**alice(), "X-Celerytrail-Action": "1", **content_type}
    answer = served.api.request("POST", PREVIEW, headers, b"{}", parameters=QUEUE)
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


def test_a_body_has_a_bound_with_and_without_a_length(served: Served) -> None:
    body = b"{" + b" " * 70_000 + b"}"
    answer = served.api.request("POST", PREVIEW, {**alice(), **JSON}, body, parameters=QUEUE)
    assert (answer.status, answer.code) == (413, "too_large")
    lines = [f"{name}: {value}" for name, value in {**alice(), **JSON}.items()]
    head = f"POST {PREVIEW} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    request = head.encode() + "\r\n".join(lines).encode() + b"\r\n\r\n"
    said = served.api.raw(request + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 413 "), said[:200]


def test_every_answer_is_bare(served: Served) -> None:
    """No cookie is set or read, nothing is stored or framed, and nobody of another origin reads it."""
    outside = {"Origin": "https://evil.example", "X-Request-Id": "mine", "Cookie": "a=b"}
    for method, path, headers in (
        ("GET", "/live", {}),
        ("GET", "/v1/openapi.json", {}),
        ("GET", "/v1/viewer/whoami", alice()),
        ("GET", "/v1/viewer/whoami", {}),
        ("GET", "/nothing", {}),
        ("DELETE", RETRY, {}),
        ("OPTIONS", RETRY, {"Access-Control-Request-Method": "POST"}),
    ):
        answer = served.api.request(method, path, {**headers, **outside})
        found = answer.headers
        assert found["x-content-type-options"] == "nosniff"
        assert found["cache-control"] == "no-store"
        assert found["content-security-policy"].startswith("default-src 'none'")
        assert uuid.UUID(found["x-request-id"])
        assert not [name for name in found if name.startswith("access-control")]
        assert "set-cookie" not in found
        if answer.status >= 400:
            assert answer.code
    assert served.api.request("OPTIONS", RETRY).status == 405
    assert served.api.request("GET", RETRY).headers["allow"] == "POST"


def test_an_actor_who_asks_too_often_waits(
    served: Served, another_api: Callable[..., ActionApiProcess]
) -> None:
    api = another_api(MANY.replace("_per_actor = 100000", "_per_actor = 3"))
    answers = [api.request("GET", "/v1/viewer/whoami", alice()) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].code == "too_many_requests"
    assert int(answers[3].headers["retry-after"]) > 0
    row = served.refusal(answers[3])
    assert (row["actor"], row["detail"]["code"]) == ("grafana:1:alice", "too_many_requests")
    other = person("carol", "Viewer", 1, SECRET_1)
    assert api.request("GET", "/v1/viewer/whoami", other).status == 200


def test_a_flood_of_refusals_does_not_fill_the_ledger(
    served: Served, another_api: Callable[..., ActionApiProcess]
) -> None:
    def rows() -> int:
        return int(served.rows("SELECT count(*) FROM celerytrail.actions")[0][0])

    api = another_api(
        "unauthenticated_refusals_per_minute = 5\nrefusals_per_minute_per_actor = 2\n"
    )
    before = rows()
    ((newest,),) = served.rows("SELECT max(batch_id) FROM celerytrail.actions")
    for _ in range(30):
        assert api.request("GET", "/v1/viewer/whoami").status == 401
    for _ in range(10):
        answer = api.act(PURGE, alice("Viewer"), {**QUEUE, "seen_depth": "1"})
        assert answer.status == 403
    assert rows() == before + 5 + 2
    assert api.stop() == 0
    assert rows() == before + 5 + 2 + 2
    sums = served.rows(
        "SELECT actor, detail FROM celerytrail.actions"
        " WHERE verb = 'refusals' AND batch_id > coalesce(%s, 0) ORDER BY actor DESC",
        newest,
    )
    assert [(actor, said["count"], said["why"]) for actor, said in sums] == [
        ("unauthenticated", 25, {"no_proof": 25}),
        ("grafana:1:alice", 8, {"not_allowed": 8}),
    ]


def test_without_a_database_everything_is_refused_and_nothing_is_lost_for_good(
    served: Served, tmp_path: Any
) -> None:
    with Forwarder(served.dsn) as forwarder:
        api = ActionApiProcess(
            forwarder.dsn,
            tmp_path / "api",
            served.config(tmp_path / "api", MANY),
            environ={"CELERYTRAIL_ACTIONS_DATABASE_SECONDS": "4"},
            arguments=("--wait-for-database",),
        )
        api.start()
        try:
            assert (api.request("GET", "/ready").status, api.request("GET", "/live").status) == (
                503,
                200,
            )
            refused = api.act(PURGE, {}, {**QUEUE, "seen_depth": "1"})
            assert (refused.status, refused.code) == (401, "not_authenticated")
            asked = api.act(PURGE, alice(), {**QUEUE, "seen_depth": "1"})
            assert (asked.status, asked.code) == (503, "unavailable")
            unknown = api.act(PURGE, bearer("cta_" + "z" * 43), {**QUEUE, "seen_depth": "1"})
            assert (unknown.status, unknown.code) == (503, "unavailable")
            assert api.metric("refusals_unrecorded_total") >= 1
            assert refused.json()["request_id"] in api.output
            assert "refusal was not written" in api.output
            forwarder.open()
            wait_until(lambda: api.request("GET", "/ready").status == 200, "the database is back")
            assert api.request("GET", "/v1/viewer/whoami", alice()).status == 200
            before = served.rows("SELECT count(*) FROM celerytrail.actions")[0][0]
            assert api.stop() == 0
            assert served.rows("SELECT count(*) FROM celerytrail.actions")[0][0] == before + 1
        finally:
            api.close()
    ((said,),) = served.rows(
        "SELECT detail FROM celerytrail.actions WHERE verb = 'refusals' ORDER BY action_time DESC LIMIT 1"
    )
    assert said["why"]["no_proof"] == 1


def test_several_processes_count_together(
    served: Served, another_api: Callable[..., ActionApiProcess]
) -> None:
    api = another_api(MANY, "--workers", "2")
    for _ in range(6):
        api.request("GET", "/v1/viewer/whoami")
    assert api.metric("refused_total", code="not_authenticated", why="no_proof") == 6
