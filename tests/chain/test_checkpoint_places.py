"""Where notes are published: log records, object stores, second files; and what is down, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from celerytrail.sql.checkpoint.checkpoint_command import checkpoint
from celerytrail.sql.checkpoint.checkpoint_file import read_place
from celerytrail.sql.checkpoint.destinations.object_store import ObjectStore
from celerytrail.sql.checkpoint.destinations.otlp_log import OtlpLog
from celerytrail.sql.checkpoint.errors import CheckpointError, DestinationDown
from tests.chain.chained_ledger import ChainedLedger
from tests.chain.checkpointing import Keeper
from tests.chain.otlp_receiver import OtlpReceiver

pytest_plugins = ["tests.databases"]

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "a",
    "AWS_SECRET_ACCESS_KEY": "geheim",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture
def keeper(chained: ChainedLedger, tmp_path: Path) -> Keeper:
    """A key and places for notes; nothing is signed yet."""
    made = Keeper(chained, tmp_path)
    made.new_key("key")
    made.copy.parent.mkdir()
    return made


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    """A receiver of log records that is up."""
    made = OtlpReceiver()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a real server that speaks S3, with its address in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    import urllib.request

    request = urllib.request.Request(f"http://127.0.0.1:{port}/audit", method="PUT")
    urllib.request.urlopen(request).close()
    yield "s3://audit/ledger"
    server.stop()


def test_a_log_record_carries_the_note(keeper: Keeper, receiver: OtlpReceiver, tmp_path: Path):
    headers = tmp_path / "headers"
    headers.write_text("Authorization: Bearer geheim\n")
    said = keeper.sign("--otlp", receiver.url, "--otlp-header-file", headers)
    (record,) = receiver.records
    assert record.body.string_value == str(keeper.notes()[0].note)
    attributes = {one.key: one.value.string_value for one in record.attributes}
    assert attributes["event.name"] == "celerytrail.checkpoint"
    assert attributes["celerytrail.checkpoint.kind"] == "checkpoint"
    assert attributes["celerytrail.checkpoint.keys"].startswith("key+")
    assert receiver.headers[0]["Authorization"] == "Bearer geheim"
    assert "geheim" not in said.output + json.dumps(keeper.records())


def test_a_place_that_is_down_gets_everything_when_it_is_back(
    keeper: Keeper, receiver: OtlpReceiver
):
    place = ("--otlp", receiver.url)
    keeper.sign(*place)
    receiver.stop()
    assert f"otlp 127.0.0.1:{receiver.port}" in keeper.sign(*place, code=3).stderr
    receiver.start()
    receiver.status = 503
    assert "answered 503; 2 notes are waiting" in keeper.sign(*place, code=3).stderr
    # The others got theirs meanwhile.
    assert len(keeper.notes(keeper.copy)) == 3
    record = keeper.records()[-1]
    assert record["published"]["file"] == "ok"
    assert "answered 503" in record["published"][f"otlp 127.0.0.1:{receiver.port}"]
    assert "answered 503" in record["trouble"]
    receiver.status = 200
    keeper.sign(*place)
    assert receiver.bodies == [str(entry.note) for entry in keeper.notes()]


def test_a_place_that_never_answers_holds_up_nobody_for_long(
    keeper: Keeper, receiver: OtlpReceiver
):
    receiver.silent.set()
    said = keeper.sign("--otlp", receiver.url, "--timeout", "0.2", code=3)
    assert "timed out" in said.stderr
    assert len(keeper.notes(keeper.copy)) == 1


def test_without_cursors_everything_is_sent_again_and_taken_once(keeper: Keeper):
    keeper.sign()
    keeper.sign()
    (cursors,) = keeper.directory.glob("*.cursors")
    cursors.unlink()
    keeper.sign()
    assert [entry.note for entry in keeper.notes(keeper.copy)] == [
        entry.note for entry in keeper.notes()
    ]
    assert keeper.verify(keeper.copy).exit_code == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"copy": "x"}', '{"copy": 1e99}'])
def test_cursors_that_are_broken_are_none(keeper: Keeper, text: str):
    keeper.sign()
    (cursors,) = keeper.directory.glob("*.cursors")
    cursors.write_text(text)
    keeper.sign()
    assert len(keeper.notes(keeper.copy)) == 2


def test_a_directory_of_notes_is_verified_like_a_file(keeper: Keeper):
    store = keeper.directory / "store"
    store.mkdir()
    for _ in range(2):
        keeper.sign("--store", store.as_uri())
    keeper.file.with_name(f"{keeper.file.name}.cursors").unlink()
    keeper.sign("--store", store.as_uri())
    assert len(read_place(store).entries) == 3
    assert keeper.verify(store).exit_code == 0
    note = next(store.rglob("*.note"))
    note.write_text(note.read_text().replace("epoch 1", "epoch 2"))
    assert keeper.verify(store).exit_code == 1


def test_an_object_of_a_bucket_is_never_written_over(keeper: Keeper, bucket: str):
    keeper.sign("--store", bucket)
    keeper.sign("--store", bucket)
    (again,) = keeper.directory.glob("*.cursors")
    again.unlink()
    keeper.sign("--store", bucket)
    found = [one["path"] for batch in obstore.list(S3Store("audit")) for one in batch]
    assert len(found) == 3
    ledger_id = keeper.chained.database.value("SELECT ledger_id::text FROM celerytrail.ledger")
    assert all(name.startswith(f"ledger/{ledger_id}/") for name in found)
    body = bytes(obstore.get(S3Store("audit"), min(found)).bytes())
    assert body.decode() == str(keeper.notes()[0].note)


def test_a_bucket_that_is_not_there_is_said_without_the_secret(keeper: Keeper, bucket: str):
    said = keeper.sign("--store", "s3://missing/ledger", code=3)
    assert "store s3://missing/ledger" in said.stderr
    assert "geheim" not in said.output + json.dumps(keeper.records())


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://a", "http://u:geheim@a", "http://a:x"])
def test_an_endpoint_that_is_none(url: str):
    with pytest.raises(CheckpointError) as refused:
        OtlpLog(url, {}, 1.0)
    assert "geheim" not in str(refused.value)
    assert not isinstance(refused.value, DestinationDown)


def test_a_store_that_is_none():
    with pytest.raises(CheckpointError, match="names no store"):
        ObjectStore("nothing://a", 1.0)


def test_one_place_alone_is_wrong_usage_unless_it_is_said(keeper: Keeper):
    own = ["--dsn", keeper.dsn(), "--key", str(keeper.key), "--file", str(keeper.file), "--once"]
    assert CliRunner().invoke(checkpoint, [*own, "--begin"]).exit_code == 2
    assert CliRunner().invoke(checkpoint, [*own, "--begin", "--allow-one"]).exit_code == 0
