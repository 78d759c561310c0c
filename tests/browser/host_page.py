"""Fixtures that open a page of the built plugin in a real browser; ``tests/conftest.py`` registers them.

``CELERYTRAIL_TEST_GRAFANA_UI=oldest`` takes the packages of Grafana 11.6 instead of 13.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.browser.browser import Watched, chromium, watched_page
from tests.browser.built_host import built_host
from tests.grafana.plugin_proxy import GrafanaStandIn, User

OpenPage = Callable[..., Watched]


@pytest.fixture(scope="session")
def plugin_site() -> Path:
    """The bundled page around the plugin, made once and kept between runs."""
    return built_host(os.environ.get("CELERYTRAIL_TEST_GRAFANA_UI") or "newest")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for all tests."""
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def host_page(browser: Browser) -> Iterator[OpenPage]:
    """Open ``path`` (``purge``) with ``query`` on a stand-in for Grafana, as one of its users.

    Afterwards the page must be clean: no exception, no error message, no request to elsewhere.
    """
    opened: list[Watched] = []
    with ExitStack() as stack:

        def open_page(
            grafana: GrafanaStandIn,
            path: str,
            query: Mapping[str, str] | None = None,
            *,
            user: User,
        ) -> Watched:
            watched = stack.enter_context(watched_page(browser, grafana.url, user.session))
            opened.append(watched)
            where = path if path.startswith("/") else f"/a/celerytrail-app/{path}"
            watched.page.goto(f"{grafana.url.rstrip('/')}{where}?{urlencode(query or {})}")
            return watched

        yield open_page
        for watched in opened:
            watched.assert_clean()
