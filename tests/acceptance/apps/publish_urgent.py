"""Publish one task with the priority given as argument, and print its id."""

from __future__ import annotations

import json
import sys

from ordinary import add

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)

if __name__ == "__main__":
    print(json.dumps({"id": add.apply_async((2, 3), priority=int(sys.argv[1])).id}))
