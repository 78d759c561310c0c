"""Each check of Celery's settings: an app in which it finds something, and one in which it does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from celery import Celery

from celerytrail.exporter.agent.doctor import app_checks as checks
from celerytrail.exporter.agent.doctor.examination import APP_CHECKS
from celerytrail.exporter.agent.doctor.finding import ERROR, INFO, WARNING, AppCheck, Finding

Build = Callable[[Celery], None]


def conf(**settings: Any) -> Build:
    def build(app: Celery) -> None:
        app.conf.update(settings)

    return build


def task(conf_too: dict[str, Any] | None = None, **options: Any) -> Build:
    def build(app: Celery) -> None:
        app.conf.update(conf_too or {})

        @app.task(name="shop.pay", shared=False, **options)
        def pay() -> None:
            pass

    return build


def visible(seconds: float) -> dict[str, Any]:
    return {"broker_transport_options": {"visibility_timeout": seconds}}


def beat(**options: Any) -> Build:
    return conf(beat_schedule={"nightly": {"task": "x", "schedule": 60, "options": options}})


# Whatever part of the next two hours the tests take, it begins with the same digit.
TOMORROW = datetime.now(timezone.utc) + timedelta(seconds=89_900)

FOUND: list[tuple[AppCheck, Build, str, str]] = [
    (checks.always_eager, conf(task_always_eager=True), ERROR, "task_always_eager"),
    (checks.visibility_timeout, task(default_retry_delay=7200), ERROR,
     "3600 s, the default, the retry delay of shop.pay is 7200 s"),
    (checks.visibility_timeout, task(visible(60), default_retry_delay=61), ERROR,
     "visibility_timeout is 60 s, the retry delay of shop.pay is 61 s"),
    (checks.visibility_timeout, task(visible(60)), WARNING, "the retry delay of shop.pay is 180 s"),
    (checks.visibility_timeout, task(visible(60), autoretry_for=(OSError,)), ERROR, "is 180 s"),
    (checks.visibility_timeout, task(visible(300), retry_backoff=True, autoretry_for=(OSError,)), ERROR, "is 600 s"),
    (checks.visibility_timeout, task(visible(1000), acks_late=True, time_limit=1001), ERROR,
     "the time limit of shop.pay is 1001 s"),
    (checks.visibility_timeout, beat(countdown=3601), ERROR, "beat entry nightly is 3601 s"),
    (checks.visibility_timeout, beat(eta=TOMORROW), ERROR, "beat entry nightly is 8"),
    (checks.lost_workers, task(acks_late=True), WARNING, "shop.pay"),
    (checks.lost_workers, task({"task_acks_late": True}), WARNING, "shop.pay"),
    (checks.prefetch, task(acks_late=True, time_limit=600), WARNING, "is 4, with"),
    (checks.prefetch, task({"worker_prefetch_multiplier": 0}, acks_late=True, soft_time_limit=600),
     WARNING, "no bound"),
    (checks.connection_retry, conf(broker_connection_retry=False), WARNING, "is off"),
    (checks.pickle_accepted, conf(accept_content=["json", "pickle"]), WARNING, "pickle"),
    (checks.pickle_accepted, conf(result_accept_content=["application/x-python-serialize"]),
     WARNING, "pickle"),
    (checks.results, conf(result_backend=None), INFO, "no result backend"),
    (checks.results, task(ignore_result=True), INFO, "ignore_result: shop.pay"),
    (checks.result_expiry, conf(result_expires=60), WARNING, "60 s"),
    (checks.result_expiry, conf(result_expires=timedelta(minutes=5)), WARNING, "300 s"),
    (checks.children, conf(worker_max_tasks_per_child=1), INFO, "is 1"),
    (checks.not_needed, conf(task_track_started=True, worker_send_task_events=True), INFO,
     "task_track_started, worker_send_task_events"),
    (checks.logging_left_alone, conf(worker_hijack_root_logger=False), INFO, "is off"),
]  # fmt: skip

FINE: list[tuple[AppCheck, Build]] = [
    *((check, task()) for check in APP_CHECKS),
    (checks.visibility_timeout, task(visible(86400), default_retry_delay=7200)),
    (checks.visibility_timeout, task(default_retry_delay=7200, max_retries=0)),
    (checks.visibility_timeout, task({"broker_url": "amqp://h//"}, default_retry_delay=7200)),
    (checks.visibility_timeout, task(visible(1000), time_limit=7200)),
    (checks.visibility_timeout, beat(countdown=3599)),
    (checks.lost_workers, task(acks_late=True, reject_on_worker_lost=True)),
    (checks.prefetch, task({"worker_prefetch_multiplier": 1}, acks_late=True, time_limit=600)),
    (checks.prefetch, task(time_limit=600)),
    (checks.prefetch, task(acks_late=True, time_limit=5)),
    (checks.result_expiry, conf(result_expires=None)),
    (checks.result_expiry, conf(result_backend=None, result_expires=60)),
    (checks.children, conf(worker_max_tasks_per_child=1000)),
]


def found_in(check: AppCheck, build: Build) -> list[Finding]:
    app = Celery(
        "shop",
        broker="redis://user:hush@127.0.0.1:1/0",
        backend="redis://user:hush@127.0.0.1:1/1",
        set_as_current=False,
    )
    build(app)
    app.finalize()
    return list(check(app))


@pytest.mark.parametrize(("check", "build", "severity", "words"), FOUND)
def test_it_is_found(check: AppCheck, build: Build, severity: str, words: str) -> None:
    (finding,) = found_in(check, build)
    assert finding.severity == severity
    assert words in finding.found
    assert finding.means
    assert finding.todo
    assert "hush" not in str(finding.to_dict())


@pytest.mark.parametrize(("check", "build"), FINE)
def test_nothing_is_found(check: AppCheck, build: Build) -> None:
    assert found_in(check, build) == []


def test_every_check_is_in_both_lists() -> None:
    assert {row[0] for row in FOUND} == {row[0] for row in FINE} == set(APP_CHECKS)


def test_of_many_tasks_some_are_named() -> None:
    def build(app: Celery) -> None:
        def run() -> None:
            pass

        for number in range(8):
            app.task(name=f"shop.t{number}", shared=False, acks_late=True)(run)

    (finding,) = found_in(checks.lost_workers, build)
    assert finding.found.endswith("shop.t0, shop.t1, shop.t2, shop.t3, shop.t4 and 3 more")
