"""Finding the Celery app of a Django project where projects keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from celery import Celery, current_app

from celerytrail.exporter.agent.guard import logger

_PLACES = (("{}.celery", "app"), ("{}.celery_app", "app"), ("{}", "celery_app"))
"""Module and name in it, in the order they are looked at, for each package of the project."""


def find_app(settings: Any, environ: Mapping[str, str]) -> Any:
    """Return the Celery app that these settings mean, importing its module if need be.

    ``CELERY_APP`` (``package.module:name``) goes first, then the usual places in the packages that
    hold the settings, the WSGI application and the root URLconf, then ``celery.current_app``. What
    is there and cannot be used is a warning each; nothing is raised.
    """
    told = getattr(settings, "CELERY_APP", None)
    if told is not None:
        app = _told_app(told)
        if app is not None:
            return app
    for package in _packages(settings, environ):
        for module, name in _PLACES:
            app = _app_in(module.format(package), name)
            if app is not None:
                return app
    return current_app


def _told_app(told: object) -> Celery | None:
    module, colon, name = str(told).partition(":")
    wrong = "give package.module:name"
    if module and colon and name:
        try:
            app = getattr(import_module(module), name)
        except (ModuleNotFoundError, AttributeError) as exc:
            wrong = str(exc)
        except Exception as exc:  # noqa: BLE001 (whatever the project's own module raises)
            # Without its text: who wrote that module did not write it for a log.
            wrong = f"importing it raises {type(exc).__name__}"
        else:
            if isinstance(app, Celery):
                return app
            wrong = f"that is a {type(app).__name__}, no Celery app"
    logger.warning(
        "celerytrail: CELERY_APP=%r cannot be used, looking in the usual places: %s", told, wrong
    )
    return None


def _packages(settings: Any, environ: Mapping[str, str]) -> Iterator[str]:
    # Of proj.settings.prod that is proj.settings and proj: the nearest first.
    wsgi = str(getattr(settings, "WSGI_APPLICATION", None) or "").rpartition(".")[0]
    modules = (
        environ.get("DJANGO_SETTINGS_MODULE", ""),
        wsgi,
        str(getattr(settings, "ROOT_URLCONF", None) or ""),
    )
    seen = set()
    for module in modules:
        package = module.rpartition(".")[0]
        while package:
            if package not in seen:
                seen.add(package)
                yield package
            package = package.rpartition(".")[0]


def _app_in(module: str, name: str) -> Celery | None:
    try:
        if find_spec(module) is None:
            return None
        app = getattr(import_module(module), name, None)
    except ModuleNotFoundError as exc:
        # One of the packages around it is not there, or something that it imports is not.
        if not f"{module}.".startswith(f"{exc.name}."):
            logger.warning("celerytrail: %s cannot be imported: %s", module, exc)
        return None
    except Exception as exc:  # noqa: BLE001 (whatever the project's own module raises)
        logger.warning("celerytrail: %s cannot be imported: %s", module, type(exc).__name__)
        return None
    return app if isinstance(app, Celery) else None
