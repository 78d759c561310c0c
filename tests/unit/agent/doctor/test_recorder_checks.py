"""Each check of the recorder's own: a set-up in which it finds something, and one in which it does not."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from celerytrail.exporter.agent.doctor import shipper_checks, spool_checks
from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, Finding, RecorderCheck
from celerytrail.exporter.agent.doctor.spool_checks import file_system_of
from celerytrail.exporter.spool.backlog import Backlog
from tests.unit.agent.doctor.recordings import NOTHING, recording

MIB = 1024 * 1024
MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /mnt/share rw - nfs4 server:/export rw
31 30 0:26 / /mnt/share/local\\040disk rw - xfs /dev/sdb1 rw
32 22 0:27 / /srv/run rw - ext4 /dev/sdc1 rw
33 22 0:28 / /srv/run rw - tmpfs tmpfs rw
34 22 0:29 / /home/ann rw - fuse.sshfs ann@box: rw
broken
"""


def old(seconds: float) -> Backlog:
    return Backlog(1, 500, 400, time.time_ns() - int(seconds * 1e9))


def only(findings: list[Finding]) -> Finding:
    (finding,) = findings
    assert finding.means
    assert finding.todo
    return finding


def test_an_agent_that_is_disabled(tmp_path: Path) -> None:
    found = only([*shipper_checks.disabled(recording(tmp_path, CELERYTRAIL_DISABLED="1"))])
    assert found.severity == WARNING
    assert [*shipper_checks.disabled(recording(tmp_path))] == []


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    assert [*spool_checks.directory(recording(tmp_path))] == []
    (tmp_path / "spool").touch()
    found = only([*spool_checks.directory(recording(tmp_path))])
    assert found.severity == ERROR
    assert str(tmp_path / "spool") in found.found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv", "ext4"),
        ("/mnt/share/spool", "nfs4"),
        ("/mnt/shared", "ext4"),
        ("/mnt/share/local disk/spool", "xfs"),
        ("/srv/run/spool", "tmpfs"),
        ("/home/ann/spool", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(path), mounts) == kind
    assert file_system_of(Path(path), tmp_path / "missing") == ""


def test_this_machine_has_a_file_system() -> None:
    assert file_system_of(Path("/proc/self")) == "proc"


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("nfs4", ERROR), ("cifs", ERROR), ("fuse.sshfs", ERROR), ("tmpfs", INFO), ("ext4", None),
     ("overlay", None), ("", None)],
)  # fmt: skip
def test_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, severity: str | None
) -> None:
    monkeypatch.setattr(spool_checks, "file_system_of", lambda _: kind)
    found = [*spool_checks.file_system(recording(tmp_path))]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(kind in one.found for one in found)


@pytest.mark.parametrize(
    ("used", "severity"), [(MIB, ERROR), (MIB * 9 // 10, WARNING), (MIB // 2, None)]
)
def test_a_spool_near_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, used: int, severity: str | None
) -> None:
    monkeypatch.setattr(spool_checks, "_free_bytes", lambda _: None)
    there = recording(
        tmp_path, backlog=Backlog(1, used, 0, None), CELERYTRAIL_SPOOL_MAX_BYTES=str(MIB)
    )
    assert [one.severity for one in spool_checks.space(there)] == ([severity] if severity else [])


@pytest.mark.parametrize(("free", "severities"), [(MIB, [WARNING]), (1024 * MIB, [])])
def test_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, severities: list[str]
) -> None:
    class State:
        f_bavail = free // 4096
        f_frsize = 4096

    monkeypatch.setattr(os, "statvfs", lambda _: State)
    assert [one.severity for one in spool_checks.space(recording(tmp_path))] == severities


@pytest.mark.parametrize(
    ("environ", "severity", "words"),
    [
        ({}, WARNING, "no token"),
        ({"CELERYTRAIL_TOKEN": "hush", "CELERYTRAIL_TOKEN_FILE": "{good}"}, ERROR, "both"),
        ({"CELERYTRAIL_TOKEN_FILE": "{missing}"}, ERROR, "No such file"),
        ({"CELERYTRAIL_TOKEN_FILE": "{empty}"}, ERROR, "is empty"),
        ({"CELERYTRAIL_TOKEN_FILE": "{good}"}, None, ""),
        ({"CELERYTRAIL_TOKEN": "hush"}, None, ""),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20hush"}, None, ""),
    ],
)
def test_a_token(tmp_path: Path, environ: dict[str, str], severity: str | None, words: str) -> None:
    (tmp_path / "good").write_text("hush\n")
    (tmp_path / "empty").write_text("\n")
    files = {name: str(tmp_path / name) for name in ("good", "empty", "missing")}
    there = recording(tmp_path, **{name: text.format(**files) for name, text in environ.items()})
    found = [*shipper_checks.token(there)]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(words in one.found for one in found)
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("environ", "running", "seconds", "severity", "words"),
    [
        ({"CELERYTRAIL_SHIPPER": "off"}, False, None, WARNING, "CELERYTRAIL_SHIPPER is off"),
        ({"CELERYTRAIL_SHIPPER": "off"}, False, 5400, ERROR, "records wait for 1.5 h"),
        ({}, False, 7200, WARNING, "no shipper runs, records wait for 2.0 h"),
        ({}, True, 7200, WARNING, "the shipper runs, records wait for 2.0 h"),
        ({}, False, None, None, ""),
        ({}, False, 5, None, ""),
        ({"CELERYTRAIL_SHIPPER": "off"}, True, 5, None, ""),
    ],
)
def test_records_that_nobody_ships(
    tmp_path: Path,
    environ: dict[str, str],
    running: bool,
    seconds: float | None,
    severity: str | None,
    words: str,
) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "shipper.log").write_text("first\nthe last word\n")
    backlog = NOTHING if seconds is None else old(seconds)
    there = recording(tmp_path, backlog=backlog, shipper_running=running, **environ)
    found = [*shipper_checks.shipper(there)]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(words in one.found and "the last word" in one.found for one in found)


def test_what_was_refused_for_good(tmp_path: Path) -> None:
    there = recording(tmp_path)
    assert [*shipper_checks.rejected(there)] == []
    (tmp_path / "spool" / "rejected").mkdir(parents=True)
    assert [*shipper_checks.rejected(there)] == []
    (tmp_path / "spool" / "rejected" / "1-traces-400-x.otlp.gz").touch()
    found = only([*shipper_checks.rejected(there)])
    assert (found.severity, found.found[:1]) == (WARNING, "1")


PUBLIC, PSK = "CELERYTRAIL_SEAL_PUBLIC_KEY_FILE", "CELERYTRAIL_SEAL_PSK_FILE"


@pytest.mark.parametrize(
    ("environ", "severity", "words"),
    [
        ({}, INFO, "no keys"),
        ({"CELERYTRAIL_REDACT_KEYS": "iban"}, WARNING, "rules of redaction were added"),
        ({PUBLIC: "{good}"}, ERROR, f"{PSK} is not set"),
        ({PSK: "{good}"}, ERROR, f"{PUBLIC} is not set"),
        ({PUBLIC: "{good}", PSK: "{missing}"}, ERROR, "cannot be read"),
        ({PUBLIC: "{good}", PSK: "{good}", "CELERYTRAIL_REDACT_KEYS": "iban"}, None, ""),
    ],
)
def test_keys_for_sealing(
    tmp_path: Path, environ: dict[str, str], severity: str | None, words: str
) -> None:
    (tmp_path / "good").write_text("hush")
    files = {name: str(tmp_path / name) for name in ("good", "missing")}
    there = recording(tmp_path, **{name: text.format(**files) for name, text in environ.items()})
    found = [*shipper_checks.sealing(there)]
    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(words in one.found for one in found)
    assert "hush" not in str(found)


def test_keys_without_the_package_that_seals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "good").write_text("x")
    there = recording(tmp_path, **dict.fromkeys((PUBLIC, PSK), str(tmp_path / "good")))
    monkeypatch.setattr(shipper_checks, "find_spec", lambda _: None)
    assert importlib.util.find_spec("cryptography")
    assert "cryptography is missing" in only([*shipper_checks.sealing(there)]).found


def test_every_check_is_tested_here() -> None:
    from celerytrail.exporter.agent.doctor.endpoint_checks import endpoint
    from celerytrail.exporter.agent.doctor.examination import RECORDER_CHECKS

    here: set[Callable[..., object] | RecorderCheck] = {
        shipper_checks.disabled,
        spool_checks.directory,
        spool_checks.file_system,
        spool_checks.space,
        shipper_checks.token,
        shipper_checks.shipper,
        shipper_checks.rejected,
        shipper_checks.sealing,
    }
    assert {*RECORDER_CHECKS} == here | {endpoint}
