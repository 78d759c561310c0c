from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from celerytrail.exporter.deployment import Deployment
from celerytrail.exporter.spool.directory import (
    SpoolUsage,
    check_directory,
    default_directory,
    deployment_slug,
    prepare_directory,
    spool_usage,
)
from celerytrail.exporter.spool.errors import SpoolDirectoryError

SHOP = Deployment("", "shop", "")


def test_the_default_follows_the_xdg_specification() -> None:
    slug = deployment_slug(SHOP)
    assert default_directory(SHOP, {"XDG_STATE_HOME": "/var/state", "HOME": "/h"}) == Path(
        f"/var/state/celerytrail/{slug}"
    )
    expected = Path(f"/h/.local/state/celerytrail/{slug}")
    assert default_directory(SHOP, {"XDG_STATE_HOME": "relative", "HOME": "/h"}) == expected


def test_different_deployments_have_different_directories() -> None:
    deployments = [
        Deployment("a", "b", ""),
        Deployment("", "a", "b"),
        Deployment("a", "", "b"),
        Deployment("", "a/b", ""),
        Deployment("", "../..", ""),
        Deployment("", "é" * 300, ""),
    ]
    slugs = {deployment_slug(deployment) for deployment in deployments}
    assert len(slugs) == len(deployments)
    assert all(
        ("/" not in slug and not slug.startswith(".")) or ".." not in Path(slug).parts
        for slug in slugs
    )
    assert all(len(slug) < 100 for slug in slugs)


def test_it_is_made_private(tmp_path: Path) -> None:
    spool = tmp_path / "a" / "b"
    prepare_directory(spool)
    prepare_directory(spool)
    assert spool.stat().st_mode & 0o777 == 0o700


def test_the_bits_of_others_are_taken_away(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o755)
    prepare_directory(spool)
    assert spool.stat().st_mode & 0o777 == 0o700


Refuse = Callable[[Path], None]
both = pytest.mark.parametrize("refuse", [prepare_directory, check_directory])


@both
def test_a_parent_that_everybody_can_write_is_refused(tmp_path: Path, refuse: Refuse) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(SpoolDirectoryError, match="everybody"):
        refuse(tmp_path / "spool")


@both
def test_a_symbolic_link_is_refused(tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    with pytest.raises(SpoolDirectoryError, match="symbolic link"):
        refuse(tmp_path / "spool")


@both
def test_a_file_is_refused(tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "spool").touch()
    with pytest.raises(SpoolDirectoryError, match="spool"):
        refuse(tmp_path / "spool")


@both
def test_another_owner_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuse: Refuse
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(SpoolDirectoryError, match=f"belongs to uid {owner}"):
        refuse(spool)


@both
def test_a_directory_below_a_file_is_refused(tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolDirectoryError, match="CELERYTRAIL_SPOOL_DIR"):
        refuse(tmp_path / "file" / "spool")


def test_checking_makes_and_changes_nothing(tmp_path: Path) -> None:
    check_directory(tmp_path / "a" / "spool")
    assert list(tmp_path.iterdir()) == []
    spool = tmp_path / "spool"
    spool.mkdir()
    spool.chmod(0o755)
    check_directory(spool)
    assert spool.stat().st_mode & 0o777 == 0o755


def test_checking_refuses_what_cannot_be_made_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(SpoolDirectoryError, match="cannot be written"):
        check_directory(tmp_path / "spool")
    with pytest.raises(SpoolDirectoryError, match=f"cannot be made in {tmp_path}"):
        check_directory(tmp_path / "other" / "spool")


def test_usage_counts_segments_only(tmp_path: Path) -> None:
    assert spool_usage(tmp_path / "missing") == SpoolUsage(0, 0)
    (tmp_path / ("a" * 32 + "-000001.seg")).write_bytes(b"12345")
    (tmp_path / ("a" * 32 + "-000001.ack")).write_bytes(b"12345")
    assert spool_usage(tmp_path) == SpoolUsage(1, 5)
