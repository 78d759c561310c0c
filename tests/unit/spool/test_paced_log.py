"""What would be said with every record is said now and then, and nothing is left uncounted."""

from __future__ import annotations

import logging

import pytest

from celerytrail.exporter.spool.paced_log import PacedLog


def test_a_kind_is_said_once_in_its_time_and_the_rest_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [0.0]
    log = PacedLog(logging.getLogger("celerytrail.test"), 1.0, clock=lambda: now[0])
    for number in range(5):
        log.say(logging.ERROR, "record %d", number)
    log.say(logging.ERROR, "another kind")
    now[0] = 1.0
    log.say(logging.ERROR, "record %d", 5)
    now[0] = 2.0
    log.say(logging.ERROR, "record %d", 6)
    assert [record.getMessage() for record in caplog.records] == [
        "record 0",
        "another kind",
        "record 5 (and 4 more like it before)",
        "record 6",
    ]
