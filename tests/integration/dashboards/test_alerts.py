"""The provisioned alert rules, evaluated as Grafana does on what the real pipeline wrote."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.exporter.spool.segment import Frame, scan
from tests.acceptance.pipeline import CELERYTRAIL, Pipeline
from tests.grafana.alert_evaluation import Alert, evaluate, provisioned_rule
from tests.grafana.data_source import DataSource
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase
    from tests.integration.dashboards.shapes import Shapes

pytest_plugins = ["tests.databases", "tests.integration.dashboards.shapes"]

FAILED = "celerytrail-root-group-failed"
NEVER_RAN = "celerytrail-body-never-ran"
MISSING = "celerytrail-events-missing"
CHAIN = "celerytrail-chain-not-verified"
CHECKPOINTS = "celerytrail-checkpoints-silent"
STUCK = "celerytrail-runs-stuck"


def firing(uid: str, shapes: Shapes) -> dict[str, Alert]:
    """Evaluate a rule about workflows and return its alerts by workflow."""
    alerts = evaluate(provisioned_rule(uid), shapes.grafana)
    by_workflow = {alert.labels["workflow_id"]: alert for alert in alerts}
    assert len(by_workflow) == len(alerts), "one alert for each root, never more"
    return by_workflow


def test_a_failed_chord_of_100_is_one_alert_that_names_root_and_culprit(shapes: Shapes) -> None:
    alert = firing(FAILED, shapes)[shapes.id_of("failed")]
    assert alert.value == 40
    assert alert.labels == {
        "workflow_id": shapes.id_of("failed"),
        "kind": "chord",
        "workflow": "shapes.check",
        "culprit": "shapes.check",
        "culprit_id": shapes.failed_ids("failed")[0],
        "culprit_exception": "ValueError",
        "namespace": "shop",
        "service": "orders",
        "environment": "test",
    }


def test_only_groups_chords_and_chains_that_failed_are_alerted_on(shapes: Shapes) -> None:
    assert set(firing(FAILED, shapes)) == {
        shapes.id_of(name) for name in ("failed", "group", "chain")
    }
    for name in ("nested", "chords", "fine", "waiting", "spawn"):
        assert not shapes.workflow(name)["needs_attention"], name


def test_a_chain_that_fails_at_its_first_link_is_alerted_on(own_shapes: Shapes) -> None:
    assert own_shapes.id_of("single") not in firing(FAILED, own_shapes)
    # As if the task that failed alone had been the first of three links.
    own_shapes.rows(
        "UPDATE celerytrail.tasks SET chain_length = 3 WHERE task_id = %s",
        own_shapes.id_of("single"),
    )
    alert = firing(FAILED, own_shapes)[own_shapes.id_of("single")]
    assert (alert.labels["kind"], alert.value) == ("chain", 1)


def test_it_stays_until_the_last_failure_is_retried(own_shapes: Shapes) -> None:
    before = firing(FAILED, own_shapes)[own_shapes.id_of("failed")]
    *most, last = own_shapes.failed_ids("failed")
    own_shapes.retried({one: f"new {one}" for one in most})
    assert firing(FAILED, own_shapes)[own_shapes.id_of("failed")] == before, (
        "the same alert goes on"
    )
    own_shapes.retried({last: "the last"})
    assert own_shapes.id_of("failed") not in firing(FAILED, own_shapes)
    assert own_shapes.id_of("group") in firing(FAILED, own_shapes)


def test_it_goes_when_the_whole_chord_is_retried(own_shapes: Shapes) -> None:
    everybody = own_shapes.flows["failed"]["ids"]
    own_shapes.retried(
        {one: f"new {one}" for one in everybody}, "retry-chord", own_shapes.id_of("failed")
    )
    assert own_shapes.id_of("failed") not in firing(FAILED, own_shapes)


def test_it_comes_back_when_the_retry_fails(own_shapes: Shapes) -> None:
    (failed,) = own_shapes.failed_ids("group")
    again = own_shapes.flows["single"]["ids"][0]  # which failed
    own_shapes.retried({failed: again})
    assert own_shapes.id_of("group") in firing(FAILED, own_shapes)


def test_a_retry_that_an_operator_ended_is_seen_to(own_shapes: Shapes) -> None:
    (failed,) = own_shapes.failed_ids("group")
    again = own_shapes.flows["single"]["ids"][0]
    own_shapes.retried({failed: again})
    for state in ("purged", "revoked"):
        own_shapes.rows("UPDATE celerytrail.tasks SET state = %s WHERE task_id = %s", state, again)
        fires = own_shapes.id_of("group") in firing(FAILED, own_shapes)
        assert fires is (state == "revoked"), "nobody knows who revoked it"
    own_shapes.retried({again: ""}, "cancel", result="revoked")
    assert own_shapes.id_of("group") not in firing(FAILED, own_shapes)


def test_it_stays_for_a_day_and_no_longer(own_shapes: Shapes) -> None:
    # The shapes may have been recorded a good while ago.
    own_shapes.time_passes("failed", "22 hours")
    assert own_shapes.id_of("failed") in firing(FAILED, own_shapes)
    own_shapes.time_passes("failed", "3 hours")
    assert own_shapes.id_of("failed") not in firing(FAILED, own_shapes)


def crowd(shapes: Shapes, workflow: str) -> None:
    """Let thousands of tasks end just now, as the read model has them; ``workflow`` tells of which workflow."""
    shapes.rows(
        "INSERT INTO celerytrail.tasks (namespace, service, environment, task_id, task_name, state, inferred,"
        " finished_at, state_day, state_key, attempts, updated_at, root_id, group_id, root_group_id)"
        " SELECT 'shop', 'orders', 'test', 'crowd ' || n, 'shapes.check', 'failed', false, now(), current_date,"
        f" '', 1, now(), 'crowd ' || n, {workflow}, {workflow} FROM generate_series(1, 2100) AS n"
    )
    shapes.rows("ANALYZE celerytrail.tasks")


def test_single_tasks_that_fail_by_the_thousand_hide_no_workflow(own_shapes: Shapes) -> None:
    before = firing(FAILED, own_shapes)
    crowd(own_shapes, "NULL")
    assert firing(FAILED, own_shapes) == before
    assert set(before) >= {own_shapes.id_of(name) for name in ("failed", "group", "chain")}


def test_a_crowd_of_chords_under_way_hides_no_body_that_never_ran(own_shapes: Shapes) -> None:
    own_shapes.time_passes("skipped", "2 minutes")
    before = firing(NEVER_RAN, own_shapes)
    assert set(before) == {own_shapes.id_of("skipped")}
    crowd(own_shapes, "'chord ' || n")
    own_shapes.rows("UPDATE celerytrail.tasks SET state = 'succeeded' WHERE task_id LIKE 'crowd %'")
    own_shapes.rows(
        "INSERT INTO celerytrail.groups (namespace, service, environment, group_id, root_group_id, kind, size, chord_body_id,"
        " updated_at) SELECT 'shop', 'orders', 'test', 'chord ' || n, 'chord ' || n, 'chord', 1, 'body ' || n, now()"
        " FROM generate_series(1, 2100) AS n"
    )
    own_shapes.rows("ANALYZE celerytrail.groups")
    assert firing(NEVER_RAN, own_shapes) == before


def test_chords_that_went_well_hide_no_failure_on_the_overview(own_shapes: Shapes) -> None:
    def failed() -> int:
        (row,) = own_shapes.grafana.panel("celerytrail-overview", "Workflows failed")
        return int(row["failed"])

    own_shapes.time_passes("skipped", "2 minutes")
    before = failed()
    assert before == 5, "failed, group, chain, single, and skipped, whose body never ran"
    crowd(own_shapes, "'chord ' || n")
    own_shapes.rows("UPDATE celerytrail.tasks SET state = 'succeeded' WHERE task_id LIKE 'crowd %'")
    own_shapes.rows(
        "INSERT INTO celerytrail.groups (namespace, service, environment, group_id, root_group_id, kind, size, chord_body_id,"
        " updated_at) SELECT 'shop', 'orders', 'test', 'chord ' || n, 'chord ' || n, 'chord', 1, 'crowd ' || n, now()"
        " FROM generate_series(1, 300) AS n"
    )
    own_shapes.rows("ANALYZE celerytrail.groups")
    assert failed() == before


def test_a_task_that_an_operator_ended_is_no_alarm(own_shapes: Shapes) -> None:
    (failed,) = own_shapes.failed_ids("group")
    # As a worker says of a task that it was told to end.
    own_shapes.rows("UPDATE celerytrail.tasks SET state = 'revoked' WHERE task_id = %s", failed)
    assert own_shapes.id_of("group") in firing(FAILED, own_shapes), "nobody knows who revoked it"
    own_shapes.retried({failed: ""}, "terminate", result="revoked")
    assert own_shapes.id_of("group") not in firing(FAILED, own_shapes)
    assert own_shapes.workflow("group")["acknowledged"] is True


def test_a_body_that_never_ran_is_one_alert_until_the_chord_is_retried(own_shapes: Shapes) -> None:
    own_shapes.rows(
        "UPDATE celerytrail.tasks SET finished_at = now() WHERE state IN ('ignored', 'succeeded')"
    )
    assert firing(NEVER_RAN, own_shapes) == {}, "it may be under way"
    for name in own_shapes.flows:
        own_shapes.time_passes(name, "2 minutes")
    alerts = firing(NEVER_RAN, own_shapes)
    # Neither the chord whose header failed nor the one whose body waits for a worker.
    assert set(alerts) == {own_shapes.id_of("skipped")}
    assert alerts[own_shapes.id_of("skipped")].labels["workflow"] == "ordinary.add, ..."

    first = own_shapes.flows["skipped"]["ids"][0]
    own_shapes.retried({first: "another"})
    assert firing(NEVER_RAN, own_shapes) != {}, "one header more does not run the body"
    own_shapes.retried({first: "a third"}, "retry-chord", own_shapes.id_of("skipped"))
    assert firing(NEVER_RAN, own_shapes) == {}


def test_workflows_of_a_working_pipeline_miss_no_events(shapes: Shapes) -> None:
    assert evaluate(provisioned_rule(MISSING), shapes.grafana) == []


def test_a_deleted_segment_is_an_alert_with_the_number_of_its_events(
    postgres: EmbeddedPostgres, database: str, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    pipeline = Pipeline(postgres, database, valkey.url, tmp_path / "pipeline")
    try:
        pipeline.prepare()
        settings = {"CELERYTRAIL_SHIPPER": "off", "CELERYTRAIL_SPOOL_MAX_BYTES": str(256 * 1024)}
        pipeline.run("publish_steady.py", "80", "0", "celery", **settings)
        victim = sorted(pipeline.spool.glob("*.seg"))[1]
        events = sum(isinstance(item, Frame) for item in scan(victim.read_bytes()))
        victim.unlink()
        shipped = pipeline.command("ship", "--once", "--spool", str(pipeline.spool))
        assert shipped.returncode == 0, shipped.stderr
        (alert,) = evaluate(
            provisioned_rule(MISSING), DataSource(pipeline.dsn("celerytrail_grafana"))
        )
    finally:
        pipeline.close()
    assert alert.value == events - 1, "the header of a segment is no event"
    assert alert.labels["process_kind"] == "publisher"
    assert (alert.labels["service"], alert.labels["namespace"]) == ("orders", "shop")
    assert alert.labels["worker"].startswith("publisher@")


@contextmanager
def verifying(dsn: str, tmp_path: Path, *arguments: str) -> Iterator[None]:
    """Run the verifier as a daemon, as the compose file does."""
    with (tmp_path / "verify.log").open("wb") as log:
        process = subprocess.Popen(
            [CELERYTRAIL, "verify", "--dsn", dsn, "--every", "0.2", *arguments],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def chain_reasons(shapes: Shapes) -> set[str]:
    alerts = evaluate(provisioned_rule(CHAIN), shapes.grafana)
    assert all(alert.labels["chain"] == "0" for alert in alerts)
    return {alert.labels["reason"] for alert in alerts}


def verified(shapes: Shapes, tmp_path: Path) -> None:
    """Verify everything once more, and wait until the result is there."""
    before = count(shapes)
    dsn = shapes.postgres.dsn(shapes.database, "celerytrail_verifier")
    with verifying(dsn, tmp_path):
        wait_until(lambda: count(shapes) > before, "a verification is recorded")


def count(shapes: Shapes) -> int:
    (row,) = shapes.rows("SELECT count(*) FROM celerytrail.verifications")
    return int(row["count"])


def test_the_chain_is_an_alert_until_it_is_verified_and_again_when_a_row_is_changed(
    own_shapes: Shapes, tmp_path: Path
) -> None:
    assert chain_reasons(own_shapes) == {"never verified"}
    verified(own_shapes, tmp_path)
    assert chain_reasons(own_shapes) == set()

    with psycopg.connect(own_shapes.postgres.dsn(own_shapes.database)) as superuser:
        superuser.execute("SET session_replication_role = replica")
        changed = superuser.execute(
            "SELECT tableoid::regclass::text AS part FROM celerytrail.spans WHERE task_id IS NOT NULL LIMIT 1"
        ).fetchone()
        assert changed is not None
        superuser.execute(f"ALTER TABLE {changed[0]} DISABLE TRIGGER ALL")
        altered = superuser.execute(
            "UPDATE celerytrail.spans SET worker = 'somebody else' WHERE event_id ="
            " (SELECT event_id FROM celerytrail.spans WHERE task_id IS NOT NULL ORDER BY event_id LIMIT 1)"
        )
        assert altered.rowcount == 1
        superuser.execute(f"ALTER TABLE {changed[0]} ENABLE TRIGGER ALL")
    verified(own_shapes, tmp_path)
    assert "broken" in chain_reasons(own_shapes)


def record(shapes: Shapes, mode: str, status: str, *, fingerprint_ok: bool = True) -> None:
    with psycopg.connect(
        shapes.postgres.dsn(shapes.database, "celerytrail_verifier"), autocommit=True
    ) as verifier:
        verifier.execute(
            "SELECT celerytrail.record_verification(%s, 0, 0, 1, %s, %s, NULL, 1, 0.1, %s)",
            (mode, bytes(32), status, fingerprint_ok),
        )


def test_only_a_full_verification_clears_a_broken_chain(own_shapes: Shapes) -> None:
    record(own_shapes, "full", "ok")
    assert chain_reasons(own_shapes) == set()
    record(own_shapes, "full", "broken")
    # The next ones look at what is new only, and that is in order.
    record(own_shapes, "incremental", "ok")
    assert chain_reasons(own_shapes) == {"broken"}
    record(own_shapes, "full", "internal")
    assert chain_reasons(own_shapes) == set()
    record(own_shapes, "incremental", "ok", fingerprint_ok=False)
    assert chain_reasons(own_shapes) == {"guards altered"}


def test_a_verifier_that_stopped_is_an_alert(own_shapes: Shapes) -> None:
    record(own_shapes, "full", "ok")
    for minutes, reasons in ((14, set()), (16, {"not verified lately"})):
        own_shapes.rows(
            "UPDATE celerytrail.verifications SET verified_at = now() - make_interval(mins => %s)",
            minutes,
        )
        assert chain_reasons(own_shapes) == reasons


def checkpoint_reasons(database: MigratedDatabase) -> dict[str, float]:
    found = evaluate(provisioned_rule(CHECKPOINTS), DataSource(database.dsn("grafana")))
    return {alert.labels["reason"]: alert.value for alert in found}


def test_a_checkpointer_that_is_silent_or_refuses_is_an_alert(migrated: MigratedDatabase) -> None:
    append = "SELECT celerytrail.append_action(gen_random_uuid(), 'done', 'retry', 'ann', 'user')"
    with migrated.connect("actions") as actions:
        actions.execute(append)
    assert set(checkpoint_reasons(migrated)) == {"never signed"}
    with migrated.connect("checkpointer") as checkpointer:
        checkpointer.execute(
            "SELECT celerytrail.record_checkpoint(now(), 1, 'k', '[]', 'a note', '{}', NULL)"
        )
        assert checkpoint_reasons(migrated) == {}
        for seconds, reasons in ((110, set()), (130, {"silent"})):
            migrated.rows(
                "UPDATE celerytrail.checkpoints SET recorded_at = now() - make_interval(secs => %s)"
                " RETURNING 1",
                seconds,
            )
            assert set(checkpoint_reasons(migrated)) == reasons
        checkpointer.execute(
            "SELECT celerytrail.record_checkpoint(NULL, 1, 'k', NULL, NULL, NULL, 'REFUSED: a cut')"
        )
    found = checkpoint_reasons(migrated)
    assert set(found) == {"refused", "silent"}
    assert found["silent"] >= 130


def test_an_empty_ledger_is_quiet(migrated: MigratedDatabase) -> None:
    for uid in (FAILED, NEVER_RAN, MISSING, CHAIN, CHECKPOINTS, STUCK):
        assert evaluate(provisioned_rule(uid), DataSource(migrated.dsn("grafana"))) == []


def test_a_rule_with_a_second_number_or_doubled_labels_is_no_rule(shapes: Shapes) -> None:
    rule = provisioned_rule(FAILED)
    model: dict[str, Any] = rule["data"][0]["model"]
    for wrong in (
        "SELECT 'a' AS label, 1 AS one, 2 AS two",
        "SELECT 'a' AS label, now() AS time, 1 AS one",
        "SELECT v.label, 1 AS one FROM (VALUES ('a'), ('a')) AS v (label)",
    ):
        model["rawSql"] = wrong
        with pytest.raises(AssertionError):
            evaluate(rule, shapes.grafana)
    model["rawSql"] = f"SELECT '{uuid.uuid4()}' AS label, v.one FROM (VALUES (0.0)) AS v (one)"
    assert evaluate(rule, shapes.grafana) == []
