"""A stand-in for the part of Grafana that buttons go through: a real HTTP server on loopback.

It restates what was read in Grafana's source: the check of button addresses
(``pkg/middleware/validate_action_url.go``), the app plugin proxy (``pkg/api/pluginproxy``: routes of
``plugin.json`` in order, role of the first that matches, no cookie passed on, the context of the
signed-in user, headers of the route from the plugin's settings) and the identity tokens
(``pkg/services/auth/idimpl``), signed with an ES256 key of its own that it serves where Grafana does.
It trusts nothing of the API and knows nothing of it but the address.
"""

from __future__ import annotations

import base64
import fnmatch
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from typing_extensions import Self

ROLES = {"None": 0, "Viewer": 1, "Editor": 2, "Admin": 3}
_HOP_BY_HOP = {"connection", "host", "content-length", "transfer-encoding", "cookie"}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who is signed in to Grafana; ``session`` is the value of the cookie."""

    login: str
    role: str
    org_id: int = 1
    user_id: int = 1
    kind: str = "user"
    anonymous: bool = False

    @property
    def session(self) -> str:
        return f"session-of-{self.login}-{self.org_id}"

    @property
    def uid(self) -> str:
        return f"u{self.user_id}{self.login}"


@dataclass(slots=True)
class SigningKey:
    """An ES256 key pair with the id it is known by."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def public_jwk(self) -> dict[str, str]:
        """Return the public key as Grafana's endpoint lists it."""
        numbers = self.private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": self.kid,
            "x": _base64url(numbers.x.to_bytes(32, "big")),
            "y": _base64url(numbers.y.to_bytes(32, "big")),
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to the browser."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class GrafanaStandIn:
    """Serves one Grafana with one app plugin.

    ``upstreams`` maps the host and port of the plugin's constant addresses (``action-api:8080``) to
    where they really are, as the name service of a container network does. ``secrets`` are the
    plugin's ``secureJsonData`` by organisation.
    """

    def __init__(
        self,
        plugin: Path,
        *,
        upstreams: Mapping[str, tuple[str, int]],
        secrets: Mapping[int, Mapping[str, str]],
        users: tuple[User, ...],
        allowed_posts: tuple[str, ...] = ("/api/plugin-proxy/celerytrail-app/*",),
        static: Mapping[str, Path] | None = None,
    ) -> None:
        self.plugin: dict[str, Any] = json.loads((plugin / "plugin.json").read_text())
        self.upstreams = dict(upstreams)
        self.secrets = secrets
        self.users = {user.session: user for user in users}
        self.allowed_posts = allowed_posts
        self.key = SigningKey("stand-in-key")
        self.keys = [self.key]
        self.key_requests = 0
        self.static = dict(static or {})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Return ``root_url``, which is also the issuer of its tokens."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def jwks_url(self) -> str:
        return f"{self.url}api/signing-keys/keys"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def claims(self, user: User) -> dict[str, Any]:
        """Return the claims of the identity token of a user, as Grafana makes them."""
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": [f"org:{user.org_id}"],
            "sub": f"{user.kind}:{user.uid}",
            "iat": now,
            "exp": now + 600,
            "identifier": user.uid,
            "type": "anonymous" if user.anonymous else user.kind,
            "namespace": "default" if user.org_id == 1 else f"org-{user.org_id}",
            "username": user.login,
            "name": user.login.title(),
            "email": f"{user.login}@example.com",
            "role": user.role,
        }

    def token(self, user: User) -> str:
        return jwt.encode(
            self.claims(user),
            self.key.private,
            algorithm="ES256",
            headers={"kid": self.key.kid, "typ": "jwt"},
        )

    def context(self, user: User) -> dict[str, Any]:
        """Return the signed-in user as the proxy passes it on."""
        return {
            "UserID": user.user_id,
            "UserUID": user.uid,
            "OrgID": user.org_id,
            "OrgName": "Main Org.",
            "OrgRole": user.role,
            "Login": user.login,
            "Name": user.login.title(),
            "Email": f"{user.login}@example.com",
            "EmailVerified": False,
            "AuthID": "",
            "AuthenticatedBy": "password",
            "ApiKeyID": 0,
            "IsServiceAccount": user.kind == "service-account",
            "IsGrafanaAdmin": False,
            "IsAnonymous": user.anonymous,
            "IsDisabled": False,
            "LastSeenAt": "2026-01-01T00:00:00Z",
            "Teams": [],
        }

    def send(
        self,
        user: User | None,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Do what the browser of a signed-in user does, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            cookie = {"Cookie": f"grafana_session={user.session}"} if user else {}
            connection.request(method, path, body, {**(headers or {}), **cookie})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def answer(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        """Answer one request as Grafana does."""
        path = urlsplit(target).path
        given = {name.lower(): value for name, value in headers}
        if path == "/api/signing-keys/keys":
            self.key_requests += 1
            return _json(200, {"keys": [key.public_jwk() for key in self.keys]})
        prefix = f"/api/plugin-proxy/{self.plugin['id']}/"
        if not path.startswith(prefix):
            return self._static(path)
        if "x-grafana-action" in given and not (
            method in ("POST", "PUT")
            and any(fnmatch.fnmatchcase(path, glob) for glob in self.allowed_posts)
        ):
            return _json(405, {"message": "Method not allowed"})
        user = self.users.get(_session(given.get("cookie", "")))
        if user is None:
            return _json(401, {"message": "Unauthorized"})
        wanted = path.removeprefix(prefix)
        for route in self.plugin["routes"]:
            rest = _match(route["path"], wanted)
            if rest is None or route.get("method", method) != method:
                continue
            if ROLES[user.role] < ROLES[route.get("reqRole", "None") or "None"]:
                return _json(403, {"message": "plugin proxy route access denied"})
            return self._forward(user, route, rest, method, urlsplit(target).query, headers, body)
        return _json(404, {"message": "plugin route match not found"})

    def _forward(
        self,
        user: User,
        route: Mapping[str, Any],
        rest: str,
        method: str,
        query: str,
        headers: list[tuple[str, str]],
        body: bytes,
    ) -> Answer:
        address = urlsplit(route["url"])
        host, port = self.upstreams[address.netloc]
        ours = {"x-grafana-context", "x-grafana-id"}
        ours |= {header["name"].lower() for header in route.get("headers", [])}
        passed = [
            (name, value)
            for name, value in headers
            if name.lower() not in _HOP_BY_HOP and name.lower() not in ours
        ]
        passed.append(("X-Grafana-Context", json.dumps(self.context(user))))
        passed.append(("X-Grafana-Id", self.token(user)))
        for header in route.get("headers", []):
            passed.append((header["name"], self._templated(user, header["content"])))
        path = "/".join(part for part in (address.path.rstrip("/"), rest) if part)
        return forward(host, port, method, path + (f"?{query}" if query else ""), passed, body)

    def _templated(self, user: User, content: str) -> str:
        for name, value in self.secrets.get(user.org_id, {}).items():
            content = content.replace(f"{{{{ .SecureJsonData.{name} }}}}", value)
        assert "{{" not in content, content
        return content

    def _static(self, path: str) -> Answer:
        for prefix, folder in sorted(self.static.items(), reverse=True):
            file = (folder / path.removeprefix(prefix).lstrip("/")).resolve()
            if path.startswith(prefix) and file.is_relative_to(folder.resolve()) and file.is_file():
                kind = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}
                headers = {"Content-Type": kind.get(file.suffix, "application/octet-stream")}
                return Answer(200, headers, file.read_bytes())
        return _json(404, {"message": "Not found"})


def forward(
    host: str,
    port: int,
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> Answer:
    """Send one request with exactly these headers, doubles included, and return the answer."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        headers_back = {**dict(answer.getheaders()), "Content-Security-Policy": "sandbox"}
        return Answer(answer.status, headers_back, answer.read())
    except OSError as error:
        return _json(502, {"message": f"bad gateway: {error}"})
    finally:
        connection.close()


@contextmanager
def moved(stand_in: GrafanaStandIn, name: str, to: tuple[str, int]) -> Iterator[None]:
    """Let a name of the plugin's addresses lead elsewhere for a while."""
    before = stand_in.upstreams[name]
    stand_in.upstreams[name] = to
    try:
        yield
    finally:
        stand_in.upstreams[name] = before


def _handler(stand_in: GrafanaStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            answer = stand_in.answer(
                self.command, self.path, list(self.headers.items()), self.rfile.read(size)
            )
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_any

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _match(pattern: str, path: str) -> str | None:
    """Return what the star of a route's path stands for, or None where it does not match."""
    if pattern.endswith("/*"):
        prefix = pattern[:-1]
        return path.removeprefix(prefix) if path.startswith(prefix) else None
    return "" if path == pattern else None


def _session(cookies: str) -> str:
    for pair in cookies.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == "grafana_session":
            return value
    return ""


def _json(status: int, value: object) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
