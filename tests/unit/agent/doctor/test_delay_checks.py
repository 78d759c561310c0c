"""Delays in use are read from the records of real publishes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from celerytrail.exporter.agent.doctor import delay_checks
from celerytrail.exporter.agent.doctor.delay_checks import delays_in_use
from celerytrail.exporter.agent.doctor.finding import ERROR, Recording
from celerytrail.exporter.agent.shipper_settings import ShipperSettings
from tests.unit.agent.conftest import Recorded
from tests.unit.agent.doctor.recordings import NOTHING, recording


def looked_at(recorded: Recorded) -> Recording:
    config = recorded.config
    return Recording(config, ShipperSettings.of(config, {}), NOTHING, True)


def broker(url: str = "redis://127.0.0.1:1/0", **options: Any) -> Celery:
    app = Celery("shop", broker=url, set_as_current=False)
    app.conf.broker_transport_options = options
    return app


@pytest.mark.parametrize(
    "later",
    [{"countdown": 7200}, {"eta": datetime.now(timezone.utc) + timedelta(hours=3)}],
    ids=["countdown", "eta"],
)
def test_a_task_that_is_sent_for_later_than_the_broker_waits(
    recorded: Recorded, app: Celery, later: dict[str, Any]
) -> None:
    app.tasks["add"].delay(1, 2)
    app.tasks["add"].apply_async((1, 2), **later)
    app.tasks["add"].apply_async((1, 2), countdown=60)
    (found,) = delays_in_use(broker(), looked_at(recorded))
    assert found.severity == ERROR
    assert found.found.startswith("visibility_timeout is 3600 s, the default, add was sent for ")
    seconds = float(found.found.split()[-3])
    assert 3600 < seconds <= 3 * 3600
    assert [*delays_in_use(broker(visibility_timeout=86400), looked_at(recorded))] == []
    assert [*delays_in_use(broker("amqp://127.0.0.1:1//"), looked_at(recorded))] == []


def test_a_delay_within_its_patience_is_none(recorded: Recorded, app: Celery) -> None:
    app.tasks["add"].apply_async((1, 2), countdown=60)
    assert [*delays_in_use(broker(), looked_at(recorded))] == []
    assert len([*delays_in_use(broker(visibility_timeout=30), looked_at(recorded))]) == 1


def test_a_spool_that_cannot_be_read_is_no_delay(
    recorded: Recorded, app: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [*delays_in_use(broker(), recording(tmp_path / "missing"))] == []
    app.tasks["add"].apply_async((1, 2), countdown=7200)
    (recorded.config.spool_dir / f"{'a' * 32}-000001.seg").write_bytes(b"garbage")
    assert len([*delays_in_use(broker(), looked_at(recorded))]) == 1
    monkeypatch.setattr(delay_checks, "MAX_BYTES", 10)
    assert [*delays_in_use(broker(), looked_at(recorded))] == []
