"""The files that Grafana provisions from: keys and values as its documentation and source have them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.compose_file import ROOT, services

GRAFANA = ROOT / "provisioning" / "grafana"
FILES = ("datasources/celerytrail.yaml", "dashboards/celerytrail.yaml", "plugins/celerytrail.yaml")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((GRAFANA / name).read_text())  # type: ignore[no-any-return]


def mounted(target: str) -> str:
    """Return what docker-compose.yml has under a path of Grafana's container."""
    return next(m.source for m in services()["grafana"].mounts if m.target == target)


def test_the_data_source_is_the_one_that_dashboards_name() -> None:
    file = read("datasources/celerytrail.yaml")
    assert file["apiVersion"] == 1
    (source,) = file["datasources"]
    assert set(source) == {
        "name", "uid", "type", "access", "orgId", "url", "user", "editable", "secureJsonData", "jsonData",
    }  # fmt: skip
    assert source["uid"] == "celerytrail-pg"
    assert source["type"] == "grafana-postgresql-datasource"
    assert source["access"] == "proxy"
    assert source["user"] == "celerytrail_grafana"
    assert source["editable"] is False
    options = source["jsonData"]
    assert options["maxOpenConns"] <= 20
    assert options["connMaxLifetime"] == 20
    assert options["timescaledb"] is False
    assert "database" not in source
    assert options["database"] == services()["postgres"].environment["POSTGRES_DB"]


def test_dashboards_are_looked_for_where_they_are_mounted() -> None:
    (provider,) = read("dashboards/celerytrail.yaml")["providers"]
    assert (provider["folder"], provider["folderUid"]) == ("Celery", "celerytrail")
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["disableDeletion"] is True
    assert mounted(provider["options"]["path"]) == "./provisioning/grafana/dashboards"


def test_the_plugin_is_turned_on_with_the_secret_that_the_action_api_has() -> None:
    (app,) = read("plugins/celerytrail.yaml")["apps"]
    assert app["type"] == "celerytrail-app"
    assert (app["org_id"], app["disabled"]) == (1, False)
    folder = services()["grafana"].environment["GF_PATHS_PLUGINS"]
    assert mounted(f"{folder}/celerytrail-app").endswith("plugins/celerytrail-app/dist")


@pytest.mark.parametrize("name", FILES)
def test_what_is_put_in_for_a_dollar_sign_is_there(name: str) -> None:
    """Grafana replaces ``$NAME`` and ``$__file{}`` in these files; anything else with a ``$`` is lost."""
    environment = services()["grafana"].environment
    text = (GRAFANA / name).read_text()
    uses = re.findall(r"\$(\w+)(?:\{([^}]*)\})?", text)
    assert text.count("$") == len(uses)
    for variable, file in uses:
        if variable == "__file":
            assert Path(file).parent == Path("/run/secrets")
            made = (ROOT / "provisioning" / "secrets" / "make-secrets").read_text()
            assert f"grafana/{Path(file).name}" in made
        else:
            assert variable in environment
