"""Seeing a publish fail: Celery has no signal for it, the producer's own error tells."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from kombu.messaging import Producer

from celerytrail.exporter.agent.pending import BODY, Pending, PendingPublishes

MAX_FRAMES = 12

_METHOD = "publish"

Failed = Callable[[Pending], None]


class PublishErrorWatch:
    """Wraps ``Producer.publish``: an error of a pending publish is noted, and raised on.

    ``failed`` is called with the entry when the error is final. Where Celery would publish the
    same message again (5.7 does for callbacks), the entry stays pending with its error.
    """

    def __init__(self, pending: PendingPublishes, failed: Failed) -> None:
        self._pending = pending
        self._failed = failed
        self._original: Any = None
        self._ours: Any = None
        self._active = False

    def install(self) -> None:
        """Begin to watch; harmless when done before."""
        if self._active:
            return
        self._active = True
        original: Any = Producer.publish
        pending, noted = self._pending.of, self._noted

        @functools.wraps(original)
        def publish(producer: Any, body: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return original(producer, body, *args, **kwargs)
            except BaseException as exc:
                entry = pending(body)
                if entry is not None:
                    noted(entry, exc, sys._getframe(1))
                raise

        self._original, self._ours = original, publish
        setattr(Producer, _METHOD, publish)

    def uninstall(self) -> None:
        """Stop watching; what somebody wrapped around ours stays, and ours is inert inside it."""
        if not self._active:
            return
        self._active = False
        if getattr(Producer, _METHOD) is self._ours:
            setattr(Producer, _METHOD, self._original)

    def _noted(self, entry: Pending, exc: BaseException, caller: FrameType) -> None:
        self._pending.fail(entry, exc)
        if self._active and _is_final(caller):
            self._pending.end(entry[BODY])
            self._failed(entry)


def _is_final(frame: FrameType | None) -> bool:
    for _ in range(MAX_FRAMES):
        if frame is None or frame.f_code.co_name == "retry_over_time":
            return False
        if frame.f_code.co_name == "send_task_message":
            return True
        frame = frame.f_back
    return False
