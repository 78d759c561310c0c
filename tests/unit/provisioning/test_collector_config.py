"""What the design asks of the Collector's configuration; that it works is tests/acceptance/test_real_collector.py."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from celerytrail.exporter.sink.config import SinkConfig
from tests.compose_file import ROOT, services

FOLDER = ROOT / "provisioning" / "otel-collector"
FIRST = yaml.safe_load((FOLDER / "config.yaml").read_text())
SECOND = yaml.safe_load((FOLDER / "second-deployment.yaml").read_text())


def exporters() -> list[Any]:
    found = {**FIRST["exporters"], **SECOND["exporters"]}
    return [pytest.param(exporter, id=name) for name, exporter in found.items()]


@pytest.mark.parametrize("exporter", exporters())
def test_an_exporter_keeps_what_it_took_and_never_gives_up(exporter: dict[str, Any]) -> None:
    assert exporter["retry_on_failure"]["max_elapsed_time"] == 0
    queue = exporter["sending_queue"]
    assert queue["storage"] == "file_storage"
    assert queue["block_on_overflow"] is False
    # One request of it is never too large for a sink as it comes.
    assert queue["batch"]["max_size"] <= SinkConfig(dsn="").body_bounds.max_bytes
    assert exporter["auth"]["authenticator"].startswith("bearertokenauth")


def test_the_queue_is_on_the_disk_before_the_shipper_is_answered() -> None:
    assert FIRST["extensions"]["file_storage"]["fsync"] is True
    assert "batch" not in FIRST["processors"]
    for config in (FIRST, SECOND):
        for pipeline in config["service"]["pipelines"].values():
            assert pipeline["processors"] == ["memory_limiter"]


def test_each_deployment_has_a_token_at_both_ends() -> None:
    for config in (FIRST, SECOND):
        (name, exporter), *_ = config["exporters"].items()
        token = exporter["auth"]["authenticator"]
        assert config["extensions"][token]["wait_for_token_file"] is True
        for pipeline in config["service"]["pipelines"].values():
            assert pipeline["exporters"] == [name]
            for receiver in pipeline["receivers"]:
                for protocol in config["receivers"][receiver]["protocols"].values():
                    assert protocol["auth"]["authenticator"] == token
    names = set(FIRST["exporters"]) | set(SECOND["exporters"])
    assert len(names) == 2


def test_payloads_and_spans_have_pipelines_to_the_sink_alone() -> None:
    for config in (FIRST, SECOND):
        signals = {name.partition("/")[0] for name in config["service"]["pipelines"]}
        assert signals == {"traces", "logs"}
    assert set(SECOND["service"]["extensions"]) == set(FIRST["extensions"]) | set(
        SECOND["extensions"]
    )


def test_only_the_receiver_listens_beyond_loopback_and_only_when_it_is_told_to() -> None:
    assert FIRST["extensions"]["health_check"]["endpoint"].startswith("127.0.0.1:")
    (reader,) = FIRST["service"]["telemetry"]["metrics"]["readers"]
    assert reader["pull"]["exporter"]["prometheus"]["host"] == "127.0.0.1"
    http = FIRST["receivers"]["otlp"]["protocols"]["http"]
    assert http["endpoint"].startswith("${env:CELERYTRAIL_COLLECTOR_BIND:-127.0.0.1}:")
    assert set(FIRST["receivers"]["otlp"]["protocols"]) == {"http"}


def test_the_settings_it_names_are_given_and_documented() -> None:
    documented = (ROOT / "docs" / "install.md").read_text()
    given = services()["otel-collector"].environment
    named = set(re.findall(r"\$\{env:(\w+)", json.dumps(FIRST)))
    assert named == set(given)
    for name in named:
        assert f"`{name}`" in documented


def test_the_manifest_has_each_part_that_is_used() -> None:
    built = (FOLDER / "builder.yaml").read_text()
    modules = {"otlp": "otlpreceiver", "memory_limiter": "memorylimiterprocessor",
               "otlp_http": "otlphttpexporter", "file_storage": "filestorage",
               "health_check": "healthcheckextension", "bearertokenauth": "bearertokenauthextension"}  # fmt: skip
    used = {
        name.partition("/")[0]
        for config in (FIRST, SECOND)
        for kind in ("receivers", "processors", "exporters", "extensions")
        for name in config.get(kind, {})
    }
    assert used == set(modules)
    for name in used:
        assert re.search(rf"/{modules[name]} v[\d.]+$", built, re.MULTILINE), name
    versions = set(re.findall(r"(?:builder@| )v(0\.\d+\.\d+)$", built, re.MULTILINE))
    assert len(versions) == 1, "builder and parts of one release"
