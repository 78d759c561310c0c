"""Wrong settings and missing parts: a clear message, a non-zero exit, and nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.pipeline import Pipeline
from tests.waiting import wait_until
from tests.wire_tap import WireTap

STORED = "SELECT count(*) FROM celerytrail_views.tasks"
MISSING = "SELECT coalesce(sum(missing), 0)::int FROM celerytrail_views.streams"
LIVE = "SELECT 1 FROM celerytrail_views.streams WHERE state = 'live' AND process_kind <> 'shipper'"
QUIET = {"CELERYTRAIL_SHIPPER": "off"}


@pytest.mark.parametrize("command", ["migrate", "verify", "sink"])
def test_a_wrong_dsn_is_named_without_its_password(pipeline: Pipeline, command: str) -> None:
    dsn = f"postgresql://nobody:s3cr3t@127.0.0.1:{pipeline.postgres.port}/nowhere"
    arguments = [command] if command == "sink" else [command, "--dsn", dsn]
    done = pipeline.command(*arguments, CELERYTRAIL_DSN=dsn, CELERYTRAIL_SINK_BIND="127.0.0.1:0")
    said = done.stdout + done.stderr
    assert done.returncode not in (0, 3)
    assert "nowhere" in said or "nobody" in said
    assert "s3cr3t" not in said
    assert "Traceback" not in said


def test_a_schema_newer_than_the_code_is_refused(pipeline: Pipeline) -> None:
    pipeline.rows(
        "INSERT INTO celerytrail.migrations (id, name, sha256) "
        "VALUES (9999, '9999_from_the_future', sha256('')) RETURNING id"
    )
    for command in (["migrate", "--dsn", pipeline.dsn()], ["sink", "--bind", "127.0.0.1:0"]):
        done = pipeline.command(*command, CELERYTRAIL_DSN=pipeline.dsn("celerytrail_sink"))
        assert done.returncode != 0
        assert "newer" in done.stdout + done.stderr
        assert "9999_from_the_future" in done.stdout + done.stderr


def test_a_wrong_token_holds_the_events_until_it_is_right(pipeline: Pipeline) -> None:
    pipeline.run("publish_steady.py", "5", "0", "celery", **QUIET)
    done = pipeline.command(
        "ship", "--once", "--spool", str(pipeline.spool), "--timeout", "3",
        CELERYTRAIL_TOKEN="not the token",
    )  # fmt: skip
    assert done.returncode != 0
    assert "401" in done.stderr
    assert "not the token" not in done.stdout + done.stderr
    assert pipeline.value(STORED) == 0
    assert pipeline.command("ship", "--once", "--spool", str(pipeline.spool)).returncode == 0
    assert pipeline.value(STORED) == 5


def test_a_sink_that_is_not_there_is_named_and_nothing_is_lost(pipeline: Pipeline) -> None:
    pipeline.run("publish_steady.py", "5", "0", "celery", **QUIET)
    arguments = ("ship", "--once", "--spool", str(pipeline.spool))
    done = pipeline.command(*arguments, "--timeout", "3", CELERYTRAIL_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode != 0
    assert "127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr
    assert pipeline.command(*arguments).returncode == 0
    assert pipeline.value(STORED) == 5


def test_a_token_of_one_deployment_cannot_write_events_of_another(pipeline: Pipeline) -> None:
    other = pipeline.make_token("shop", "payments", "test")
    pipeline.run("publish_steady.py", "5", "0", "celery", **QUIET)
    pipeline.command("ship", "--once", "--spool", str(pipeline.spool), CELERYTRAIL_TOKEN=other)
    assert pipeline.value(STORED) == 0
    assert pipeline.value("SELECT count(*) FROM celerytrail.spans WHERE task_id IS NOT NULL") == 0


def test_a_worker_runs_on_without_a_spool(pipeline: Pipeline, tmp_path: Path) -> None:
    """A file where the spool should be cannot be written, not even by root."""
    blocked = tmp_path / "blocked"
    blocked.write_text("in the way")
    pipeline.shipper_settings["CELERYTRAIL_SPOOL_DIR"] = str(blocked / "spool")
    worker = pipeline.start_worker()
    pipeline.run("publish_steady.py", "10", "0", "celery")
    wait_until(lambda: len(pipeline.recorded()) == 10, "the tasks ran")
    assert worker.stop() == 0
    warnings = [
        line
        for line in worker.log.read_text().splitlines()
        if "celerytrail" in line and "WARN" in line
    ]
    assert warnings
    assert str(blocked) in warnings[0]


def test_a_full_disk_is_said_and_what_it_cost_is_counted_exactly(pipeline: Pipeline) -> None:
    """The spool is a small disk of its own, in a mount namespace, and the receiver is away."""
    with WireTap(pipeline.endpoint) as tap:
        tap.down.set()
        pipeline.endpoint = tap.url
        pipeline.spool.mkdir(mode=0o700)
        own_disk = f'mount -t tmpfs -o size=96k,mode=700 tmpfs {pipeline.spool} && exec "$@"'
        worker = pipeline.start_worker(
            before=["unshare", "--map-root-user", "--mount", "sh", "-c", own_disk, "sh"],
            CELERYTRAIL_SPOOL_MAX_BYTES=str(256 * 1024),  # small segments, on a smaller disk
            CELERYTRAIL_DRAIN_SECONDS="60",
        )
        pipeline.run("publish_steady.py", "300", "0", "celery", CELERYTRAIL_DISABLED="1")
        wait_until(lambda: len(pipeline.recorded()) == 300, "the worker ran on with a full disk")
        tap.down.clear()

        def reported() -> bool:
            pipeline.run("publish_steady.py", "2", "0", "celery", CELERYTRAIL_DISABLED="1")
            return bool(pipeline.value(MISSING) > 0)

        wait_until(reported, "room on the disk again, and the gap reported")
        assert worker.stop() == 0
        wait_until(lambda: not pipeline.rows(LIVE), "every stream has its end")
    assert "No space left" in worker.log.read_text()
    lost = pipeline.rows("SELECT lost, missing FROM celerytrail_views.streams")
    assert all(row["lost"] == row["missing"] for row in lost), lost
    assert sum(row["lost"] for row in lost) > 0
