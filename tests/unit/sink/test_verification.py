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
        ("CELERYTRAIL_VERIFY_HEADS", "heads.json"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str):
    given = {name: value}
    if name != "CELERYTRAIL_VERIFY_HEADS":
        given["CELERYTRAIL_VERIFY_DSN"] = DSN
    with pytest.raises(SettingError, match=name) as raised:
        VerificationConfig.from_env(given)
    assert "geheim" not in str(raised.value)


def test_the_status_is_what_was_written(tmp_path: Path):
    file = tmp_path / "status.json"
    file.write_text('{"at": 12.5, "broken": true, "verified": {"0": 7, "3": 1}}')
    assert read_status(file) == VerificationStatus(12.5, True, {0: 7, 3: 1})


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"at": 1, "broken": 0, "verified": 7}'])
def test_a_status_that_is_none(tmp_path: Path, text: str | None):
    file = tmp_path / "status.json"
    if text is not None:
        file.write_text(text)
    assert read_status(file) is None
