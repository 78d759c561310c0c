from __future__ import annotations

from celery import signals
from celery.utils.dispatch import Signal

from celerytrail.exporter.agent.signals import IGNORED, Handlers, celery_signals, table
from tests.unit.agent.conftest import Recorded


def test_every_signal_is_handled_or_ignored_for_a_reason(recorded: Recorded) -> None:
    handled = set(table(recorded.recorder, Handlers.of(recorded.recorder)))
    known = set(celery_signals())
    assert known - handled - set(IGNORED) == set()
    assert handled & set(IGNORED) == set()
    assert handled <= known
    assert all(IGNORED.values())


def test_the_list_of_signals_is_that_of_celery() -> None:
    assert set(signals.__all__) <= set(celery_signals())
    assert all(isinstance(signal, Signal) for signal in celery_signals().values())
