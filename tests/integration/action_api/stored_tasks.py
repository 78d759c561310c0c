"""Tasks with message bodies, written into the ledger as whoever holds the sink's token writes them."""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celerytrail.action_api.config import DeploymentSettings
from celerytrail.exporter.commitment import commit
from celerytrail.exporter.key_files import (
    PRIVATE_FILE,
    PSK_FILE,
    PUBLIC_FILE,
    generate,
    read_psk,
    read_public_key,
)
from celerytrail.exporter.sealed import (
    Binding,
    DataKey,
    Message,
    keep_plain,
    key_id,
    seal,
    wrap_data_key,
)
from celerytrail.exporter.sink.ledger import Ledger as SinkLedger
from tests.span_rows import SHOP, STREAM, payload_row, task_rows, with_columns

if TYPE_CHECKING:
    from tests.databases import MigratedDatabase

NO_CANVAS = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(task_id: str, body: Any = None, **changes: Any) -> Message:
    """A message of the task shop.pay as a shipper keeps it."""
    data = body if isinstance(body, bytes) else json.dumps([[1], {}, body or NO_CANVAS]).encode()
    headers = {
        "lang": "py",
        "id": task_id,
        "task": "shop.pay",
        "retries": 0,
        "root_id": "the old root",
        "parent_id": "the old parent",
        "group": None,
        "eta": "2020-01-01T00:00:00",
        "expires": "2020-01-01T00:00:01",
        "timelimit": [30, None],
        "origin": "gen1@old",
    }
    values: dict[str, Any] = {
        "headers": headers,
        "properties": {"correlation_id": task_id, "reply_to": "somebody"},
        "exchange": "",
        "routing_key": "orders",
        "priority": 0,
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": data,
    }
    return Message(**{**values, **changes})


@dataclass
class Sealer:
    """A shipper's keys, and what it makes with them."""

    directory: Path
    ledger_id: str = ""
    secret: bytes = field(default_factory=lambda: os.urandom(32))

    def __post_init__(self) -> None:
        if not self.directory.exists():
            generate(self.directory)
        self.public = read_public_key(self.directory / PUBLIC_FILE)
        self.psk = read_psk(self.directory / PSK_FILE)

    def settings(self, broker_url: str, **more: Any) -> DeploymentSettings:
        values: dict[str, Any] = {
            "seal_private_key_files": (self.directory / PRIVATE_FILE,),
            "seal_psk_file": self.directory / PSK_FILE,
            "ledger_id": self.ledger_id,
        }
        return DeploymentSettings(SHOP, broker_url, **{**values, **more})

    def seal(
        self,
        of: Message,
        *,
        seq: int,
        task_id: str | None = None,
        retries: int = 0,
        deployment: str = SHOP.label,
        stream: uuid.UUID = STREAM,
        psk: bytes | None = None,
        ledger_id: str | None = None,
    ) -> bytes:
        named = self.ledger_id if ledger_id is None else ledger_id
        key = os.urandom(32)
        wrap = wrap_data_key(key, self.public, named, deployment)
        binding = Binding(
            named, deployment, task_id or str(of.headers["id"]), retries, stream.hex, seq
        )
        return seal(
            of, binding, DataKey(key_id(self.public), wrap, key), psk or self.psk, self.secret
        )


@dataclass
class StoredTasks:
    """Writes tasks that have ended into a ledger."""

    database: MigratedDatabase
    sink: SinkLedger
    next_seq: int = 1

    def store(
        self, task_id: str, container: bytes | None, *, end: str = "failed", **more: Any
    ) -> None:
        """Store a task whose send is number ``next_seq`` and commits to the container."""
        seq, self.next_seq = self.next_seq, self.next_seq + 4
        rows = task_rows(seq, task_id=task_id, end=end, **more)
        if container is not None:
            salt = sha256(task_id.encode()).digest()
            commitment = commit("body", salt, container)
            rows[0] = with_columns(rows[0], commitments=json.dumps({"body": commitment.hex()}))
            payload = payload_row(
                task_id,
                "body",
                container,
                seq=seq,
                salt=salt,
                commitment=commitment,
                retries=more.get("attempt", 0),
            )
            assert self.sink.write_payloads(self.database.token, [payload]).inserted == 1
        assert self.sink.write_spans(self.database.token, rows).inserted == 4

    def plain(self, task_id: str, body: Any = None, **more: Any) -> None:
        """Store a task whose message was kept unsealed."""
        self.store(task_id, keep_plain(message(task_id, body)), **more)

    def actions(self) -> list[tuple[Any, ...]]:
        return self.database.rows(
            "SELECT phase, verb, actor, detail ->> 'state', detail ->> 'message'"
            " FROM celerytrail.actions ORDER BY batch_id"
        )


@contextmanager
def listening_socket() -> Iterator[tuple[str, list[Any]]]:
    """A port that accepts every connection and never answers; the list holds what came."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        came: list[Any] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    came.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}", came
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in came:
                connection.close()
