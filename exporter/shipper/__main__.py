"""``python -m celerytrail.exporter.shipper``: the shipper as a worker or publisher starts it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from celerytrail.exporter.shipper.config import ShipperConfig
from celerytrail.exporter.shipper.errors import ShipperError
from celerytrail.exporter.shipper.process import log_to_stderr, run_shipper
from celerytrail.exporter.spool.errors import SpoolError


def main() -> int:
    """Run the shipper; return 0 at its end, 2 with one line on stderr when it cannot begin."""
    parser = argparse.ArgumentParser(prog="python -m celerytrail.exporter.shipper")
    parser.add_argument("--spool", type=Path, help="the spool directory")
    parser.add_argument(
        "--exit-when-idle",
        action="store_true",
        help="end when nobody writes and everything is delivered",
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait for the end of another shipper of this directory"
    )
    options = parser.parse_args()
    log_to_stderr()
    try:
        run_shipper(
            ShipperConfig.from_env(spool=options.spool),
            exit_when_idle=options.exit_when_idle,
            wait_for_lock=options.wait,
        )
    except (ShipperError, SpoolError) as exc:
        print(f"celerytrail shipper: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
