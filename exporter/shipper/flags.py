"""Settings that are switched on or off."""

from __future__ import annotations

from collections.abc import Mapping

from celerytrail.exporter.shipper.errors import ConfigError

_FLAGS = {"": False, "0": False, "false": False, "no": False, "off": False}
_FLAGS |= {"1": True, "true": True, "yes": True, "on": True}


def flag(environ: Mapping[str, str], name: str) -> bool:
    """Return whether a setting is on; unset it is off. Raises ConfigError naming it."""
    text = environ.get(name, "").strip().lower()
    if text not in _FLAGS:
        raise ConfigError(f"{name}={text!r}: give 1 or 0")
    return _FLAGS[text]
