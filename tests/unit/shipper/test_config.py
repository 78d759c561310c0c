"""Settings that make no sense are named, with the variable they are in."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path

import pytest

from celerytrail.exporter.agent import config as agent_config
from celerytrail.exporter.key_files import PSK_FILE, PUBLIC_FILE, generate
from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.errors import ConfigError
from celerytrail.exporter.shipper.task_rules import TaskSetting

URL = {"CELERYTRAIL_ENDPOINT": "http://sink:4318", "CELERYTRAIL_SPOOL_DIR": "/spool"}


def config(**environ: str) -> ShipperConfig:
    return ShipperConfig.from_env({**URL, **environ})


def without(name: str, **environ: str) -> ShipperConfig:
    return ShipperConfig.from_env({k: v for k, v in {**URL, **environ}.items() if k != name})


def test_defaults() -> None:
    found = config()
    assert (found.traces.url, found.logs.url) == (
        "http://sink:4318/v1/traces",
        "http://sink:4318/v1/logs",
    )
    assert (found.traces.gzip, found.traces.timeout_seconds, found.drain_seconds) == (True, 10, 10)
    assert found.token is None
    assert found.sealing is None
    assert found.spool == Path("/spool")


def test_the_standard_variables_mean_what_they_mean_everywhere() -> None:
    found = without(
        "CELERYTRAIL_ENDPOINT",
        OTEL_EXPORTER_OTLP_ENDPOINT="https://a:1/base/",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://b/x/traces",
        OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20abc,x-y=1",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="x-z=2",
        OTEL_EXPORTER_OTLP_TIMEOUT="3.5",
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_EXPORTER_OTLP_LOGS_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
    )
    assert found.traces.url == "http://b/x/traces"
    assert found.logs.url == "https://a:1/base/v1/logs"
    assert found.traces.headers == {"authorization": "Bearer abc", "x-y": "1"}
    assert found.logs.headers == {"x-z": "2"}
    assert (found.traces.gzip, found.logs.gzip, found.traces.timeout_seconds) == (False, True, 3.5)


def test_ours_win() -> None:
    found = config(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://other:4318",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://other:4318/v1/traces",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        CELERYTRAIL_TOKEN=" tok ",
    )
    assert found.traces.url == "http://sink:4318/v1/traces"
    assert found.token == "tok"


def test_headers_meant_for_another_receiver_are_not_sent_to_ours() -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=abc"}
    assert config(**headers).traces.headers == {"api-key": "abc"}
    same = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://sink:4318"}
    assert config(**headers, **same).traces.headers == {"api-key": "abc"}
    other = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://vendor.example"}
    assert config(**headers, **other).traces.headers == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELERYTRAIL_ENDPOINT", "sink:4318"),
        ("CELERYTRAIL_ENDPOINT", "ftp://sink"),
        ("CELERYTRAIL_ENDPOINT", "http://sink:99999"),
        ("CELERYTRAIL_ENDPOINT", "http://sink/?a=1"),
        ("CELERYTRAIL_TOKEN_FILE", "/nowhere/at/all"),
        ("CELERYTRAIL_TOKEN", "two\nlines"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", __file__),
        ("CELERYTRAIL_REDACT_PATTERNS", "(unclosed"),
        ("CELERYTRAIL_REDACT_PATTERNS", "x*"),
        ("CELERYTRAIL_REDACT_PATTERNS", '["a", ]'),
        ("CELERYTRAIL_REDACT_ARGS", "task"),
        ("CELERYTRAIL_REDACT_ARGS", "task:x"),
        ("CELERYTRAIL_REDACT_ARGS", ":1"),
        ("CELERYTRAIL_REDACTION", "/nowhere.json"),
        ("CELERYTRAIL_REDACT_EMAIL", "perhaps"),
        ("CELERYTRAIL_MAX_SHOWN_BYTES", "10"),
        ("CELERYTRAIL_SEAL_PSK_FILE", "/x"),
        ("CELERYTRAIL_SEAL_PUBLIC_KEY_FILE", "/x"),
        ("CELERYTRAIL_MAX_BODY_BYTES", "-1"),
        ("CELERYTRAIL_ARGS_ON_SPANS", "maybe"),
        ("CELERYTRAIL_DRAIN_SECONDS", "nan"),
        ("CELERYTRAIL_REJECTED_MAX_BYTES", "x"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name.removesuffix("KEY")):
        config(**{name: value})


def test_what_is_missing_or_contradicts_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LOGS_ENDPOINT is not"):
        without("CELERYTRAIL_ENDPOINT", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://b/x")
    with pytest.raises(ConfigError, match="CELERYTRAIL_TOKEN and CELERYTRAIL_TOKEN_FILE"):
        config(CELERYTRAIL_TOKEN="a", CELERYTRAIL_TOKEN_FILE="b")
    with pytest.raises(ConfigError, match=r"PROTOCOL=grpc.*CELERYTRAIL_ENDPOINT"):
        without(
            "CELERYTRAIL_ENDPOINT",
            OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4317",
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        )
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(ConfigError, match=f"CELERYTRAIL_TOKEN_FILE={empty} is empty"):
        config(CELERYTRAIL_TOKEN_FILE=str(empty))


def test_without_any_endpoint_it_is_what_the_agent_says() -> None:
    found = without("CELERYTRAIL_ENDPOINT")
    assert found.traces.url == agent_config.DEFAULT_ENDPOINT + "/v1/traces"
    assert found.logs.url == agent_config.DEFAULT_ENDPOINT + "/v1/logs"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://user:hunter2@sink:4318", "CELERYTRAIL_ENDPOINT has a user"),
        ("http://user:1234/hunter2@sink:4318", "CELERYTRAIL_ENDPOINT has a user"),
        ("user:hunter2@sink:4318", "CELERYTRAIL_ENDPOINT has a user"),
        ("http://sink:4318/?token=hunter2", r"CELERYTRAIL_ENDPOINT \(http://sink:4318\) has"),
        ("http://sink:4318/#hunter2", r"CELERYTRAIL_ENDPOINT \(http://sink:4318\) has"),
        ("http://sink:hunter2", "CELERYTRAIL_ENDPOINT is no URL"),
        ("http://sink/hunter2 x", "CELERYTRAIL_ENDPOINT has a space"),
    ],
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        config(CELERYTRAIL_ENDPOINT=url)
    assert "hunter2" not in str(refused.value)


def test_a_receiver_is_shown_without_its_path() -> None:
    found = config(CELERYTRAIL_ENDPOINT="https://[::1]:4318/key/hunter2/")
    assert found.traces.url == "https://[::1]:4318/key/hunter2/v1/traces"
    assert found.traces.receiver == "https://[::1]:4318"


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_LOGS_HEADERS"])
@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("hunter2", "header 1 cannot be read"),
        ("a=b,x-key=hunter2\xe9", "header 2 cannot be read"),
        ("x-key=hunter2%E2%82%AC", "'x-key' has a letter that HTTP cannot carry"),
        ("x-key=hunter2%0Aabc", "'x-key' has a line break"),
        ("x-key=hunter2%00", "'x-key' has a line break or another control"),
        ("x%0Ahunter2=1", "the name of a header"),
        ("x%20hunter2=1", "the name of a header"),
    ],
)
def test_a_header_that_cannot_be_sent_is_named_and_not_repeated(
    name: str, headers: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match=f"{name}: .*{said}") as refused:
        config(**{name: headers})
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in caplog.text


def test_headers_keep_what_http_can_carry() -> None:
    found = config(OTEL_EXPORTER_OTLP_HEADERS="x=caf%C3%A9, ,y=a%2Cb=c,")
    assert found.traces.headers == {"x": "caf\xe9", "y": "a,b=c"}


def test_keys_without_what_seals_are_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.hpke", None)
    with pytest.raises(ConfigError, match=r"SEAL_PUBLIC_KEY_FILE.*celerytrail\[seal\]"):
        config(
            CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(tmp_path / PUBLIC_FILE),
            CELERYTRAIL_SEAL_PSK_FILE=str(tmp_path / PSK_FILE),
        )


def test_no_secret_in_a_repr(tmp_path: Path) -> None:
    generate(tmp_path)
    found = config(
        CELERYTRAIL_TOKEN="hunter2",
        OTEL_EXPORTER_OTLP_HEADERS="x=hunter2",
        CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(tmp_path / PUBLIC_FILE),
        CELERYTRAIL_SEAL_PSK_FILE=str(tmp_path / PSK_FILE),
    )
    assert found.sealing is not None
    assert "hunter2" not in repr(found)
    assert repr(found.sealing.psk) not in repr(found)


def test_keys_and_ledger(tmp_path: Path) -> None:
    generate(tmp_path)
    keys = {
        "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": str(tmp_path / PUBLIC_FILE),
        "CELERYTRAIL_SEAL_PSK_FILE": str(tmp_path / PSK_FILE),
    }
    found = config(**keys, CELERYTRAIL_LEDGER_ID="0B9F3C1E-0000-4000-8000-000000000001").sealing
    assert found is not None
    assert found.ledger_id == "0b9f3c1e-0000-4000-8000-000000000001"
    with pytest.raises(ConfigError, match="CELERYTRAIL_LEDGER_ID"):
        config(**keys, CELERYTRAIL_LEDGER_ID="mine")
    with pytest.raises(ConfigError, match="CELERYTRAIL_SEAL_PSK_FILE"):
        config(**{**keys, "CELERYTRAIL_SEAL_PSK_FILE": str(tmp_path / PUBLIC_FILE)})
    with pytest.raises(ConfigError, match="CELERYTRAIL_SEAL_PUBLIC_KEY_FILE"):
        config(**{**keys, "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE": str(tmp_path / PSK_FILE)})


def test_redaction_settings_add_up(tmp_path: Path) -> None:
    file = tmp_path / "redaction.json"
    tasks = {"shop.*": {"args": [3], "keys": [" pin "], "result": True}, "u": {"exception": True}}
    file.write_text(
        json.dumps({"keys": ["c"], "patterns": ["Z+"], "args": {"t": [1]}, "tasks": tasks})
    )
    rules = config(
        CELERYTRAIL_REDACT_KEYS="a, b",
        CELERYTRAIL_REDACT_PATTERNS="X+\nY+",
        CELERYTRAIL_REDACT_ARGS="t:0,2; u:5",
        CELERYTRAIL_REDACTION=str(file),
        CELERYTRAIL_REDACT_EMAIL="1",
        CELERYTRAIL_MAX_SHOWN_BYTES="1000",
    ).rules
    assert rules.names == ("a", "b", "c")
    assert [p.pattern for p in rules.patterns] == ["X+", "Y+", "Z+"]
    assert rules.tasks == (
        TaskSetting("t", frozenset({0, 2})),
        TaskSetting("u", frozenset({5})),
        TaskSetting("t", frozenset({1})),
        TaskSetting("shop.*", frozenset({3}), ("pin",), result=True),
        TaskSetting("u", exception=True),
    )
    assert rules.emails
    assert rules.shown_bytes == 1000


@pytest.mark.parametrize(
    ("wrong", "entry"),
    [
        ("[]", "give an object"),
        ('{"other": 1}', "give an object"),
        ('{"args": {"t": ["x"]}}', "args of 't'"),
        ('{"args": []}', "args"),
        ("{", "JSON"),
        ('{"keys": [1]}', "keys"),
        ('{"patterns": ["a", 2]}', "patterns"),
        ('{"tasks": []}', "tasks"),
        ('{"tasks": {"t": []}}', "tasks, entry 't'"),
        ('{"tasks": {"t": {"arg": [0]}}}', "tasks, entry 't'"),
        ('{"tasks": {"t": {"args": [-1]}}}', "tasks, entry 't': args"),
        ('{"tasks": {"t": {"args": [true]}}}', "tasks, entry 't': args"),
        ('{"tasks": {"t": {"keys": "pin"}}}', "tasks, entry 't': keys"),
        ('{"tasks": {"t": {"result": 1}}}', "tasks, entry 't': result"),
        ('{"patterns": ["X+", "(?P<hunter2"]}', "pattern 2"),
        ('{"patterns": ["(hunter2)*"]}', "pattern 1"),
    ],
)
def test_a_bad_file_of_redaction_rules_is_named_with_its_entry(
    tmp_path: Path, wrong: str, entry: str
) -> None:
    file = tmp_path / "redaction.json"
    file.write_text(wrong)
    with pytest.raises(ConfigError, match="CELERYTRAIL_REDACTION=") as caught:
        config(CELERYTRAIL_REDACTION=str(file))
    assert entry in str(caught.value)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "pattern",
    [
        "(hunter2", "(?P=hunter2)", "(?P<hunter2>a)(?P<hunter2>b)", "hunter2[z-a]", "(?(hunter2)a|b)",
        "hunter2{99999999999}", "(?hunter2)", "\\N{hunter2}", "(hunter2)?", "\\hunter2\\",
    ],
)  # fmt: skip
def test_a_bad_pattern_is_named_by_its_number_and_never_quoted(pattern: str) -> None:
    for text in (f"X+\n{pattern}", json.dumps(["X+", pattern])):
        with pytest.raises(ConfigError, match="CELERYTRAIL_REDACT_PATTERNS: pattern 2") as caught:
            config(CELERYTRAIL_REDACT_PATTERNS=text)
        assert "unter2" not in "".join(traceback.format_exception(caught.value))
