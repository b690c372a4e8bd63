"""An empty home, an API that is down, one that asks for a key: each page says what to do."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from clickstream_guardian.dashboard.server import start
from tests.browser.canned import demo_world, serving
from tests.browser.conftest import Open
from tests.browser.test_pages import PAGES

pytestmark = pytest.mark.browser


def test_an_empty_home_says_what_to_run_on_every_page(empty: str, open_page: Open) -> None:
    page = open_page(empty)
    for title, _ in PAGES.values():
        page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
        expect(page.locator(".cg-head h1")).to_have_text(title)
        expect(page.locator(".cg-empty")).to_contain_text("guardian demo")


def test_an_api_that_is_down_is_said_and_comes_back_by_itself(open_page: Open) -> None:
    with serving(demo_world()) as api:
        port = api.server_address[1]
    with start(f"http://127.0.0.1:{port}", 0) as dashboard:
        page = open_page(dashboard.url, wait=".cg-empty")
        expect(page.locator(".cg-empty")).to_contain_text("The API does not answer")
        expect(page.locator(".cg-empty")).to_contain_text("guardian serve")
        expect(page.locator(".cg-state")).to_contain_text("API does not answer")
        with serving(demo_world(), port):
            expect(page.locator(".cg-head h1")).to_have_text("Overview")
            expect(page.locator(".cg-card").first).to_contain_text("Sessions")
            expect(page.locator(".cg-state")).to_contain_text("Connected")
        expect(page.locator(".cg-empty")).to_contain_text("The API does not answer")
        page.close()


def test_the_key_is_sent_and_a_missing_one_is_said(open_page: Open) -> None:
    world = demo_world()
    world.key = "gk_1"
    with serving(world) as api:
        with start(api.url, 0, api_key="gk_1") as dashboard:
            page = open_page(dashboard.url)
            expect(page.locator(".cg-head h1")).to_have_text("Overview")
            page.close()
        with start(api.url, 0) as dashboard:
            page = open_page(dashboard.url, wait=".cg-empty")
            expect(page.locator(".cg-empty")).to_contain_text("The API asks for a key")
            page.close()


def test_a_busy_api_is_said(open_page: Open) -> None:
    world = demo_world()
    world.broken["/status"] = (503, "All connections are in use.")
    with serving(world) as api, start(api.url, 0) as dashboard:
        page = open_page(f"{dashboard.url}/operations", wait=".cg-empty")
        expect(page.locator(".cg-empty")).to_contain_text("The API cannot answer now")
        page.close()
