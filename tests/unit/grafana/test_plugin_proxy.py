"""The stand-in for Grafana's plugin proxy lets through what Grafana lets through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import jwt
import pytest

from tests.grafana.plugin_proxy import GrafanaStandIn, User

EDITOR = User("edgar", "Editor")
VIEWER = User("vera", "Viewer", user_id=2)
PLUGIN = {
    "id": "celerytrail-app",
    "routes": [
        {
            "path": "operator/*",
            "method": "POST",
            "reqRole": "Editor",
            "url": "http://action-api:8080/v1/operator",
            "headers": [{"name": "X-Proxy", "content": "{{ .SecureJsonData.proxySecret }}"}],
        },
        {"path": "viewer/*", "method": "GET", "reqRole": "Viewer", "url": "http://action-api:8080/v1/viewer"},
    ],
}  # fmt: skip
RETRY = "/api/plugin-proxy/celerytrail-app/operator/retry?task_id=a%26b"


@pytest.fixture
def upstream() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """A server that keeps what it was sent."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append({"path": self.path, "headers": self.headers.items(), "body": body})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def grafana(tmp_path: Path, upstream: tuple[int, Any]) -> Iterator[GrafanaStandIn]:
    (tmp_path / "plugin.json").write_text(json.dumps(PLUGIN))
    with GrafanaStandIn(
        tmp_path,
        upstreams={"action-api:8080": ("127.0.0.1", upstream[0])},
        secrets={1: {"proxySecret": "s3cret"}},
        users=(EDITOR, VIEWER),
    ) as made:
        yield made


def test_it_vouches_for_who_is_signed_in(
    grafana: GrafanaStandIn, upstream: tuple[int, list[dict[str, Any]]]
) -> None:
    forged = {
        "X-Grafana-Context": "{}",
        "X-Grafana-Id": "forged",
        "X-Proxy": "guessed",
        "X-Grafana-Action": "1",
        "X-Other": "kept",
    }
    assert grafana.send(EDITOR, "POST", RETRY, forged, b"{}").status == 200
    (seen,) = upstream[1]
    assert seen["path"] == "/v1/operator/retry?task_id=a%26b"
    said = {name.lower(): value for name, value in seen["headers"]}
    assert len(said) == len(seen["headers"]), "no header twice"
    assert "cookie" not in said
    assert said["x-proxy"] == "s3cret"
    assert said["x-other"] == "kept"
    assert json.loads(said["x-grafana-context"])["Login"] == "edgar"
    (key,) = grafana.keys
    claims = jwt.decode(
        said["x-grafana-id"],
        jwt.PyJWK.from_dict(key.public_jwk()).key,
        algorithms=["ES256"],
        audience="org:1",
        issuer=grafana.url,
    )
    assert claims["username"] == "edgar"


def test_the_first_route_that_matches_decides_by_its_role(
    grafana: GrafanaStandIn, upstream: tuple[int, list[dict[str, Any]]]
) -> None:
    assert grafana.send(VIEWER, "POST", RETRY, {"X-Grafana-Action": "1"}).status == 403
    assert grafana.send(None, "POST", RETRY).status == 401
    assert grafana.send(VIEWER, "GET", "/api/plugin-proxy/celerytrail-app/viewer/who").status == 200
    assert grafana.send(EDITOR, "GET", RETRY).status == 404
    assert grafana.send(EDITOR, "POST", "/api/plugin-proxy/celerytrail-app/admin/x").status == 404
    assert [seen["path"] for seen in upstream[1]] == ["/v1/viewer/who"]


def test_a_button_that_is_not_on_the_list_is_refused(grafana: GrafanaStandIn) -> None:
    grafana.allowed_posts = ("/api/other/*",)
    assert grafana.send(EDITOR, "POST", RETRY, {"X-Grafana-Action": "1"}).status == 405
    grafana.allowed_posts = ("/api/plugin-proxy/*",)
    assert grafana.send(EDITOR, "POST", RETRY, {"X-Grafana-Action": "1"}).status == 200
    assert grafana.send(EDITOR, "GET", RETRY, {"X-Grafana-Action": "1"}).status == 405
