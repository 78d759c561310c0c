"""The settings of the verification beside a sink, and the file it is read from."""

from __future__ import annotations

from pathlib import Path

import pytest

from celerytrail.exporter.server_settings import SettingError
from celerytrail.exporter.sink.verification import (
    VerificationConfig,
    VerificationStatus,
    read_status,
)

DSN = "postgresql://celerytrail_verifier:geheim@db/celerytrail"


def test_it_is_off_without_a_dsn():
    assert VerificationConfig.from_env({"CELERYTRAIL_VERIFY_SECONDS": "5"}) is None


def test_its_dsn_is_never_shown():
    config = VerificationConfig.from_env({"CELERYTRAIL_VERIFY_DSN": DSN})
    assert config == VerificationConfig(DSN, 10, 1440, None)
    assert "geheim" not in repr(config)


def test_its_dsn_comes_from_a_file_too(tmp_path: Path):
    file = tmp_path / "dsn"
    file.write_text(f"{DSN}\n")
    given = {
        "CELERYTRAIL_VERIFY_DSN_FILE": str(file),
        "CELERYTRAIL_VERIFY_SECONDS": "5",
        "CELERYTRAIL_VERIFY_FULL_MINUTES": "60",
        "CELERYTRAIL_VERIFY_HEADS": "/var/lib/celerytrail/heads.json",
    }
    heads = Path("/var/lib/celerytrail/heads.json")
    assert VerificationConfig.from_env(given) == VerificationConfig(DSN, 5, 60, heads)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CELERYTRAIL_VERIFY_SECONDS", "0"),
        ("CELERYTRAIL_VERIFY_FULL_MINUTES", "daily"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str):
    given = {name: value, "CELERYTRAIL_VERIFY_DSN": DSN}
    with pytest.raises(SettingError, match=name) as raised:
        VerificationConfig.from_env(given)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    "name",
    [
        "CELERYTRAIL_VERIFY_HEADS",
        "CELERYTRAIL_VERIFY_CHECKPOINT",
        "CELERYTRAIL_VERIFY_PUBKEY",
        "CELERYTRAIL_VERIFY_WITNESS_PUBKEY",
    ],
)
def test_a_setting_of_a_verification_that_is_off_is_named(name: str):
    with pytest.raises(SettingError, match=f"{name} is set and CELERYTRAIL_VERIFY_DSN is not"):
        VerificationConfig.from_env({name: "file"})


def test_checkpoints_and_keys_are_handed_on_as_options():
    given = {
        "CELERYTRAIL_VERIFY_DSN": DSN,
        "CELERYTRAIL_VERIFY_CHECKPOINT": "/a/checkpoints.jsonl:/b",
        "CELERYTRAIL_VERIFY_PUBKEY": "/c/public.key",
        "CELERYTRAIL_VERIFY_WITNESS_PUBKEY": "/d/witness.key",
    }
    config = VerificationConfig.from_env(given)
    assert config is not None
    assert config.checkpoints == (Path("/a/checkpoints.jsonl"), Path("/b"))
    assert config.checkpoint_options == [
        *("--checkpoint", "/a/checkpoints.jsonl", "--checkpoint", "/b"),
        *("--pubkey", "/c/public.key", "--witness-pubkey", "/d/witness.key"),
    ]


@pytest.mark.parametrize(
    ("given", "missing"),
    [("CHECKPOINT", "PUBKEY"), ("PUBKEY", "CHECKPOINT"), ("WITNESS_PUBKEY", "CHECKPOINT")],
)
def test_checkpoints_go_with_a_key(given: str, missing: str):
    environ = {"CELERYTRAIL_VERIFY_DSN": DSN, f"CELERYTRAIL_VERIFY_{given}": "file"}
    told = f"CELERYTRAIL_VERIFY_{given} is set and CELERYTRAIL_VERIFY_{missing} is not"
    with pytest.raises(SettingError, match=told):
        VerificationConfig.from_env(environ)


def test_the_status_is_what_was_written(tmp_path: Path):
    file = tmp_path / "status.json"
    file.write_text('{"at": 12.5, "broken": true, "anchored": false, "verified": {"0": 7, "3": 1}}')
    assert read_status(file) == VerificationStatus(12.5, True, False, {0: 7, 3: 1})
    file.write_text('{"at": 12.5, "broken": false, "anchored": null, "verified": {}}')
    assert read_status(file) == VerificationStatus(12.5, False, None, {})


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", '{"at": 1, "broken": 0, "anchored": 0, "verified": 7}']
)
def test_a_status_that_is_none(tmp_path: Path, text: str | None):
    file = tmp_path / "status.json"
    if text is not None:
        file.write_text(text)
    assert read_status(file) is None
