"""What Django's settings say where the environment says nothing: ``CELERYTRAIL_*`` of the same names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from celerytrail.exporter.agent.errors import AgentConfigError

_PREFIX = "CELERYTRAIL_"
_OF_OTHERS = ("DSN", "SINK_", "ACTIONS_", "GRAFANA_")
"""What begins so is for servers and operators: a shipper is not told their secrets."""

_ONE_OF = ("CELERYTRAIL_TOKEN", "CELERYTRAIL_TOKEN_FILE")


def django_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the ``CELERYTRAIL_*`` of Django's settings that ``environ`` does not have, as its texts.

    Empty where Django is not in use here, or has not loaded its settings yet: this neither imports
    Django nor makes it load them. A token in the environment, or a file of one, goes before both.
    Raises AgentConfigError naming a setting that no variable could hold.
    """
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    if not getattr(settings, "configured", False):
        return {}
    hidden = {*environ, *(_ONE_OF if any(environ.get(name) for name in _ONE_OF) else ())}
    values = {
        name: getattr(settings, name)
        for name in dir(settings)
        if name.startswith(_PREFIX)
        and not name.removeprefix(_PREFIX).startswith(_OF_OTHERS)
        and name not in hidden
    }
    return {name: _text(name, value) for name, value in values.items() if value is not None}


def load_django_settings() -> None:
    """Have Django load its settings now, where an app that uses Django has been imported.

    What is wrong with them is the project's to say: it raises nothing.
    """
    with suppress(Exception):
        settings = getattr(sys.modules.get("django.conf"), "settings", None)
        getattr(settings, "INSTALLED_APPS", None)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (str, int)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    raise AgentConfigError(
        f"{name} of Django's settings is a {type(value).__name__}: give a text, a number or a path"
    )
