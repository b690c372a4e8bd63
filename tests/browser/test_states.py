"""An empty home, an API that is down or refuses, news that arrive: the page copes by itself."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import expect

from clickstream_guardian.dashboard.server import start
from tests.browser.canned import ODD_SESSION, World, anomaly, demo_world, serving
from tests.browser.conftest import REFRESH, Open
from tests.browser.shops import Shop
from tests.browser.test_shop import TITLES

pytestmark = pytest.mark.browser

Stage = tuple[str, World]


def test_an_empty_home_says_what_to_run_on_every_page(empty: Shop, open_page: Open) -> None:
    page = open_page(empty.url)
    for title in TITLES.values():
        page.get_by_test_id("stSidebar").get_by_role("link", name=title).click()
        expect(page.locator(".cg-head h1")).to_have_text(title)
        expect(page.locator(".cg-empty")).to_contain_text("guardian demo")
    expect(page.locator(".cg-state")).to_contain_text("No events yet")


def test_an_api_that_is_down_is_said_and_comes_back_by_itself(open_page: Open) -> None:
    world = demo_world()
    with serving(world) as api:
        port = api.server_address[1]
    with start(f"http://127.0.0.1:{port}", 0, refresh_seconds=REFRESH) as dashboard:
        page = open_page(dashboard.url, wait=".cg-empty")
        expect(page.locator(".cg-empty")).to_contain_text("The API does not answer")
        expect(page.locator(".cg-empty")).to_contain_text("guardian serve")
        expect(page.locator(".cg-state")).to_contain_text("API does not answer")
        world.key = "gk_1"
        with serving(world, port):
            expect(page.locator(".cg-empty")).to_contain_text("The API asks for a key")
            world.key = None
            expect(page.locator(".cg-head h1")).to_have_text("Overview")
            expect(page.locator(".cg-card").first).to_contain_text("Sessions")
            expect(page.locator(".cg-state")).to_contain_text("Connected")
        page.close()


def test_an_api_that_is_busy_is_said(stage: Stage, open_page: Open) -> None:
    url, world = stage
    world.broken["/status"] = (503, "All connections are in use.")
    page = open_page(f"{url}/operations", wait=".cg-empty")
    expect(page.locator(".cg-empty")).to_contain_text("The API cannot answer now")
    expect(page.locator(".cg-empty")).to_contain_text("All connections are in use.")
    world.broken.clear()


def test_answers_of_an_earlier_time_are_marked_until_new_ones_come(
    stage: Stage, open_page: Open
) -> None:
    url, world = stage
    page = open_page(url)
    expect(page.locator(".cg-stale")).to_have_count(0)
    world.stale_seconds = 42
    expect(page.locator(".cg-stale")).to_contain_text("42 seconds ago")
    expect(page.locator(".cg-card").first).to_contain_text("Sessions")
    world.stale_seconds = None
    expect(page.locator(".cg-stale")).to_have_count(0)


def test_news_arrive_by_themselves_nothing_moves_and_it_can_be_stopped(
    stage: Stage, open_page: Open
) -> None:
    url, world = stage
    page = open_page(f"{url}/anomalies")
    page.locator(".st-key-anomalies .dvn-scroller").first.wait_for()
    page.get_by_label("Session", exact=True).fill("half typ")
    main = page.get_by_test_id("stMain")
    main.evaluate("main => main.scrollTo(0, 90)")
    assert main.evaluate("main => main.scrollTop") == 90
    chip = page.locator(".cg-chip")
    before = chip.inner_text()
    world.add(anomaly(1, random.Random(98)))
    expect(chip).not_to_have_text(before)
    assert main.evaluate("main => main.scrollTop") == 90
    assert page.get_by_label("Session", exact=True).input_value() == "half typ"
    page.get_by_label("Session", exact=True).fill("")
    page.get_by_text("Refresh by itself").click()
    page.wait_for_timeout(1500)
    world.seen.clear()
    page.wait_for_timeout(3000)
    assert {path.partition("?")[0] for path in world.seen} == {"/health/ready"}


def test_text_of_others_is_shown_and_never_run(stage: Stage, open_page: Open) -> None:
    url, world = stage
    odd = next(row for row in world.anomalies if row["session_id"] == ODD_SESSION)
    newest = odd | {"window_start": "2014-04-28T23:59:40.000000Z", "anomaly_id": "f" * 32}
    world.add(newest)
    page = open_page(url)
    expect(page.locator(".st-key-ticker")).to_contain_text("<img src=x onerror")
    page.locator(".st-key-ticker a").first.click()
    expect(page.locator(".cg-head h1")).to_have_text(f"Session {ODD_SESSION}")
    assert page.locator("img[src=x]").count() == 0
    world.anomalies.remove(newest)


def test_a_day_that_is_not_computed_says_how_to_compute_it(stage: Stage, open_page: Open) -> None:
    url, world = stage
    gone = world.days.pop(3)
    page = open_page(f"{url}/funnel?date={gone['dt']}")
    expect(page.get_by_test_id("stMain")).to_contain_text(f"guardian batch {gone['dt']}")
    world.days.insert(3, gone)
