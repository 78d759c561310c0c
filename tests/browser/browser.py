"""A real Chromium without a window, and what happened in a page of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Route,
    expect,
    sync_playwright,
)

PATIENCE_MILLISECONDS = 60_000
"""What a page, and what is expected of it, may take: the first one of a browser is a lot to load."""

# Its own is five seconds, whatever the pages may take.
expect.set_options(timeout=PATIENCE_MILLISECONDS)

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium(home: Path) -> Iterator[Browser]:
    """Start the browser of the system for a while; ``home`` is where it may write.

    Skips the test where there is none. It runs without its own sandbox, which needs rights that
    root in a container does not have; what it loads comes from this machine.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium here, which the plugin's pages are tested in")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin", "TZ": "UTC"},
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Watched:
    """A page, with what went wrong in it and where its requests went."""

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        """Fail for an exception or error message in the page, or a request to another origin."""
        assert self.faults == []
        assert self.strangers == []


@contextmanager
def watched_page(browser: Browser, origin: str, cookie: str) -> Iterator[Watched]:
    """Open an empty page whose visitor has that value of Grafana's session cookie.

    No request leaves ``origin``: any other is refused, and noted.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, locale="en-GB")
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    context.add_cookies([{"name": "grafana_session", "value": cookie, "url": origin}])
    watched = Watched(context.new_page(), origin)

    def guard(route: Route) -> None:
        url = route.request.url
        if urlsplit(url).netloc == urlsplit(origin).netloc or url.startswith(("data:", "blob:")):
            route.continue_()
        else:
            watched.strangers.append(url)
            route.abort()

    def heard(message: ConsoleMessage) -> None:
        # Chromium writes one for every status beyond 2xx, which several tests are about.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            watched.faults.append(message.text)

    context.route("**/*", guard)
    watched.page.on("pageerror", lambda error: watched.faults.append(str(error)))
    watched.page.on("console", heard)
    try:
        yield watched
    finally:
        context.close()


def take(page: Page, picture: Path) -> None:
    """Take a picture of all of the page. Nothing hangs on it, so icons that come late may be missing."""
    page.wait_for_timeout(300)
    page.screenshot(path=picture, full_page=True)
