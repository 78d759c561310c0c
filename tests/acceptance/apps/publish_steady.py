"""Publish N tasks to one queue and print their ids: arguments are N, seconds of nap, queue."""

from __future__ import annotations

import json
import sys

from ordinary import nap

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)

if __name__ == "__main__":
    count, seconds, queue = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    for _ in range(count):
        print(json.dumps({"id": nap.apply_async((seconds,), queue=queue).id}), flush=True)
