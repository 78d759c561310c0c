"""What docker-compose.yml promises: nothing open, no right too many, no secret in it, nothing forgotten."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.compose_file import ROOT, Service, in_order, load, services

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SERVICES = services()
EVERY = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
OURS = {
    "secrets",
    "migrate",
    "token",
    "sink",
    "maintain",
    "verify",
    "checkpoint",
    "action-api",
    "worker",
    "beat",
    "publisher",
}
# The images of these start as the user that the file names; none of them needs another.
USERS = {
    "postgres": "999:999",
    "valkey": "999:999",
    "rabbitmq": "999:999",
    "grafana": "472:0",
    "proxy": "101:101",
}
PROVISIONING = ROOT / "provisioning"


def test_every_part_of_the_product_is_there() -> None:
    others = {"postgres", "valkey", "rabbitmq", "otel-collector", "grafana", "proxy"}
    assert set(SERVICES) == OURS | others
    assert SERVICES["rabbitmq"].definition["profiles"] == ["rabbitmq"]


@EVERY
def test_a_service_has_no_right_too_many(service: Service) -> None:
    made = service.definition
    assert made["cap_drop"] == ["ALL"]
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert made["read_only"] is True
    assert made["mem_limit"]
    assert "privileged" not in made
    assert not {"pid", "ipc", "userns_mode", "devices", "cgroup"} & set(made)
    if service.name == "secrets":
        assert (made["user"], made["network_mode"]) == ("0:0", "none")
        assert set(made["cap_add"]) == {"CHOWN", "DAC_OVERRIDE", "FOWNER"}
    else:
        assert made["user"] == USERS.get(service.name, "10001:10001")
        assert "cap_add" not in made
        assert made["networks"]
        assert service.networks <= set(load()["networks"])


@EVERY
def test_a_service_is_watched_or_ends(service: Service) -> None:
    if service.runs_once:
        assert not service.healthcheck
    else:
        assert service.definition["restart"] == "unless-stopped"
        assert service.healthcheck[0] in ("CMD", "CMD-SHELL")


@EVERY
def test_a_service_waits_for_what_can_be_waited_for(service: Service) -> None:
    for name, condition in service.needs.items():
        if condition == "service_completed_successfully":
            assert SERVICES[name].runs_once
        elif condition == "service_healthy":
            assert SERVICES[name].healthcheck
        else:
            assert condition == "service_started"


def test_everything_starts_after_the_secrets() -> None:
    order = [service.name for service in in_order()]
    assert order[0] == "secrets"
    assert order.index("migrate") < order.index("token") < order.index("otel-collector")


def test_only_the_proxy_can_be_reached_and_only_from_this_machine() -> None:
    published = {
        name: s.definition["ports"] for name, s in SERVICES.items() if "ports" in s.definition
    }
    assert published == {"proxy": ["127.0.0.1:3000:8080"]}
    ways_out = {name for name, made in load()["networks"].items() if not made.get("internal")}
    assert ways_out == {"outside"}
    assert {name for name, s in SERVICES.items() if "outside" in s.networks} == {"proxy"}


def test_who_shares_a_network_with_whom() -> None:
    members = {
        network: {name for name, service in SERVICES.items() if network in service.networks}
        for network in load()["networks"]
    }
    assert members == {
        "ledger": {
            "postgres",
            "migrate",
            "token",
            "sink",
            "maintain",
            "verify",
            "checkpoint",
            "action-api",
        },
        "reading": {"postgres", "grafana"},
        "ingest": {"sink", "otel-collector"},
        "agents": {"otel-collector", "worker", "beat", "publisher"},
        "broker": {"valkey", "rabbitmq", "action-api", "worker", "beat", "publisher"},
        "buttons": {"action-api", "grafana", "proxy"},
        "front": {"grafana", "proxy"},
        "outside": {"proxy"},
    }


def test_a_secret_is_seen_by_the_one_who_needs_it() -> None:
    readers: dict[str, set[str]] = {}
    for service in SERVICES.values():
        for mount in service.mounts:
            if mount.source.endswith("-secrets") and service.name not in ("secrets", "token"):
                assert mount.read_only
                readers.setdefault(mount.source, set()).add(service.name)
    assert readers == {
        "admin-secrets": {"migrate"},
        "postgres-secrets": {"postgres"},
        "sink-secrets": {"sink"},
        "maintainer-secrets": {"maintain"},
        "verifier-secrets": {"verify"},
        "checkpointer-secrets": {"checkpoint"},
        "actions-secrets": {"action-api"},
        "grafana-secrets": {"grafana"},
        "collector-secrets": {"otel-collector"},
        "shop-secrets": {"worker", "beat", "publisher"},
        "valkey-secrets": {"valkey"},
        "rabbitmq-secrets": {"rabbitmq"},
    }
    written = {m.source for m in SERVICES["secrets"].mounts if not m.is_file_of_ours}
    assert written == set(readers)


@EVERY
def test_what_is_mounted_is_there(service: Service) -> None:
    for mount in service.mounts:
        if mount.is_file_of_ours:
            assert mount.read_only
            assert (ROOT / mount.source).exists(), mount.source
        else:
            assert mount.source in load()["volumes"]


@EVERY
def test_images_have_a_version_and_ours_are_built_here(service: Service) -> None:
    image = service.definition["image"]
    name, _, tag = image.partition(":")
    assert tag, f"{image} is whatever is newest"
    assert tag != "latest"
    if "build" in service.definition:
        assert tag == "local"
        assert (ROOT / service.definition["build"]["dockerfile"]).exists()
    else:
        assert name in (
            "postgres", "valkey/valkey", "rabbitmq", "grafana/grafana", "nginxinc/nginx-unprivileged",
        )  # fmt: skip


def test_settings_are_those_that_are_documented() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text() + (
        ROOT / "docs" / "install.md"
    ).read_text()
    theirs = {
        "POSTGRES_DB",
        "POSTGRES_PASSWORD_FILE",
        "POSTGRES_INITDB_ARGS",
        "PGDATA",
        "RABBITMQ_CONFIG_FILES",
    }
    for service in SERVICES.values():
        for name in service.environment:
            if name.startswith("GF_"):
                assert re.fullmatch(r"GF_[A-Z]+_[A-Z_]+", name)
            elif name not in theirs and name != "SHOP_SECRETS":
                assert f"`{name}`" in documented, f"{service.name}: {name} is nowhere explained"


def test_the_variables_of_the_file_are_those_of_the_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    offered = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert offered == used | {"COMPOSE_PROFILES"}


def files_of_ours() -> list[Path]:
    kinds = {".yaml", ".yml", ".toml", ".conf", ".Dockerfile", ".example"}
    found = [
        p
        for p in PROVISIONING.rglob("*")
        if p.suffix in kinds and "plugins/celerytrail-app" not in str(p)
    ]
    return [*found, ROOT / "docker-compose.yml", ROOT / ".env.example"]


@pytest.mark.parametrize("path", files_of_ours(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_holds_a_secret(path: Path) -> None:
    key = re.compile(
        r"""^\W*([\w.]*(?:pass|passwd|password|secret|token|api_?key|secret_key)\w*)["']?\s*[:=]\s*(.+)$""",
        re.IGNORECASE,
    )
    for line in path.read_text().splitlines():
        assert not re.search(r"://[^/@\s\"']*:[^/@\s\"'$]+@", line), line
        match = key.match(line.partition("#")[0])
        if match and match[1] != "SHOP_SECRETS":
            value = match[2].strip().strip("\"'")
            allowed = value.startswith(
                ("/run/secrets/", "$__file{", "${env:", "{condition:", "true", "[", ".")
            )
            assert allowed, f"{match[1]} has its value in the file: {line}"


def test_grafana_is_told_what_the_buttons_need() -> None:
    grafana = SERVICES["grafana"].environment
    assert grafana["GF_PLUGINS_ALLOW_LOADING_UNSIGNED_PLUGINS"] == "celerytrail-app"
    assert grafana["GF_SECURITY_ACTIONS_ALLOW_POST_URL"] == "/api/plugin-proxy/celerytrail-app/*"
    assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    actions = tomllib.loads((PROVISIONING / "action-api" / "actions.toml").read_text())
    (org,) = actions["grafana"]
    # The issuer in Grafana's tokens is its root_url, to the letter.
    assert org["issuer"] == grafana["GF_SERVER_ROOT_URL"]
    assert urlsplit(org["jwks_url"]).path == "/api/signing-keys/keys"
    assert urlsplit(org["jwks_url"]).netloc == "grafana:3000"
    (deployment,) = actions["deployment"]
    worker = SERVICES["worker"].environment
    for key in ("namespace", "service", "environment"):
        assert deployment[key] == worker[f"CELERYTRAIL_{key.upper()}"]
        assert deployment[key] == SERVICES["token"].environment[f"CELERYTRAIL_{key.upper()}"]
