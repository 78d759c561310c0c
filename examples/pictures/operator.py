"""Somebody who presses the demo's buttons while the pictures are taken, by the `celerytrail` command."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from celerytrail.examples.demo.errors import DemoError
from celerytrail.examples.demo.parts import CELERYTRAIL, environment
from celerytrail.examples.shop.app import NEWSLETTER
from celerytrail.exporter.deployment import Deployment

_SECONDS: Final = 60.0
# What the command exits with when the API has answered: done, refused, done in part.
_ANSWERED: Final = (0, 1, 3)


def act(
    buttons: Path, deployment: Deployment, *, task_id: str, waiting_id: str, group_id: str
) -> None:
    """Cancel what waits, send a failed task and a chord again, and purge the newsletters.

    ``buttons`` is the demo's file of settings for a shell. A verb may well be refused: a refusal is
    written into the ledger too, and is part of the picture.

    Raises:
        DemoError: the action API does not answer.
    """
    own = {
        **_settings(buttons),
        "CELERYTRAIL_NAMESPACE": deployment.namespace,
        "CELERYTRAIL_SERVICE": deployment.service,
        "CELERYTRAIL_ENVIRONMENT": deployment.environment,
    }
    _press(own, "cancel", waiting_id, "--reason", "sent by mistake")
    _press(own, "retry", task_id, "--reason", "the shelf is full again")
    _press(own, "retry-chord", group_id, "--yes", "--reason", "the scanner is mended")
    _press(own, "purge", NEWSLETTER, "--yes", "--reason", "last week's issue")


def _settings(buttons: Path) -> Mapping[str, str]:
    lines = (line.removeprefix("export ") for line in buttons.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines)


def _press(own: Mapping[str, str], *words: str) -> None:
    done = subprocess.run(
        [*CELERYTRAIL, *words],
        env=environment(own),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode not in _ANSWERED:
        raise DemoError(f"celerytrail {words[0]} failed: {(done.stderr or done.stdout).strip()}")
