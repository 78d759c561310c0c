"""All checks of the doctor in one table, and what they found as a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from celerytrail.exporter.agent.config import AgentConfig
from celerytrail.exporter.agent.doctor import (
    app_checks,
    delay_checks,
    endpoint_checks,
    shipper_checks,
    spool_checks,
)
from celerytrail.exporter.agent.doctor.finding import (
    ERROR,
    INFO,
    SEVERITIES,
    WARNING,
    AppAndRecorderCheck,
    AppCheck,
    Finding,
    RecorderCheck,
    Recording,
)
from celerytrail.exporter.agent.errors import AgentError
from celerytrail.exporter.agent.shipper_settings import ShipperSettings
from celerytrail.exporter.spool.backlog import Backlog, read_backlog
from celerytrail.exporter.spool.election import LOCK_FILE, shipper_is_running
from celerytrail.exporter.spool.errors import SpoolError

APP_CHECKS: tuple[AppCheck, ...] = (
    app_checks.always_eager,
    app_checks.visibility_timeout,
    app_checks.lost_workers,
    app_checks.prefetch,
    app_checks.connection_retry,
    app_checks.pickle_accepted,
    app_checks.results,
    app_checks.result_expiry,
    app_checks.children,
    app_checks.not_needed,
    app_checks.logging_left_alone,
)

RECORDER_CHECKS: tuple[RecorderCheck, ...] = (
    shipper_checks.disabled,
    spool_checks.directory,
    spool_checks.file_system,
    spool_checks.space,
    shipper_checks.token,
    endpoint_checks.endpoint,
    shipper_checks.shipper,
    shipper_checks.rejected,
    shipper_checks.sealing,
)

APP_AND_RECORDER_CHECKS: tuple[AppAndRecorderCheck, ...] = (delay_checks.delays_in_use,)


def examine(app: Any) -> list[Finding]:
    """Run every check and return what they found, the worst first. ``app`` is None where none was given.

    It raises nothing: a check that fails is a finding too.
    """
    faults, recording = _recording()
    found = [*faults, *_examine_app(app, recording)]
    if recording is not None:
        for check in RECORDER_CHECKS:
            found += _run(check.__name__, partial(check, recording))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def is_well(findings: Sequence[Finding]) -> bool:
    """Tell whether nothing is wrong; what is only good to know is not wrong."""
    return all(finding.severity == INFO for finding in findings)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the findings as lines for a person, and a last one that sums up."""
    for finding in findings:
        yield f"{finding.severity.upper()} {finding.check}: {finding.found}"
        yield f"    it means: {finding.means}"
        yield f"    do:       {finding.todo}"
    counts = [
        f"{sum(one.severity == severity for one in findings)} {severity}" for severity in SEVERITIES
    ]
    looked = len(APP_CHECKS) + len(RECORDER_CHECKS) + len(APP_AND_RECORDER_CHECKS)
    yield f"{looked} checks: {', '.join(counts)}"


def _examine_app(app: Any, recording: Recording | None) -> Iterator[Finding]:
    if app is None:
        yield Finding(
            INFO,
            "no app was given",
            "the settings of Celery were not looked at",
            "celery -A your.app trail doctor",
            "app",
        )
        return
    try:
        app.loader.import_default_modules()
        app.finalize()
    except Exception as exc:  # noqa: BLE001 (whatever the application's own modules raise)
        yield Finding(
            ERROR,
            f"the app's modules cannot be imported: {type(exc).__name__}",
            "a worker would not start either; the settings of Celery were not looked at",
            "start a worker to see the whole error",
            "app",
        )
        return
    for check in APP_CHECKS:
        yield from _run(check.__name__, partial(check, app))
    if recording is not None:
        for both in APP_AND_RECORDER_CHECKS:
            yield from _run(both.__name__, partial(both, app, recording))


def _recording() -> tuple[list[Finding], Recording | None]:
    try:
        config = AgentConfig.of_process()
    except AgentError as exc:
        todo = "give the setting a value"
        return [Finding(ERROR, str(exc), "nothing is recorded", todo, "settings")], None
    directory = config.spool_dir
    try:
        backlog = read_backlog(directory)
        running = (directory / LOCK_FILE).exists() and shipper_is_running(directory)
    except SpoolError:  # the check of the directory says what is wrong with it
        backlog, running = Backlog(0, 0, 0, None), False
    return [], Recording(config, ShipperSettings.of(config), backlog, running)


def _run(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        found = list(check())
    except Exception as exc:  # noqa: BLE001 (one broken check must not hide what the others find)
        found = [
            Finding(
                WARNING,
                f"this could not be checked: {type(exc).__name__}",
                "a setting has a shape that the doctor does not know",
                "look at it yourself",
            )
        ]
    yield from (replace(finding, check=name) for finding in found)
