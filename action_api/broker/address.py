"""What may be said of a broker's URL."""

from __future__ import annotations

from urllib.parse import urlsplit


def describe_broker(url: str) -> str:
    """Return scheme, host and port of a broker URL; of several, the first. No user, no password."""
    try:
        parts = urlsplit(url.split(";")[0])
        host, port = parts.hostname, parts.port
    except ValueError:
        return "a broker whose URL cannot be read"
    where = f"{host}:{port}" if port else host or "(local)"
    return f"{parts.scheme or 'broker'}://{where}"
