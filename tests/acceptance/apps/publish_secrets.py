"""Publish the messages that a JSON file lists, and print their ids; UNRECORDED=1 does so unseen."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from celery import chain
from secretive import app, take

if not os.environ.get("UNRECORDED"):
    import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)

if __name__ == "__main__":
    for message in json.loads(Path(sys.argv[1]).read_text()):
        stamps = message.pop("stamps", None)
        first = message.pop("after", None)
        signature = app.tasks[f"secretive.{message.pop('task')}"].signature(
            message.pop("args", ()), message.pop("kwargs", {}), immutable=first != "result"
        )
        if first:
            signature = chain(take.si("before"), signature)
        if stamps and hasattr(signature, "stamp"):
            signature.stamp(**stamps)
        print(json.dumps({"id": signature.apply_async(**message).id}), flush=True)
