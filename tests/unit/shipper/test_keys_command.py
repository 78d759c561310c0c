"""``celerytrail keys``: three files that fit each other, never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    KeyFileError,
    read_private_key,
    read_psk,
    read_public_key,
)
from celerytrail.exporter.sealed import key_id
from celerytrail.exporter.shipper.keys_command import keys


def test_generate_and_show(tmp_path: Path) -> None:
    out = tmp_path / "new" / "keys"
    made = CliRunner().invoke(keys, ["generate", "--out", str(out)])
    assert made.exit_code == 0, made.output
    public = read_public_key(out / PUBLIC_FILE)
    assert read_private_key(out / PRIVATE_FILE).public_key().public_bytes_raw() == public
    assert len(read_psk(out / PSK_FILE)) == 32
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert key_id(public).hex() in made.output
    assert "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE" in made.output
    assert (out / PSK_FILE).read_text().strip() not in made.output
    for name in (PUBLIC_FILE, PRIVATE_FILE):
        shown = CliRunner().invoke(keys, ["show-kid", str(out / name)])
        assert shown.output == key_id(public).hex() + "\n"
    wrong = CliRunner().invoke(keys, ["show-kid", str(out / PSK_FILE)])
    assert wrong.exit_code == 1
    assert PSK_FILE in wrong.output


@pytest.mark.parametrize("name", [PUBLIC_FILE, PRIVATE_FILE, PSK_FILE])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    made = CliRunner().invoke(keys, ["generate", "--out", str(tmp_path)])
    assert made.exit_code == 1
    assert name in made.output
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_files_that_hold_no_key_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"", b"\xff", b"abc"):
        file.write_bytes(content)
        for read in (read_public_key, read_private_key, read_psk):
            with pytest.raises(KeyFileError, match=str(file)):
                read(file)
    with pytest.raises(KeyFileError, match="cannot be read"):
        read_psk(tmp_path / "missing")
