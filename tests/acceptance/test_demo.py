"""`celerytrail demo` as a newcomer runs it: all real, and what it says compared with what happened."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from celerytrail.examples.embedded.postgres import EmbeddedPostgres
from celerytrail.examples.embedded.valkey import EmbeddedValkey
from celerytrail.examples.shop.record import RAN, read_record
from tests.processes import kill, mentioning
from tests.waiting import wait_until

DEMO = (sys.executable, "-m", "celerytrail.exporter.cli", "demo")
PATIENCE_SECONDS = 280.0


class Demo:
    """A demo in its own session, with its output in files."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.directory = directory
        directory.mkdir()
        self.out, self.err = directory / "out", directory / "err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*DEMO, "--directory", str(directory), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=directory,
                start_new_session=True,
            )

    def wait(self) -> int:
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the demo did not end:\n{self.err.read_text()}")

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait_until_it_says(self, text: str) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.err.read_text()
            return text in self.out.read_text() + self.err.read_text()

        wait_until(said, f"the demo says {text!r}", PATIENCE_SECONDS)

    @property
    def summary(self) -> dict[str, Any]:
        """The last line of its output."""
        found = json.loads(self.out.read_text().splitlines()[-1])
        assert isinstance(found, dict)
        return found

    def processes(self) -> dict[int, str]:
        return mentioning(str(self.directory))


@pytest.fixture
def demos(server_directory: Path, request: pytest.FixtureRequest) -> Iterator[list[Demo]]:
    """What a test started; whatever it left is killed, and that is a failure."""
    started: list[Demo] = []
    yield started
    left: dict[int, str] = {}
    for demo in started:
        if demo.process.poll() is None:  # a test that failed
            demo.process.kill()
            demo.process.wait()
            wait_until(lambda demo=demo: not demo.processes(), "everything has ended")  # type: ignore[misc]
        left |= demo.processes()
    kill(left)
    assert not left


@pytest.fixture
def directory(server_directory: Path, request: pytest.FixtureRequest) -> Path:
    return server_directory / re.sub(r"\W+", "-", request.node.name)


def test_a_bounded_run_stores_all_that_the_workload_wrote_down(
    postgres: EmbeddedPostgres,
    database: str,
    valkey: EmbeddedValkey,
    directory: Path,
    demos: list[Demo],
) -> None:
    demo = Demo(
        directory, "--once", "--json", "--orders", "9",
        "--dsn", postgres.dsn(database), "--broker-url", valkey.url,
    )  # fmt: skip
    demos.append(demo)
    assert demo.wait() == 0, demo.err.read_text()

    written = list(read_record(directory / "record.jsonl"))
    ids = {entry.id for entry in written}
    with psycopg.connect(postgres.dsn(database)) as connection:
        stored: dict[str, str] = dict(
            connection.execute(
                "SELECT task_id, (task_name, state, queue)::text FROM celerytrail.tasks"
            )
        )
        attempts: dict[str, int] = dict(
            connection.execute("SELECT task_id, attempts FROM celerytrail.tasks")
        )
        spans = connection.execute("SELECT count(*) FROM celerytrail.spans").fetchone()
        blocks = connection.execute("SELECT count(*) FROM celerytrail.blocks").fetchone()
    assert ids == set(stored)
    summary = demo.summary
    assert summary.pop("seconds") > 0
    assert (spans, blocks) == ((summary.pop("spans_stored"),), (summary.pop("blocks"),))
    assert summary == {
        "tasks_sent": len(ids),
        "tasks_stored": len(ids),
        "events_missing": 0,
        "chain": "ok",
    }

    # What has to go wrong, by the numbers of the orders 1 to 9.
    kinds = Counter(stored.values())
    assert kinds["(shop.place_order,succeeded,shop.orders)"] == 9
    assert kinds["(shop.reserve_item,failed,shop.warehouse)"] == 2  # orders 2 and 8
    assert kinds["(shop.charge_card,failed,shop.payments)"] == 1  # order 5
    assert kinds["(shop.scan_parcel,failed,shop.warehouse)"] == 1  # order 4 kills its process
    assert kinds["(shop.send_newsletter,sent,shop.newsletter)"] == 1  # nobody consumes it
    assert kinds["(shop.remind,revoked,shop.mail)"] == 1
    ran = Counter(entry.id for entry in written if entry.what == RAN)
    assert {task: count for task, count in attempts.items() if count > 1} == {
        task: count for task, count in ran.items() if count > 1
    }


def test_with_nothing_given_it_brings_its_own_servers(directory: Path, demos: list[Demo]) -> None:
    demo = Demo(directory, "--once", "--json", "--orders", "3", "--postgres-bin", "wheel")
    demos.append(demo)
    assert demo.wait() == 0, demo.err.read_text()
    assert demo.summary["chain"] == "ok"
    assert demo.summary["tasks_sent"] == demo.summary["tasks_stored"] > 3
    # It says what it does while it does it.
    for step in ("starting Postgres", "starting Valkey", "starting sink", "verifying"):
        assert step in demo.err.read_text()
    assert not demo.processes()


def change_a_row(dsn: str, by: int) -> None:
    """Change the oldest event of all as a superuser, past the triggers that forbid it."""
    with psycopg.connect(dsn) as connection:
        (event_id, partition) = connection.execute(
            "SELECT event_id, tableoid::regclass::text FROM celerytrail.spans"
            " ORDER BY event_id LIMIT 1"
        ).fetchone() or ("", "")
        names = connection.execute(
            "SELECT quote_ident(tgname) FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND tgenabled = 'A' AND NOT tgisinternal",
            (partition,),
        ).fetchall()
        switch = "ALTER TABLE {} {} TRIGGER {}".format
        for (name,) in names:
            connection.execute(switch(partition, "DISABLE", name).encode())
        changed = connection.execute(
            "UPDATE celerytrail.spans SET pid = pid + %s WHERE event_id = %s", (by, event_id)
        ).rowcount
        for (name,) in names:
            connection.execute(switch(partition, "ENABLE ALWAYS", name).encode())
    assert changed == 1


def test_a_row_that_is_changed_meanwhile_is_not_ok(
    postgres: EmbeddedPostgres, database: str, directory: Path, demos: list[Demo]
) -> None:
    demo = Demo(directory, "--json", "--dsn", postgres.dsn(database))
    demos.append(demo)
    demo.wait_until_it_says("shop.place_order")
    change_a_row(postgres.dsn(database), 1)
    assert demo.interrupt() == 1
    assert demo.summary["chain"] == "broken"
    assert demo.summary["events_missing"] == 0


def test_a_row_that_is_changed_and_changed_back_was_seen(
    postgres: EmbeddedPostgres, database: str, directory: Path, demos: list[Demo]
) -> None:
    demo = Demo(directory, "--json", "--dsn", postgres.dsn(database))
    demos.append(demo)
    demo.wait_until_it_says("shop.place_order")
    change_a_row(postgres.dsn(database), 1)
    demo.wait_until_it_says("chain BROKEN")
    change_a_row(postgres.dsn(database), -1)
    assert demo.interrupt() == 1
    assert demo.summary["chain"] == "broken"


def test_a_task_that_the_workload_wrote_down_and_nobody_stored_is_missing(
    directory: Path, demos: list[Demo]
) -> None:
    demo = Demo(directory, "--once", "--json", "--orders", "1", "--timeout", "15")
    demos.append(demo)
    demo.wait_until_it_says("starting publisher")
    with (directory / "record.jsonl").open("a") as record:
        record.write('{"what": "sent", "id": "never-sent", "task": "", "retries": 0}\n')
    assert demo.wait() == 1
    assert demo.summary["tasks_stored"] == demo.summary["tasks_sent"] - 1
    assert "1 tasks are not in the ledger" in demo.err.read_text()


def test_ctrl_c_stops_everything_and_is_no_error(directory: Path, demos: list[Demo]) -> None:
    demo = Demo(directory, "--json")
    demos.append(demo)
    demo.wait_until_it_says("shop.place_order")
    demo.wait_until_it_says("chain verified up to block")
    assert len(demo.processes()) > 8
    assert demo.interrupt() == 0, demo.err.read_text()
    assert not demo.processes()
    assert demo.summary["chain"] == "ok"
    assert demo.summary["events_missing"] == 0
    # Readable without a terminal.
    assert "tasks by state" in demo.out.read_text()
    assert "\x1b" not in demo.out.read_text()


def test_the_command_that_it_prints_sends_a_failed_task_again(
    directory: Path, demos: list[Demo]
) -> None:
    demo = Demo(directory, "--json", "--every", "0.1")
    demos.append(demo)
    demo.wait_until_it_says("send it again: ")
    # What it found is retried only from a ledger that was verified.
    demo.wait_until_it_says("chain verified up to block")
    shown = " ".join(demo.out.read_text().split())
    command = re.search(r"send it again: (.+? retry (\S{36}))", shown)
    assert command is not None
    pressed = subprocess.run(
        ["sh", "-c", command[1]],
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert pressed.returncode == 0, pressed.stdout + pressed.stderr
    assert stat.S_IMODE((directory / "buttons.env").stat().st_mode) == 0o600
    assert stat.S_IMODE((directory / "actions.toml").stat().st_mode) == 0o600
    assert demo.interrupt() == 0, demo.err.read_text()
    assert not demo.processes()
    assert demo.summary["chain"] == "ok"
    assert demo.summary["events_missing"] == 0


@pytest.mark.parametrize("step", ["starting Postgres", "starting sink", "starting worker back"])
def test_ctrl_c_while_it_starts_stops_what_was_started(
    step: str, directory: Path, demos: list[Demo]
) -> None:
    demo = Demo(directory)
    demos.append(demo)
    demo.wait_until_it_says(step)
    assert demo.interrupt() == 0, demo.err.read_text()
    assert not demo.processes()


def test_when_it_is_killed_its_processes_end_too(directory: Path, demos: list[Demo]) -> None:
    demo = Demo(directory)
    demos.append(demo)
    demo.wait_until_it_says("starting publisher")
    demo.process.kill()
    demo.wait()
    wait_until(lambda: not demo.processes(), "everything has ended")


def test_a_database_that_is_not_there_is_named(directory: Path, demos: list[Demo]) -> None:
    demo = Demo(directory, "--once", "--dsn", "postgresql://nobody@127.0.0.1:1/nothing")
    demos.append(demo)
    assert demo.wait() == 1
    assert "127.0.0.1" in demo.err.read_text()
    assert not demo.processes()
