"""What is in the built plugin, as Grafana reads it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

PLUGIN = Path(__file__).parents[3] / "provisioning/grafana/plugins/celerytrail-app"
HOST = Path(__file__).parents[2] / "browser/host"
DIST = PLUGIN / "dist"

# Read in Grafana's sharedDependencies.ts: what 11.6 has already and 13 still has. It does not have
# react/jsx-runtime, and its react-router is another than that of 13.
SHARED = {
    "@emotion/css",
    "@grafana/data",
    "@grafana/runtime",
    "@grafana/ui",
    "module",
    "react",
    "rxjs",
}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((DIST / "plugin.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def code() -> str:
    return (DIST / "module.js").read_text()


def test_each_route_has_one_method_a_role_a_constant_address_and_the_secret(
    manifest: dict[str, Any],
) -> None:
    secret = {"name": "X-Celerytrail-Proxy", "content": "{{ .SecureJsonData.proxySecret }}"}
    assert manifest["routes"] == [
        {
            "path": f"{name}/*",
            "method": method,
            "reqRole": role,
            "url": f"http://action-api:8080/v1/{name}",
            "headers": [secret],
        }
        for name, method, role in (
            ("operator", "POST", "Editor"),
            ("admin", "POST", "Admin"),
            ("viewer", "GET", "Viewer"),
        )
    ]


def test_the_pages_are_for_the_roles_that_their_verbs_need(manifest: dict[str, Any]) -> None:
    roles = {page["path"]: page["role"] for page in manifest["includes"]}
    assert roles == {
        "/a/celerytrail-app": "Viewer",
        "/a/celerytrail-app/purge": "Admin",
        "/a/celerytrail-app/retry-chord": "Editor",
        "/plugins/celerytrail-app": "Admin",
    }


def test_it_is_an_app_without_a_backend_from_11_6_on(manifest: dict[str, Any]) -> None:
    assert (manifest["type"], manifest["id"]) == ("app", "celerytrail-app")
    assert manifest["dependencies"]["grafanaDependency"] == ">=11.6.0"
    assert "backend" not in manifest
    assert "executable" not in manifest
    package = json.loads((PLUGIN / "package.json").read_text())
    assert manifest["info"]["version"] == package["version"]
    assert "%" not in json.dumps(manifest)
    for logo in manifest["info"]["logos"].values():
        assert (DIST / logo).is_file()


def test_it_takes_from_grafana_only_what_11_6_shares(code: str) -> None:
    found = re.search(r"^define\((\[.*?\]),", code, re.MULTILINE)
    assert found is not None
    assert set(json.loads(found[1])) == SHARED
    assert "jsx-runtime" not in code


def test_it_calls_nothing_but_the_proxy(code: str) -> None:
    assert re.findall(r"https?://[^\"'`\s]*", code) == []
    called = re.findall(r"[\"'`](/?api/[^\"'`$]*)", code)
    assert called
    assert all(address.startswith("/api/plugin-proxy/") for address in called)
    for way_around in (
        "fetch(`",
        'fetch("',
        "XMLHttpRequest",
        "WebSocket",
        "sendBeacon",
        "document.cookie",
    ):
        assert way_around not in code


@pytest.mark.parametrize(
    "project", [PLUGIN, HOST / "newest", HOST / "oldest"], ids=lambda p: p.name
)
def test_lock_files_name_hashes_and_no_registry(project: Path) -> None:
    lock = json.loads((project / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert [name for name, package in packages.items() if "integrity" not in package] == []
