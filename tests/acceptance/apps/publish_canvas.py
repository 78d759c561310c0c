"""Publish the canvas that the argument describes in JSON, and print the ids of all that it sends.

A canvas is {"task", "args", "kwargs", "options"}, {"chain": [..]}, {"group": [..]} or
{"chord": [..], "body": ..}.
"""

from __future__ import annotations

import json
import sys

from celery import chain, chord, group
from ordinary import app

import celerytrail.exporter.auto  # noqa: F401 (the one line that a publisher adds)


def canvas(of: dict):
    if "chain" in of:
        return chain(*(canvas(link) for link in of["chain"]))
    if "group" in of:
        return group(canvas(member) for member in of["group"])
    if "chord" in of:
        return chord([canvas(header) for header in of["chord"]], canvas(of["body"]))
    made = app.signature(
        of["task"],
        args=of.get("args", ()),
        kwargs=of.get("kwargs", {}),
        immutable=of.get("si", False),
    )
    return made.set(**of.get("options", {}))


if __name__ == "__main__":
    described = json.loads(sys.argv[1])
    result = canvas(described).apply_async()
    if "group" in described:
        said = {"id": None, "group": result.id, "members": [one.id for one in result.results]}
    elif "chord" in described:
        headers = result.parent
        while headers is not None and not hasattr(headers, "results"):
            headers = headers.parent  # the body is a chain: its last link is what we have
        said = {
            "id": result.id,
            "group": headers.id,
            "members": [one.id for one in headers.results],
        }
    else:
        links = [result]
        while links[-1].parent is not None:
            links.append(links[-1].parent)
        said = {"id": result.id, "group": None, "members": [one.id for one in reversed(links)]}
    print(json.dumps(said))
