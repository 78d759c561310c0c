"""How many spans a second one core of the sink turns from a request into rows.

``python -m tests.bench.sink_receive [--rounds N]``: a request of 2,048 spans as the shipper sends it, gzipped
protobuf, is inflated, decoded and made into rows of ``spans``, in CPU time of this process. HTTP and the
database are left out: they are other processes' or other benchmarks' time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
import uuid
from contextlib import closing
from dataclasses import asdict
from io import BytesIO
from typing import Any

from celerytrail.exporter.sink.admission import Admission
from celerytrail.exporter.sink.body import BodyBounds, read_body
from celerytrail.exporter.sink.decode import decode_spans
from celerytrail.exporter.sink.wire import groups
from tests.bench.budget import Figure, table
from tests.otlp_requests import SHOP, span, traces

SPANS = 2048
_STEPS = ("sent", "received", "started", "succeeded")


def measure(rounds: int = 30) -> dict[str, Any]:
    """Take one request so many times and return spans a second of CPU time."""
    spans = [
        span(seq + 1, _STEPS[seq % 4], task_id=str(uuid.UUID(int=seq // 4))) for seq in range(SPANS)
    ]
    plain = traces(spans, uuid.uuid4()).SerializeToString()
    sent = gzip.compress(plain, 1)
    admission = Admission(4, 1 << 30)
    bounds = BodyBounds()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        with closing(admission.enter()) as ticket:
            body = read_body(BytesIO(sent), True, bounds, ticket, None).content
            rows = sum(
                len(chunk.rows) for chunk in decode_spans(body, groups(body), SHOP, time.time_ns())
            )
        taken.append(SPANS / (time.process_time() - begun))
        assert rows == SPANS
    low, middle, high = statistics.quantiles(taken, n=4)
    figure = Figure("inflate, decode, make rows, one core", middle, "spans/s", 30_000, 60_000, low=low, high=high)  # fmt: skip
    return {"bytes": len(plain), "figures": [figure]}


def report(measured: dict[str, Any]) -> str:
    """Return the table."""
    title = f"sink: requests of {SPANS:,} spans, {measured['bytes'] // SPANS} bytes each"
    return table(title, measured["figures"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=30)
    given = parser.parse_args()
    measured = measure(given.rounds)
    print(json.dumps(measured, default=asdict) if given.json else report(measured))


if __name__ == "__main__":
    main()
