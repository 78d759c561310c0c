"""Seeing the bytes that kombu makes of a message body, without encoding anything twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu.serialization import codec, registry

from celerytrail.exporter.agent.pending import (
    BODY,
    BODY_SIZE,
    CONTENT_ENCODING,
    CONTENT_TYPE,
    ENCODED,
    PendingPublishes,
)

Encoder = Callable[..., Any]


class _WatchedEncoders(dict[str, Any]):
    """kombu's table of encoders, in which each one that is registered later is watched as well."""

    def __init__(self, watch: Callable[[Any], Any]) -> None:
        super().__init__()
        self._watch = watch

    def __setitem__(self, name: str, entry: Any) -> None:
        super().__setitem__(name, self._watch(entry))


class EncoderWatch:
    """Wraps every encoder of kombu's registry: what it makes of a pending body is kept with it.

    A body over ``max_body_bytes`` is not kept, only its size.
    """

    def __init__(self, pending: PendingPublishes, max_body_bytes: int) -> None:
        self._pending = pending
        self._max_body = max_body_bytes
        self._active = False

    def install(self) -> None:
        """Watch all encoders, those registered now and those to come; harmless when done before."""
        if self._active:
            return
        self._active = True
        watched = _WatchedEncoders(self._watch)
        for name, entry in registry._encoders.items():
            watched[name] = entry
        registry._encoders = watched
        registry._default_encode = self._wrap(
            registry._default_encode,
            registry._default_content_type,
            registry._default_content_encoding,
        )

    def uninstall(self) -> None:
        """Put the encoders back as they were; those that somebody wrapped after us stay inert."""
        if not self._active:
            return
        self._active = False
        registry._encoders = {
            name: entry._replace(encoder=_unwrapped(entry.encoder))
            for name, entry in registry._encoders.items()
        }
        registry._default_encode = _unwrapped(registry._default_encode)

    def _watch(self, entry: Any) -> Any:
        content_type, content_encoding, encoder = entry
        return codec(
            content_type,
            content_encoding,
            self._wrap(encoder, content_type, content_encoding),
        )

    def _wrap(self, encoder: Any, content_type: Any, content_encoding: Any) -> Any:
        if encoder is None or hasattr(encoder, "_celerytrail_encoder"):
            return encoder
        entries, limit = self._pending.entries, self._max_body

        def encode(data: Any, *args: Any, **kwargs: Any) -> Any:
            # kombu passes the data alone; to hand on nothing else takes as long as all the rest.
            encoded = encoder(data, *args, **kwargs) if args or kwargs else encoder(data)
            entry = entries.get(id(data))
            if entry is not None and entry[BODY] is data:
                entry[CONTENT_TYPE] = content_type
                entry[CONTENT_ENCODING] = content_encoding
                try:
                    if len(encoded) <= limit:
                        entry[ENCODED], entry[BODY_SIZE] = encoded, None
                    else:
                        entry[ENCODED], entry[BODY_SIZE] = None, len(encoded)
                except TypeError:  # somebody's encoder makes what has no length
                    entry[ENCODED] = None
            return encoded

        encode._celerytrail_encoder = encoder  # type: ignore[attr-defined]
        return encode


def _unwrapped(encoder: Any) -> Any:
    return getattr(encoder, "_celerytrail_encoder", encoder)
