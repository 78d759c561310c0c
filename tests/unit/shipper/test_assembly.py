"""A batch holds every record once, in order, with its own payload: whatever becomes of one of them."""

from __future__ import annotations

import json
from pathlib import Path

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from celerytrail.exporter.shipper.assembly import Assembly
from celerytrail.exporter.shipper.payload import PayloadBuilder
from celerytrail.exporter.shipper.redaction import Redactor
from celerytrail.exporter.spool.record import Record
from tests.integration.shipper.receiver import attributes
from tests.unit.shipper.segments import RUN, body, chunk, record, sent

COUNT = 400
WITHOUT_START = (1, 128, 129, 257, 400)
"""Numbers of ends whose start was not read: no span can be made of them."""


def test_a_batch_is_in_order_and_lacks_only_what_no_span_can_be_made_of(tmp_path: Path) -> None:
    records = [
        record("succeeded", seq, run_id=RUN)
        if seq in WITHOUT_START
        else Record.from_tuple(sent(seq, f"task-{seq}", body((seq,))))
        for seq in range(1, COUNT + 1)
    ]
    assembly = Assembly(PayloadBuilder(Redactor()))
    batch = assembly.batch([chunk(tmp_path / "s.seg", *records)])
    spans = [attributes(Span.FromString(one.data)) for one in batch.spans]
    left = [seq for seq in range(1, COUNT + 1) if seq not in WITHOUT_START]
    assert [said["celerytrail.seq"] for said in spans] == left
    assert (assembly.failed, assembly.without_payload) == (len(WITHOUT_START), 0)
    logs = [LogRecord.FromString(one.data) for one in batch.logs]
    about = [attributes(log) for log in logs]
    assert [(said["celerytrail.seq"], said["celerytrail.payload.kind"]) for said in about] == [
        (seq, kind) for seq in left for kind in ("args", "kwargs", "body")
    ]
    arguments = slice(None, None, 3)
    for log, said, span in zip(logs[arguments], about[arguments], spans, strict=True):
        seq = said["celerytrail.seq"]
        assert json.loads(log.body.string_value) == [seq]
        assert said["messaging.message.id"] == span["messaging.message.id"] == f"task-{seq}"
        assert span["celerytrail.commitment.args"] == said["celerytrail.payload.commitment"]
