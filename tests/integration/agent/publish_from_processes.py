"""Publish from child processes of multiprocessing, and print the ids; the start method is given."""

import json
import multiprocessing
import sys

from recorded_app import add

import celerytrail.exporter.auto  # noqa: F401


def publish(queue):
    queue.put(add.delay(1, 1).id)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    ids = []
    for _ in range(2):
        child = context.Process(target=publish, args=(queue,))
        child.start()
        ids.append(queue.get(timeout=60))
        child.join(60)
        assert child.exitcode == 0
    print(json.dumps(ids))
