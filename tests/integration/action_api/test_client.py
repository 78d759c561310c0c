"""The command line against a real action API, and against servers that are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.integration.action_api.grafana_identity import KeyServer
from tests.integration.action_api.served import BANK, SHOP_PARAMETERS, Served
from tests.server_process import COMMAND

pytest_plugins = ["tests.integration.action_api.served_fixtures"]

DONE, REFUSED, UNCERTAIN, UNREACHABLE = 0, 1, 3, 4
WHERE = [f"--{name}={value}" for name, value in SHOP_PARAMETERS.items()]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.api_token("terminal", "retry", "cancel", "terminate", "purge", "retry-chord")


@pytest.fixture
def run(served: Served, token: str) -> Run:
    """Runs ``celerytrail`` in a process of its own, as the holder of a token of the shop."""

    def celerytrail(
        *arguments: str, said: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        settings = {
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "CELERYTRAIL_ACTIONS_URL": served.api.url,
            "CELERYTRAIL_ACTIONS_TOKEN": token,
            **environ,
        }
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            input=said,
            env={name: value for name, value in settings.items() if value},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return celerytrail


@pytest.fixture
def orders(served: Served) -> Iterator[Celery]:
    served.rows(
        "UPDATE celerytrail.intents SET finished_at = finished_at - interval '1 hour' RETURNING 1"
    )
    app = Celery("shop", broker=served.valkey.url, set_as_current=False)
    for number in range(2):
        app.send_task("shop.pay", args=[number], queue="orders")
    yield app
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel._purge("orders")
    app.close()


def test_a_purge_shows_what_is_there_asks_and_tells(run: Run, orders: Celery) -> None:
    no = run("purge", "orders", said="n\n")
    assert no.returncode == REFUSED
    assert "nothing was done" in no.stderr
    assert "orders of acme/shop/test holds 2 messages." in no.stdout
    yes = run("purge", "orders", "--reason", "tidy", said="y\n")
    assert yes.returncode == DONE, yes
    lines = yes.stdout.splitlines()
    assert lines[0] == "orders of acme/shop/test holds 2 messages."
    assert sum(line.startswith("  shop.pay  ") for line in lines) == 2
    assert any("purge: done." in line for line in lines)
    assert any(line.strip() == "2 purged" for line in lines)
    assert lines[-1].endswith("see /d/celerytrail-audit")
    assert len(yes.stdout) < 1000


def test_json_is_the_answer_and_nothing_else(run: Run, orders: Celery, served: Served) -> None:
    done = run("purge", "orders", "--yes", "--json", *WHERE)
    assert done.returncode == DONE, done
    answer = json.loads(done.stdout)
    assert (answer["verb"], answer["state"], answer["actor"]) == (
        "purge",
        "succeeded",
        "token:terminal",
    )
    assert len(answer["tasks"]) == 2
    ((actor,),) = served.rows(
        "SELECT actor FROM celerytrail.actions WHERE action_id = %s", answer["action_id"]
    )
    assert actor == "token:terminal"


def test_a_refusal_says_why(run: Run) -> None:
    unknown = run("retry", "no-such-task")
    assert unknown.returncode == REFUSED
    assert unknown.stdout == ""
    assert unknown.stderr.startswith("Error: task no-such-task is not known in acme/shop/test")
    assert "(not_found)" in unknown.stderr
    as_json = run("cancel", "no-such-task", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["code"]) == (REFUSED, "not_found")
    elsewhere = run("terminate", "t", "--service", "bank", "--namespace", "acme")
    assert (elsewhere.returncode, "(not_allowed)" in elsewhere.stderr) == (REFUSED, True)
    chord = run("retry-chord", "no-such-chord", "--yes")
    assert (chord.returncode, "(not_found)" in chord.stderr) == (REFUSED, True)


def test_the_token_may_be_in_a_file_and_has_to_be_somewhere(
    run: Run, served: Served, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(served.api_token("banker", "retry", deployment=BANK) + "\n")
    from_file = run(
        "retry",
        "no-such-task",
        CELERYTRAIL_ACTIONS_TOKEN="",
        CELERYTRAIL_ACTIONS_TOKEN_FILE=str(tmp_path / "token"),
    )
    assert "not known in acme/bank/test" in from_file.stderr
    none = run("retry", "t", CELERYTRAIL_ACTIONS_TOKEN="")
    assert none.returncode == REFUSED
    assert "CELERYTRAIL_ACTIONS_TOKEN" in none.stderr
    wrong = run("retry", "t", CELERYTRAIL_ACTIONS_TOKEN="cta_" + "w" * 43)
    assert (wrong.returncode, "(not_authenticated)" in wrong.stderr) == (REFUSED, True)
    assert "w" * 43 not in wrong.stderr


def test_nobody_there_is_an_exit_code_of_its_own(run: Run) -> None:
    with KeyServer() as server:
        url = f"http://127.0.0.1:{server.port}"
    gone = run("retry", "t", *WHERE, CELERYTRAIL_ACTIONS_URL=url)
    assert gone.returncode == UNREACHABLE
    assert "cannot reach the action API" in gone.stderr


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.rfile.read(int(handler.headers["Content-Length"]))
    handler.close_connection = True


def answer_state(state: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer as the API does when it does not know, which nobody can make happen at will."""
    document = {
        "action_id": "5d0b5f0e-3a34-4d9c-a6a5-1c9a6f1f5b11",
        "verb": "retry",
        "state": state,
        "message": "the broker fell silent",
        "duplicate": False,
        "actor": "token:terminal",
        "tasks": [
            {
                "task_id": "t\x1b[2J",
                "result": "sent\x1b]0;\x07",
                "new_task_id": "n/1",
                "message": None,
            }
        ],
    }

    def answer(handler: BaseHTTPRequestHandler) -> None:
        hang_up(handler)
        body = json.dumps(document).encode()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def refuse_in_colour(handler: BaseHTTPRequestHandler) -> None:
    """Refuse in words that somebody put there who sends messages: a content type, say."""
    hang_up(handler)
    body = json.dumps({"code": "refused", "detail": "no \x1b]0;title\x07 \x1b[2J here"}).encode()
    handler.send_response(409)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def redirect(handler: BaseHTTPRequestHandler) -> None:
    hang_up(handler)
    handler.send_response(307)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (hang_up, UNCERTAIN, "it may have been done"),
        (answer_state("unknown"), UNCERTAIN, "nobody knows"),
        (answer_state("partial"), UNCERTAIN, "done in part"),
        (answer_state("failed"), REFUSED, "not done"),
        (answer_state("succeeded"), DONE, "/d/celerytrail-task?var-task_id=n%2F1"),
        (redirect, REFUSED, "is CELERYTRAIL_ACTIONS_URL right?"),
        (refuse_in_colour, REFUSED, "(refused)"),
    ],
)
def test_each_outcome_has_its_exit_code(
    run: Run, answer: Callable[[Any], None], code: int, said: str
) -> None:
    with KeyServer(answer=answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        done = run("retry", "t", *WHERE, CELERYTRAIL_ACTIONS_URL=url)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert server.asked == ["/v1/operator/retry"]


def test_a_wrong_address_is_named(run: Run) -> None:
    for url in ("actions.example", "ftp://actions.example", "http://a:b@actions.example"):
        done = run("retry", "t", CELERYTRAIL_ACTIONS_URL=url)
        assert (done.returncode, "CELERYTRAIL_ACTIONS_URL" in done.stderr) == (REFUSED, True)
