"""The stand-in for Grafana, which also serves the plugin's files and a page around them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from tests.browser.built_host import PLUGIN, icons_of
from tests.grafana.plugin_proxy import Answer, GrafanaStandIn, User

_ICONS = ("/public/build/img/icons/", "/public/img/icons/")  # 13 and 11.6
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><base href="/"><title>Grafana stand-in</title><link rel="icon" href="data:,">
<script>window.hostPage = {boot};</script>
<script type="module" src="/public/host/host.js"></script>
</head>
<body><div id="root"></div></body>
</html>
"""


class PluginPages:
    """Answers what a browser asks for beside the plugin's proxy.

    ``site`` is the bundled page of ``built_host``; the built plugin is served where Grafana does.
    Every request is kept in ``requests`` as (method, target, headers).
    """

    def __init__(self, site: Path, theme: str = "dark", plugin: Path = PLUGIN / "dist") -> None:
        self.static = {"/public/host/": site, "/public/plugins/celerytrail-app/": plugin}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self._theme = theme
        self._icons = icons_of(site)

    def answer(
        self, grafana: GrafanaStandIn, method: str, target: str, headers: list[tuple[str, str]]
    ) -> Answer | None:
        """Answer one request, or return None for one that is not about pages."""
        given = {name.lower(): value for name, value in headers}
        self.requests.append((method, target, given))
        path = target.partition("?")[0]
        if method == "GET" and path.startswith(("/a/", "/plugins/", "/d/")):
            return self._page(grafana, given.get("cookie", ""))
        for prefix in _ICONS:
            if path.startswith(prefix):
                return self._icon(path.removeprefix(prefix))
        return None

    def _page(self, grafana: GrafanaStandIn, cookies: str) -> Answer:
        session = SimpleCookie(cookies).get("grafana_session")
        user = grafana.users.get(session.value) if session else None
        if user is None:
            return Answer(302, {"Location": "/login"}, b"")
        boot: dict[str, Any] = {
            "theme": self._theme,
            "pluginId": grafana.plugin["id"],
            "user": {"login": user.login, "role": user.role},
            "secureJsonFields": dict.fromkeys(grafana.secrets.get(user.org_id, {}), True),
        }
        text = _PAGE.replace("{boot}", json.dumps(boot).replace("<", "\\u003c"))
        return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, text.encode())

    def _icon(self, name: str) -> Answer:
        file = (self._icons / name).resolve()
        if file.is_relative_to(self._icons.resolve()) and file.is_file():
            return Answer(200, {"Content-Type": "image/svg+xml"}, file.read_bytes())
        return Answer(404, {"Content-Type": "text/plain"}, b"no such icon")


class GrafanaWithPages(GrafanaStandIn):
    """A stand-in that serves the plugin's pages too, at ``/a/celerytrail-app/...``."""

    def __init__(
        self,
        pages: PluginPages,
        *,
        upstreams: Mapping[str, tuple[str, int]],
        secrets: Mapping[int, Mapping[str, str]],
        users: tuple[User, ...],
        plugin: Path = PLUGIN / "dist",
    ) -> None:
        super().__init__(
            plugin, upstreams=upstreams, secrets=secrets, users=users, static=pages.static
        )
        self.pages = pages

    def answer(
        self, method: str, target: str, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        page = self.pages.answer(self, method, target, headers)
        return page or super().answer(method, target, headers, body)


def serve_pages(grafana: GrafanaStandIn, pages: PluginPages) -> None:
    """Let a stand-in that runs already serve the pages too."""
    answer_without = grafana.answer

    def answer(method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        page = pages.answer(grafana, method, target, headers)
        return page or answer_without(method, target, headers, body)

    grafana.static.update(pages.static)
    grafana.answer = answer  # type: ignore[method-assign]
