from __future__ import annotations

from pathlib import Path

import pytest

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.errors import AgentConfigError

HOME = {"HOME": "/home/somebody"}


def test_defaults() -> None:
    config = AgentConfig.from_env(HOME)
    assert config.endpoint == "http://127.0.0.1:4318"
    assert config.spool_dir.parent == Path("/home/somebody/.local/state/celerytrail")
    assert config.spool_max_bytes == 1024**3
    assert config.max_body_bytes == 256 * 1024
    assert config.spawn_shipper
    assert not config.disabled
    assert not config.capture_result


def test_our_variables_win_over_opentelemetrys_and_arguments_over_both() -> None:
    environ = {**HOME, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}
    assert AgentConfig.from_env(environ).endpoint == "http://otel:4318"
    environ["CELERYTRAIL_ENDPOINT"] = "http://ours:4318"
    assert AgentConfig.from_env(environ).endpoint == "http://ours:4318"
    config = AgentConfig.from_env(environ, endpoint="http://given:1", service="s", namespace="n")
    assert config.endpoint == "http://given:1"
    assert (config.deployment.service, config.deployment.namespace) == ("s", "n")


def test_the_token_is_in_no_repr() -> None:
    assert "hush" not in repr(AgentConfig.from_env({**HOME, "CELERYTRAIL_TOKEN": "hush"}))


def test_a_relative_spool_directory_becomes_absolute() -> None:
    assert AgentConfig.from_env({"CELERYTRAIL_SPOOL_DIR": "here"}).spool_dir == Path.cwd() / "here"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELERYTRAIL_SPOOL_MAX_BYTES", "lots"),
        ("CELERYTRAIL_SPOOL_MAX_BYTES", "1"),
        ("CELERYTRAIL_MAX_BODY_BYTES", "-1"),
        ("CELERYTRAIL_MAX_BODY_BYTES", "99999999999"),
        ("CELERYTRAIL_DISABLED", "perhaps"),
        ("CELERYTRAIL_CAPTURE_RESULT", "2"),
        ("CELERYTRAIL_SHIPPER", "thread"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(AgentConfigError, match=name):
        AgentConfig.from_env({**HOME, name: value})
