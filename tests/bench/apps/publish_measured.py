"""Publish N tasks between two marks; print the CPU nanoseconds a publish took this process.

Arguments: N, queue, file of the marks.
"""

from __future__ import annotations

import os
import sys
import time

if os.environ["BENCH_VARIANT"] == "celerytrail":
    import celerytrail.exporter.auto  # noqa: F401
from measured import instrument_contrib, mark, nothing

WARM_UP = 100


def main() -> None:
    count, queue, marks = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    if os.environ["BENCH_VARIANT"] == "contrib":
        instrument_contrib()

    def publish(number: int) -> None:
        order = {"id": number, "lines": [1, 2, 3]}
        nothing.apply_async((order,), {"customer": "someone"}, queue=queue)

    for number in range(WARM_UP):
        publish(number)
    mark.apply_async((marks,), queue=queue)
    begun = time.process_time_ns()
    for number in range(count):
        publish(number)
    if os.environ["BENCH_VARIANT"] == "contrib":
        from opentelemetry import trace

        trace.get_tracer_provider().force_flush()
    print((time.process_time_ns() - begun) / count)
    mark.apply_async((marks,), queue=queue)


if __name__ == "__main__":
    main()
