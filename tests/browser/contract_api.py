"""An HTTP server that answers the plugin's pages in the shapes of the action API.

It stands at the other end of the proxy, so that the pages can be tested for what the real API cannot
be made to say at will. It keeps one broker's worth of queues and one chord, and the tokens that it
gave out; it refuses what the real one refuses. The acceptance tests put the real API in its place.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from typing_extensions import Self

SHOP = {"namespace": "", "service": "shop", "environment": "production"}
SECRET = "secret-of-the-proxy"
_FORBIDDEN_HEADERS = ("cookie", "authorization", "x-grafana-action")


@dataclass(slots=True)
class Seen:
    """One request as it came through the proxy."""

    method: str
    path: str
    headers: dict[str, str]
    parameters: dict[str, str]


class RefusedByApi(Exception):
    """An answer as problem details (RFC 9457)."""

    def __init__(self, status: int, code: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": "3f1c",
        }


@dataclass(slots=True)
class ContractApi:
    """The server; the fields are what a test sets before, and looks at after."""

    queues: dict[str, list[str]] = field(default_factory=dict)
    """The ids of the tasks that wait, the oldest first."""
    members: list[str] = field(default_factory=list)
    group: str = ""
    expires_in_seconds: float = 120
    denied: bool = False
    tells_new_group: bool = True
    lose_answers: int = 0
    """So many mutations are done, and then no proper answer is given."""
    requests: list[Seen] = field(default_factory=list)
    purges: list[str] = field(default_factory=list)
    chords_sent: int = 0
    _tokens: dict[str, int] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port, as an API does that is down."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def address(self) -> tuple[str, int]:
        assert self._server is not None
        return "127.0.0.1", int(self._server.server_address[1])

    def let_tokens_expire(self) -> None:
        """Make the API take all tokens it has given out for too old."""
        self._tokens.clear()

    def answer(self, seen: Seen) -> dict[str, Any]:
        """Answer one request, or raise RefusedByApi."""
        self._check_headers(seen)
        parameters = seen.parameters
        match seen.method, seen.path:
            case "GET", "/v1/viewer/whoami":
                return self._whoami()
            case "GET", "/v1/viewer/queues":
                return {"queues": [self._depth(name) for name in self.queues]}
            case "POST", "/v1/admin/preview/purge":
                return self._offered(self._purge_preview(self._queue(parameters)))
            case "POST", "/v1/admin/purge":
                return self._once(seen, lambda: self._purge(parameters))
            case "POST", "/v1/operator/preview/retry-chord":
                return self._offered(self._chord_preview(parameters))
            case "POST", "/v1/operator/retry-chord":
                return self._once(seen, lambda: self._retry_chord(parameters))
        raise RefusedByApi(404, "not_found", "Not found", f"there is no {seen.path}")

    def _check_headers(self, seen: Seen) -> None:
        extra = [name for name in _FORBIDDEN_HEADERS if name in seen.headers]
        assert not extra, f"the page sent {extra}"
        if seen.headers.get("x-celerytrail-proxy") != SECRET or "x-grafana-id" not in seen.headers:
            raise RefusedByApi(401, "not_authenticated", "Not authenticated", "who are you?")
        if seen.method == "POST":
            assert seen.headers["content-type"] == "application/json"
            assert seen.headers["x-celerytrail-action"] == "1"
        if self.denied and "whoami" not in seen.path:
            raise RefusedByApi(
                403, "not_allowed", "Not allowed", "ada (admin) may not do this on /shop/production"
            )

    def _whoami(self) -> dict[str, Any]:
        verbs = [] if self.denied else ["retry", "cancel", "terminate", "retry-chord", "purge"]
        deployment = {**SHOP, "label": "/shop/production", "verbs": verbs}
        return {"name": "ada", "role": "admin", "org_id": 1, "deployments": [deployment]}

    def _depth(self, name: str) -> dict[str, Any]:
        return {
            "queue": name,
            "depth": len(self.queues[name]),
            "oldest_age_seconds": 7500.0 if self.queues[name] else None,
            "consumers": 2,
        }

    def _queue(self, parameters: dict[str, str]) -> str:
        name = parameters["queue"]
        if name not in self.queues or not SHOP.items() <= parameters.items():
            raise RefusedByApi(404, "not_found", "Not found", f"no queue named {name}")
        return name

    def _purge_preview(self, name: str) -> dict[str, Any]:
        waiting = self.queues[name]
        return {
            "queue": name,
            "depth": len(waiting),
            "oldest_age_seconds": self._depth(name)["oldest_age_seconds"],
            "sample": [{"task_id": task, "task_name": "shop.charge"} for task in waiting[:10]],
        }

    def _chord_preview(self, parameters: dict[str, str]) -> dict[str, Any]:
        if parameters["group_id"] != self.group:
            raise RefusedByApi(
                404, "not_found", "Not found", f"no chord {parameters['group_id']} is known"
            )
        sample = [
            {
                "task_id": task,
                "task_name": "shop.charge",
                "state": "failed" if at < 2 else "succeeded",
            }
            for at, task in enumerate(self.members[:10])
        ]
        body = {"task_id": "body-1", "task_name": "shop.settle"}
        return {
            "group_id": self.group,
            "kind": "chord",
            "members": len(self.members),
            "succeeded": len(self.members) - 2,
            "failed": 2,
            "body": body,
            "sample": sample,
        }

    def _offered(self, preview: dict[str, Any]) -> dict[str, Any]:
        token = uuid.uuid4().hex
        self._tokens[token] = preview.get("depth", preview.get("members"))
        return {
            "confirmation": token,
            "expires_in_seconds": self.expires_in_seconds,
            "preview": preview,
        }

    def _once(self, seen: Seen, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        if "idempotency-key" in seen.headers:
            raise RefusedByApi(400, "bad_request", "Bad request", "leave out Idempotency-Key")
        token = seen.parameters["confirmation"]
        if token in self._used:
            raise RefusedByApi(409, "confirmation_used", "Refused", "the confirmation was used")
        if token not in self._tokens:
            raise RefusedByApi(409, "confirmation_expired", "Refused", "the confirmation expired")
        result = act()
        self._used.add(token)
        if self.lose_answers > 0:
            self.lose_answers -= 1
            raise BrokenPipeError
        return result

    def _purge(self, parameters: dict[str, str]) -> dict[str, Any]:
        name = self._queue(parameters)
        waiting, shown = self.queues[name], self._tokens[parameters["confirmation"]]
        if len(waiting) > shown:
            detail = f"{len(waiting)} messages wait in the queue, and {shown} were shown"
            raise RefusedByApi(409, "depth_grown", "Refused", detail)
        self.queues[name] = []
        self.purges.append(name)
        tasks = [
            {"task_id": task, "result": "purged", "new_task_id": None, "message": None}
            for task in waiting
        ]
        return _performed("purge", f"{len(tasks)} messages were removed", tasks)

    def _retry_chord(self, parameters: dict[str, str]) -> dict[str, Any]:
        self._chord_preview(parameters)
        if len(self.members) != self._tokens[parameters["confirmation"]]:
            detail = f"the chord has {len(self.members)} members, and others were shown"
            raise RefusedByApi(409, "members_changed", "Refused", detail)
        self.chords_sent += 1
        tasks = [
            {"task_id": task, "result": "sent", "new_task_id": f"new-{task}", "message": None}
            for task in [*self.members, "body-1"]
        ]
        sent = _performed("retry-chord", f"{len(tasks)} tasks were sent again", tasks)
        return {**sent, "new_group_id": f"new-{self.group}"} if self.tells_new_group else sent


def _performed(verb: str, message: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "action_id": str(uuid.uuid4()),
        "verb": verb,
        "state": "succeeded",
        "message": message,
        "duplicate": False,
        "actor": "ada",
        "tasks": tasks,
    }


def _handler(api: ContractApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            address = urlsplit(self.path)
            parameters = dict(parse_qsl(address.query, keep_blank_values=True))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parameters |= json.loads(body) if body else {}
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.command, address.path, headers, parameters)
            api.requests.append(seen)
            try:
                self._send(200, "application/json", api.answer(seen))
            except RefusedByApi as refused:
                self._send(refused.status, "application/problem+json", refused.problem)
            except BrokenPipeError:
                self.close_connection = True

        do_GET = do_POST = do_any

        def _send(self, status: int, kind: str, value: dict[str, Any]) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
