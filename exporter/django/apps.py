"""Records a Django project's tasks: ``INSTALLED_APPS += ["celerytrail.exporter.django"]``.

Nothing else of celerytrail imports Django.
"""

from __future__ import annotations

import os

from django.apps import AppConfig
from django.conf import settings

from celerytrail.exporter.agent.django_settings import django_settings
from celerytrail.exporter.agent.errors import AgentError
from celerytrail.exporter.agent.guard import logger
from celerytrail.exporter.agent.install import installed, instrument
from celerytrail.exporter.django.project_app import find_app


class CelerytrailConfig(AppConfig):  # type: ignore[misc]
    """The entry of ``INSTALLED_APPS``; it has no models, no urls and no templates."""

    name = "celerytrail.exporter.django"
    label = "celerytrail"
    verbose_name = "celerytrail"

    def ready(self) -> None:
        """Record what this process publishes or runs; it raises nothing."""
        _say_what_came_too_late()
        instrument(find_app(settings, os.environ))


def _say_what_came_too_late() -> None:
    there = installed()
    if there is None:
        return
    try:
        unread = django_settings(os.environ).keys() - there.recorder.config.from_django.keys()
    except AgentError as exc:
        logger.warning("celerytrail records without a setting of Django's: %s", exc)
        return
    if unread:
        logger.warning(
            "celerytrail records without these settings of Django's, it was loaded before them: %s; "
            "load it by INSTALLED_APPS alone, or set them in the environment",
            ", ".join(sorted(unread)),
        )
