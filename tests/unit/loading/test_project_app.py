from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, current_app

from celerytrail.exporter.django.project_app import find_app

APP = "from celery import Celery\n{} = Celery({!r}, set_as_current=False)\n"
ENVIRON = {"DJANGO_SETTINGS_MODULE": "found_in.settings.prod"}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Writes a module of a project that is importable while the test runs."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(name: str, text: str) -> None:
        path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for parent in path.relative_to(tmp_path).parents:
            if parent != Path() and not (tmp_path / parent / "__init__.py").exists():
                (tmp_path / parent / "__init__.py").touch()

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("found_in"):
            del sys.modules[name]


def main_of(settings: Any = None, environ: dict[str, str] | None = None) -> Any:
    return find_app(settings or SimpleNamespace(), ENVIRON if environ is None else environ).main


def test_the_places_are_looked_at_in_their_order(module: Callable[..., None]) -> None:
    module("found_in.settings.prod", "")
    module("found_in.__init__", APP.format("celery_app", "package"))
    assert main_of() == "package"
    module("found_in.celery_app", APP.format("app", "celery_app"))
    assert main_of() == "celery_app"
    module("found_in.celery", APP.format("app", "celery"))
    assert main_of() == "celery"
    module("found_in.told", APP.format("mine", "told"))
    assert main_of(SimpleNamespace(CELERY_APP="found_in.told:mine")) == "told"


@pytest.mark.parametrize(
    "settings",
    [
        SimpleNamespace(WSGI_APPLICATION="found_in.wsgi.application"),
        SimpleNamespace(ROOT_URLCONF="found_in.urls", WSGI_APPLICATION=None),
    ],
)
def test_the_project_is_known_by_more_than_its_settings(
    module: Callable[..., None], settings: Any
) -> None:
    module("found_in.celery", APP.format("app", "celery"))
    assert main_of(settings, {"DJANGO_SETTINGS_MODULE": "settings"}) == "celery"


def test_where_there_is_none_it_is_the_current_app(module: Callable[..., None]) -> None:
    module("found_in.settings.prod", "")
    module("found_in.celery", "app = 'no app at all'\n")
    assert find_app(SimpleNamespace(), ENVIRON) is current_app


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("found_in.celery", "package.module:name"),
        ("found_in.celery:other", "no attribute 'other'"),
        ("found_in.missing:app", "No module named 'found_in.missing'"),
        ("found_in.celery:text", "that is a str"),
        ("found_in.broken:app", "raises RuntimeError"),
    ],
)
def test_a_wrong_celery_app_is_one_warning_that_names_it(
    module: Callable[..., None], told: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    module("found_in.celery", APP.format("app", "celery") + "text = 'x'\n")
    module("found_in.broken", "raise RuntimeError('hush')\n")
    with caplog.at_level(logging.WARNING, "celerytrail"):
        app = find_app(SimpleNamespace(CELERY_APP=told), ENVIRON)
    assert isinstance(app, Celery)
    assert app.main == "celery"
    (record,) = caplog.records
    assert repr(told) in record.getMessage()
    assert why in record.getMessage()
    assert "hush" not in record.getMessage()


def test_a_module_that_cannot_be_imported_is_said_and_passed_over(
    module: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    module("found_in.celery", "raise RuntimeError('hush')\n")
    module("found_in.celery_app", APP.format("app", "celery_app"))
    assert main_of() == "celery_app"
    assert "found_in.celery cannot be imported: RuntimeError" in caplog.text
    assert "hush" not in caplog.text
