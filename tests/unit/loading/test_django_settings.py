from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.django_settings import django_settings
from celerytrail.exporter.agent.errors import AgentConfigError
from celerytrail.exporter.agent.guard import Guard
from celerytrail.exporter.agent.shipper_process import ShipperProcess


def use(monkeypatch: pytest.MonkeyPatch, *, configured: bool = True, **settings: Any) -> None:
    module = ModuleType("django.conf")
    module.__dict__["settings"] = SimpleNamespace(configured=configured, **settings)
    monkeypatch.setitem(sys.modules, "django.conf", module)


def test_the_environment_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, CELERYTRAIL_SERVICE="d", CELERYTRAIL_NAMESPACE="d", CELERY_X="x", DEBUG=True)
    assert django_settings({"CELERYTRAIL_NAMESPACE": "e"}) == {"CELERYTRAIL_SERVICE": "d"}


def test_what_is_for_servers_stays_with_django(monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        monkeypatch,
        CELERYTRAIL_DSN="hush",
        CELERYTRAIL_DSN_FILE="/x",
        CELERYTRAIL_ACTIONS_TOKEN="hush",
        CELERYTRAIL_SINK_BIND="x",
    )
    assert django_settings({}) == {}


def test_values_become_what_a_variable_would_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    use(
        monkeypatch,
        CELERYTRAIL_CAPTURE_RESULT=True,
        CELERYTRAIL_DISABLED=False,
        CELERYTRAIL_MAX_BODY_BYTES=5,
        CELERYTRAIL_SPOOL_DIR=Path("/var/spool"),
        CELERYTRAIL_ENVIRONMENT=None,
    )
    assert django_settings({}) == {
        "CELERYTRAIL_CAPTURE_RESULT": "1",
        "CELERYTRAIL_DISABLED": "0",
        "CELERYTRAIL_MAX_BODY_BYTES": "5",
        "CELERYTRAIL_SPOOL_DIR": "/var/spool",
    }


def test_a_value_that_no_variable_could_hold_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, CELERYTRAIL_REDACT_KEYS=["hush"])
    with pytest.raises(AgentConfigError, match=r"CELERYTRAIL_REDACT_KEYS.* list") as caught:
        django_settings({})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["CELERYTRAIL_TOKEN", "CELERYTRAIL_TOKEN_FILE"])
def test_a_token_of_the_environment_hides_both_of_djangos(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    use(monkeypatch, CELERYTRAIL_TOKEN="d", CELERYTRAIL_TOKEN_FILE="/d")
    assert django_settings({name: "e"}) == {}
    assert len(django_settings({})) == 2


def test_settings_that_are_not_loaded_are_not_made_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, configured=False, CELERYTRAIL_SERVICE="d")
    assert django_settings({}) == {}
    monkeypatch.delitem(sys.modules, "django.conf")
    assert django_settings({}) == {}


def test_the_shipper_is_told_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(
        monkeypatch,
        CELERYTRAIL_TOKEN="hush",
        CELERYTRAIL_REDACT_KEYS="iban",
        CELERYTRAIL_ENDPOINT="http://sink:1",
    )
    for name in ("CELERYTRAIL_TOKEN", "CELERYTRAIL_ENDPOINT", "CELERYTRAIL_REDACT_KEYS"):
        monkeypatch.delenv(name, raising=False)
    config = AgentConfig.of_process(spool_dir=tmp_path)
    environment = ShipperProcess(config, Guard())._environment()
    assert environment["CELERYTRAIL_REDACT_KEYS"] == "iban"
    assert environment["CELERYTRAIL_ENDPOINT"] == "http://sink:1"
    assert environment["CELERYTRAIL_TOKEN"] == "hush"
    assert "hush" not in repr(config)
