"""Print, as JSON lines, what the result backend says of the task ids in a file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from celery import states
from ordinary import app


def final(task_id: str, deadline: float) -> dict:
    """Wait for the end of one task, as far as the backend knows ends."""
    while True:
        meta = app.backend.get_task_meta(task_id)
        if meta["status"] in states.READY_STATES:
            break
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    result = meta["result"]
    failed = meta["status"] == states.FAILURE
    return {
        "id": task_id,
        "state": meta["status"],
        "exception_class": type(result).__name__ if failed else None,
        "exception": str(result) if failed else None,
        "result": None if failed or meta["status"] == states.REVOKED else result,
    }


if __name__ == "__main__":
    until = time.monotonic() + 280
    for line in Path(sys.argv[1]).read_text().split():
        print(json.dumps(final(line, until)))
