"""Forty kinds of secrets go through the real pipeline, and are found nowhere behind the worker.

Looked through are every table of the database, all OTLP traffic, the logs of all programs, and the
folder of what a receiver refused. Each message also carries a text that is no secret, and that has
to be found: else the search would prove nothing.
"""

from __future__ import annotations

import gzip
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from celerytrail.exporter.shipper.rejected import FOLDER
from tests.acceptance.pipeline import Pipeline
from tests.integration.shipper.receiver import OtlpReceiver
from tests.secret_kinds import NAMED, PASSWORDS, SHAPED
from tests.waiting import wait_until
from tests.wire_tap import WireTap

OPEN = """
    SELECT count(*) FROM unnest(%s::text[]) AS wanted (id)
    WHERE NOT EXISTS (
        SELECT FROM celerytrail_views.tasks
        WHERE task_id = wanted.id AND state IN ('succeeded', 'failed')
    )
"""
TABLES = """
    SELECT format('%%I.%%I', n.nspname, c.relname) AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information_schema)'
"""
SIGHT = "in-plain-sight"


def planted(directory: Path) -> tuple[set[str], list[dict[str, Any]]]:
    """Return the secrets, and messages with each of them at each place."""
    secrets: set[str] = set()
    messages: list[dict[str, Any]] = []

    def draw(values: Any) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # hypothesis says that this is for exploring
            secret = str(values.example())
        secrets.add(secret)
        return secret

    for kind in (*NAMED, *SHAPED):
        secret = draw(kind.secrets)
        value, texts = kind.value(secret), list(kind.texts(secret))
        named = value if isinstance(value, dict) else {"note": value}
        messages += [
            {
                "task": "take",
                "args": [SIGHT, value, [{"deep": [value]}]],
                "kwargs": named,
                "headers": {"X-Custom": texts[0]},
                "shadow": texts[0],
                "stamps": {"note": named},
            },
            {"task": "take", "args": [value], "after": "result"},
            {"task": "give", "args": [SIGHT, value, named, *texts]},
            {"task": "again", "args": [texts[0]]},
        ]
        messages += [{"task": "blow", "args": [text]} for text in texts]
        for line in kind.lines(secret):
            if line.startswith("def "):
                continue
            file = directory / f"line_{len(messages)}.py"
            file.write_text(f"def f():\n    {line}; 1 / 0\n\nf()\n")
            messages.append({"task": "run", "args": [str(file)]})
    for _ in range(2):
        secret = draw(PASSWORDS)
        for more in ({}, {"after": "before"}):
            messages += [
                {"task": "login", "args": [SIGHT, secret], **more},
                {"task": "check", "args": [SIGHT, "x", secret], **more},
                {"task": "pay", "args": [{"deep": secret}, secret], **more},
                {
                    "task": "pay",
                    "kwargs": {"first": secret, "serial": secret, "fail": True},
                    **more,
                },
            ]
        messages.append({"task": "login", "args": [secret], "after": "result"})
    return secrets, messages


def stored(pipeline: Pipeline) -> Iterator[tuple[str, bytes]]:
    """Yield every row of every table as text, quotes as they were, and its bytes as bytes."""
    for table in pipeline.rows(TABLES):
        for row in pipeline.rows(f"SELECT each::text AS row FROM {table['name']} AS each"):
            text = row["row"].replace('""', '"').replace("\\\\", "\\")
            yield table["name"], text.encode()
            for data in re.findall(r"\\x((?:[0-9a-f]{2})+)", text):
                yield table["name"], bytes.fromhex(data)


def found_in(places: Iterable[tuple[str, bytes]], secrets: set[str]) -> list[str]:
    """Return where a secret was found, with what stands around it."""
    wanted = [secret.encode() for secret in secrets]
    return [
        f"{place}: {data[max(0, data.find(raw) - 120) : data.find(raw) + 60]!r}"
        for place, data in places
        for raw in wanted
        if raw in data
    ]


def files(pipeline: Pipeline) -> Iterator[tuple[str, bytes]]:
    for path in pipeline.directory.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".json", ".seg"):
            # The shipper may still be at it: a file of its own that is gone now holds nothing.
            with suppress(FileNotFoundError):
                data = path.read_bytes()
                yield str(path), gzip.decompress(data) if path.suffix == ".gz" else data


@pytest.mark.slow
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "unsealed"])
def test_no_secret_gets_behind_the_worker(any_celery: Pipeline, sealed: bool) -> None:
    pipeline = any_celery
    pipeline.shipper_settings["CELERYTRAIL_CAPTURE_RESULT"] = "1"
    pipeline.shipper_settings["CELERYTRAIL_ARGS_ON_SPANS"] = "1"
    if sealed:
        keys = pipeline.directory / "keys"
        assert pipeline.command("keys", "generate", "--out", str(keys)).returncode == 0
        pipeline.shipper_settings.update(
            CELERYTRAIL_SEAL_PUBLIC_KEY_FILE=str(keys / "seal-public.pem"),
            CELERYTRAIL_SEAL_PSK_FILE=str(keys / "seal-psk"),
        )
    secrets, messages = planted(pipeline.directory)
    listed = pipeline.directory / "messages.json"
    listed.write_text(json.dumps(messages))
    with WireTap(pipeline.endpoint) as tap:
        pipeline.endpoint = tap.url
        worker = pipeline.start_worker(app="secretive")
        ids = [line["id"] for line in pipeline.run("publish_secrets.py", str(listed))]
        ids += [
            line["id"] for line in pipeline.run("publish_secrets.py", str(listed), UNRECORDED="1")
        ]
        wait_until(lambda: pipeline.value(OPEN, ids) == 0, "all tasks have ended", seconds=240)
        assert worker.stop() == 0
    wire = [("wire", sent.SerializeToString()) for sent in (*tap.logs, *tap.traces)]
    database = list(stored(pipeline))
    assert found_in(wire, {SIGHT})
    assert found_in(database, {SIGHT})
    assert found_in(wire, secrets) == []
    assert found_in(database, secrets) == []
    assert found_in(files(pipeline), secrets) == []


@pytest.mark.slow
def test_no_secret_is_in_the_folder_of_what_was_refused(pipeline: Pipeline) -> None:
    secrets, messages = planted(pipeline.directory)
    listed = pipeline.directory / "messages.json"
    listed.write_text(json.dumps(messages))
    pipeline.run("publish_secrets.py", str(listed), CELERYTRAIL_SHIPPER="off")
    with OtlpReceiver(decide=lambda path, message: 400) as receiver:
        done = pipeline.command(
            "ship", "--once", "--spool", str(pipeline.spool), CELERYTRAIL_ENDPOINT=receiver.url
        )
    refused = [(place, data) for place, data in files(pipeline) if FOLDER in place]
    assert found_in(refused, {SIGHT})
    assert found_in(refused, secrets) == []
    said = [("output", (done.stdout + done.stderr).encode())]
    assert found_in((*said, *files(pipeline)), secrets) == []
