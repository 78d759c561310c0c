"""What Grafana says of its people: tokens, contexts, and a real server of its signing keys."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization

from tests.grafana.plugin_proxy import SigningKey

if TYPE_CHECKING:
    from typing_extensions import Self

ISSUER = "https://grafana.example/"
KEY = SigningKey("the-key")


def claims(login: str = "alice", role: str = "Admin", org: int = 1, **other: Any) -> dict[str, Any]:
    """Return the claims of a token; ``other`` are replaced, and left out where they are None."""
    now = int(time.time())
    found = {
        "iss": ISSUER,
        "aud": [f"org:{org}"],
        "sub": f"user:uid-{login}",
        "iat": now,
        "exp": now + 600,
        "type": "user",
        "username": login,
        "role": role,
        **other,
    }
    return {name: value for name, value in found.items() if value is not None}


def token(
    content: Mapping[str, Any], key: SigningKey = KEY, headers: Mapping[str, Any] | None = None
) -> str:
    named = {"kid": key.kid, "typ": "jwt", **(headers or {})}
    kept = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(dict(content), key.private, algorithm="ES256", headers=kept)


def unsigned(content: Mapping[str, Any]) -> str:
    return _joined({"alg": "none", "typ": "jwt", "kid": KEY.kid}, content, b"")


def hmac_by_public_key(content: Mapping[str, Any]) -> str:
    """The key confusion attack: the public key, which everybody has, as the secret of HS256."""
    pem = KEY.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "typ": "jwt", "kid": KEY.kid}
    signed = _joined(header, content, b"").rpartition(".")[0]
    return f"{signed}.{_base64url(hmac.digest(pem, signed.encode(), sha256))}"


def _joined(header: Mapping[str, Any], content: Mapping[str, Any], signature: bytes) -> str:
    parts = [json.dumps(header).encode(), json.dumps(content).encode(), signature]
    return ".".join(map(_base64url, parts))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def context(
    login: str = "alice", role: str = "Admin", org: int = 1, **other: Any
) -> dict[str, Any]:
    """Return the context of the plugin proxy, with fields that nobody here needs."""
    return {
        "UserID": 1,
        "UserUID": f"uid-{login}",
        "OrgID": org,
        "OrgName": "Main Org.",
        "OrgRole": role,
        "Login": login,
        "Name": "Älice",
        "IsServiceAccount": False,
        "IsGrafanaAdmin": False,
        "IsAnonymous": False,
        "IsDisabled": False,
        "Teams": [1, 2],
        "SomethingNew": {"in": "a later version"},
        **other,
    }


def person(
    login: str = "alice", role: str = "Admin", org: int = 1, secret: str = ""
) -> dict[str, str]:
    """Return the headers with which a person's request comes out of Grafana."""
    return {
        "X-Celerytrail-Proxy": secret,
        "X-Grafana-Id": token(claims(login, role, org)),
        "X-Grafana-Context": json.dumps(context(login, role, org), ensure_ascii=False),
    }


@dataclass
class KeyServer:
    """Serves a JWKS document on loopback; ``answer`` can be replaced, and requests are counted."""

    keys: list[SigningKey] = field(default_factory=lambda: [KEY])
    port: int = 0
    asked: list[str] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] | None = None
    released: Event = field(default_factory=Event)
    _server: ThreadingHTTPServer | None = None
    _thread: Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/signing-keys/keys"

    def document(self) -> bytes:
        return json.dumps({"keys": [key.public_jwk() for key in self.keys]}).encode()

    def start(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if outer.answer is not None:
                    outer.answer(self)
                    return
                send(self, 200, outer.document())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; the port stays this server's number for a later start."""
        self.released.set()
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: Mapping[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
