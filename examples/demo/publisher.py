"""The customers of the shop as a process: the workload, recorded because of one import."""

from __future__ import annotations

import argparse
import signal
import threading

# The one line that a publisher adds to be recorded.
import celerytrail.exporter.auto  # noqa: F401
from celerytrail.examples.shop import workload


def main() -> None:
    """Send orders until there are enough or SIGTERM comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, help="how many to send; without it, until stopped")
    parser.add_argument("--every", type=float, default=0.5, help="seconds from one to the next")
    arguments = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    sent = workload.run(arguments.orders, arguments.every, stopped.is_set)
    print(f"{sent} orders sent", flush=True)


if __name__ == "__main__":
    main()
