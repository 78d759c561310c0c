"""Runs frames through the transformations of a panel, with the real @grafana/data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from celerytrail.dashboards.drawing import node_project
from celerytrail.dashboards.drawing.browser import run_script
from celerytrail.dashboards.drawing.server import serving

_SECONDS: Final = 120


@dataclass(frozen=True, slots=True)
class Transformed:
    """The frames that came out, or the error of a transformation."""

    frames: tuple[Mapping[str, Any], ...]
    error: str | None = None


def transform(
    jobs: Sequence[tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]],
) -> list[Transformed]:
    """Return for each job of transformations and frames what comes out.

    Frames are as ``frames.as_json`` writes them, and come out with ``name``, ``type``, ``labels`` and
    ``values`` of each field.

    Raises:
        DrawingError: something is missing on this machine, or the browser failed.
    """
    node_project.ready()
    with serving({}) as address:
        job = {
            "base": address,
            "chromium": node_project.chromium(),
            "jobs": [{"transformations": how, "frames": what} for how, what in jobs],
        }
        results = run_script("transform.mjs", job, _SECONDS)
    return [Transformed(tuple(one.get("frames", ())), one.get("error")) for one in results]
