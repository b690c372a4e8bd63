"""Fixtures of the browser tests: one Chromium, dashboards over worlds, pages that are watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from clickstream_guardian.dashboard.server import start
from tests.browser.canned import World, demo_world, serving
from tests.browser.shops import Shop, fill, served
from tests.conftest import make_home, remove_home

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT = 15_000
REFRESH = 1.0
"""Seconds; news need not be waited for as long as by a person."""

expect.set_options(timeout=WAIT)


@dataclass
class Watch:
    """What went wrong in a page, and what it asked for."""

    faults: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def over(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("console", self._message)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))

    def _message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.faults.append(message.text)


Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="session")
def visitor(chromium: Browser) -> Iterator[BrowserContext]:
    """One profile for most tests: a visitor who has the program's files already."""
    context = new_visitor(chromium)
    yield context
    context.close()


def new_visitor(
    chromium: Browser, scheme: Literal["light", "dark"] = "light", width: int = 1440
) -> BrowserContext:
    """A fresh profile, far from UTC."""
    return chromium.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        timezone_id="America/New_York",
    )


@pytest.fixture
def open_page(visitor: BrowserContext, watch: Watch) -> Iterator[Open]:
    """Opens an address; at the end nothing may have failed in any page."""
    pages: list[Page] = []

    def opener(
        address: str, *, wait: str = ".cg-head", context: BrowserContext | None = None
    ) -> Page:
        page = (context or visitor).new_page()
        pages.append(page)
        watch.over(page)
        page.set_default_timeout(WAIT)
        page.goto(address)
        page.wait_for_selector(wait)
        return page

    yield opener
    for page in pages:
        page.close()
    assert watch.faults == []
    assert watch.hosts <= {"127.0.0.1", ""}


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """A real shop of nine days behind the real API."""
    home = make_home()
    fill(home)
    with served(home) as found:
        yield found
    remove_home(home)


@pytest.fixture(scope="session")
def empty() -> Iterator[Shop]:
    """A real home into which nothing has come."""
    home = make_home()
    with served(home) as found:
        yield found
    remove_home(home)


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[str, World]]:
    """A dashboard over a world that tests change while it looks on."""
    world = demo_world()
    with serving(world) as api, start(api.url, 0, refresh_seconds=REFRESH) as dashboard:
        yield dashboard.url, world
