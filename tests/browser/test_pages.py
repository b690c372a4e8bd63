"""Every page shows what the API says."""

from __future__ import annotations

import os
import random
import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.canned import ODD_SESSION, World, anomaly
from tests.browser.conftest import Open, Watch, new_visitor

pytestmark = pytest.mark.browser

Demo = tuple[str, World]
PAGES = {
    "": ("Overview", ("Sessions", "Revenue", "Anomalies over the day", "Newest anomalies")),
    "anomalies": ("Anomalies", ("over time", "By rule", "BOT_LIKE", "HIGH_FREQUENCY")),
    "daily": ("Daily metrics", ("Mean per day", "How a week goes", "All numbers")),
    "funnel": ("Funnel", ("Two or more views", "Direct purchase", "Sessions per step")),
    "items": ("Items", ("Leading items by clicks", "Categories by clicks", "On the rise")),
    "operations": ("Operations", ("Reconciliation", "Balanced", "Sources", "Positions")),
}
DRAWN = dict.fromkeys(PAGES, "stVegaLiteChart") | {"operations": "stDataFrame"}


def main_text(page: Page) -> str:
    return page.get_by_test_id("stMain").inner_text()


@pytest.mark.parametrize("path", PAGES)
def test_page_shows_its_numbers(path: str, demo: Demo, open_page: Open) -> None:
    page = open_page(f"{demo[0]}/{path}")
    title, texts = PAGES[path]
    expect(page.locator(".cg-head h1")).to_have_text(title)
    for text in texts:
        expect(page.get_by_test_id("stMain")).to_contain_text(text)
    expect(page.get_by_test_id(DRAWN[path]).first).to_be_visible()
    assert "could not be drawn" not in main_text(page)


def test_the_sidebar_leads_to_every_page_without_loading_anew(demo: Demo, open_page: Open) -> None:
    page = open_page(demo[0])
    page.evaluate("window.loadedOnce = true")
    for title, _ in PAGES.values():
        page.get_by_test_id("stSidebar").get_by_role("link", name=title, exact=False).click()
        expect(page.locator(".cg-head h1")).to_have_text(title)
    assert page.evaluate("window.loadedOnce")


def test_overview_compares_with_the_day_and_the_week_before(demo: Demo, open_page: Open) -> None:
    card = open_page(demo[0]).locator(".cg-card").first
    expect(card).to_contain_text(f"{demo[1].days[0]['unique_sessions']:,}")
    assert re.search(r"[▲▼●] [+−±]\d+\.\d % day before", card.inner_text().replace("\n", " "))
    assert "week before" in card.inner_text()


def test_streamlits_own_chrome_is_hidden(demo: Demo, open_page: Open) -> None:
    page = open_page(demo[0])
    for name in ("stToolbar", "stMainMenu", "stAppDeployButton", "stDecoration"):
        assert not page.get_by_test_id(name).first.is_visible()
    expect(page).to_have_title("Overview · Guardian")


def test_the_first_page_is_there_within_two_seconds(
    demo: Demo, open_page: Open, chromium: Browser
) -> None:
    """For a first visit, on a machine of its own: a busy one is given time in proportion."""
    took = []
    for _ in range(3):
        context = new_visitor(chromium)
        started = time.monotonic()
        open_page(demo[0], wait=".cg-card", context=context)
        took.append(time.monotonic() - started)
        context.close()
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    assert min(took) < 2.0 * max(1.0, busy)


def test_dark_and_light_follow_the_system_and_the_choice_is_kept(
    demo: Demo, open_page: Open, chromium: Browser
) -> None:
    context = new_visitor(chromium, "dark")
    page = open_page(demo[0], context=context)
    assert scheme_of(page) == "dark"
    with page.expect_navigation():
        page.get_by_role("button", name="Light").click()
    page.wait_for_selector(".cg-head")
    assert scheme_of(page) == "light"
    page.goto(f"{demo[0]}/items")
    page.wait_for_selector(".cg-head")
    assert scheme_of(page) == "light"
    context.close()


def scheme_of(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.querySelector('.stApp')).colorScheme")


def test_a_new_anomaly_arrives_by_itself_and_nothing_moves(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/anomalies")
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    page.get_by_label("Session", exact=True).fill("half typ")
    main = page.get_by_test_id("stMain")
    main.evaluate("main => main.scrollTo(0, 90)")
    assert main.evaluate("main => main.scrollTop") == 90
    late = anomaly(1, random.Random(99)) | {"session_id": "fresh-one"}
    late["window_start"] = "2014-04-28T23:59:30.000000Z"
    before = page.locator(".cg-chip").inner_text()
    world.add(late)
    expect(page.locator(".cg-chip")).not_to_have_text(before)
    assert main.evaluate("main => main.scrollTop") == 90
    assert page.get_by_label("Session", exact=True).input_value() == "half typ"
    page.get_by_test_id("stSidebar").get_by_role("link", name="Overview").click()
    expect(page.get_by_test_id("stMain")).to_contain_text("session fresh-one")


def test_refresh_stops_when_it_is_switched_off(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/operations")
    page.get_by_text("Refresh by itself").click()
    page.wait_for_timeout(1500)
    asked = [path for path in world.seen if path == "/status"]
    page.wait_for_timeout(6000)
    assert [path for path in world.seen if path == "/status"] == asked


def test_csv_holds_every_row_of_the_table(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/daily?range=All")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = waiting.value.path().read_text("utf-8").splitlines()
    assert lines[0].startswith("dt,sessions,clicks,purchases,revenue,conversion_rate")
    assert len(lines) == 1 + len(world.days)
    assert lines[1].startswith(world.days[0]["dt"])


def test_a_day_that_is_not_computed_says_how_to_compute_it(demo: Demo, open_page: Open) -> None:
    url, world = demo
    gone = world.days.pop(3)
    try:
        page = open_page(f"{url}/funnel?date={gone['dt']}")
        expect(page.get_by_test_id("stMain")).to_contain_text(f"guardian batch {gone['dt']}")
    finally:
        world.days.insert(3, gone)


def test_the_day_is_in_the_address(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/funnel?date={world.days[5]['dt']}")
    day = world.days[5]["unique_sessions"]
    expect(page.locator(".cg-card").first).to_contain_text(f"{day:,}")


def test_the_ranking_is_in_the_address(demo: Demo, open_page: Open) -> None:
    page = open_page(f"{demo[0]}/items")
    page.get_by_role("radio", name="Revenue").click()
    expect(page.get_by_test_id("stMain")).to_contain_text("Leading items by revenue")
    expect(page).to_have_url(re.compile(r"by=Revenue"))


def test_text_of_others_is_shown_and_never_run(demo: Demo, open_page: Open, watch: Watch) -> None:
    url, world = demo
    odd = next(row for row in world.anomalies if row["session_id"] == ODD_SESSION)
    newest = odd | {"window_start": "2014-04-28T23:59:40.000000Z", "anomaly_id": "f" * 32}
    world.add(newest)
    try:
        page = open_page(url)
        expect(page.locator(".st-key-ticker")).to_contain_text("<img src=x onerror")
        page.locator(".st-key-ticker a").first.click()
        expect(page.locator(".cg-head h1")).to_have_text(f"Session {ODD_SESSION}")
        assert page.locator("img[src=x]").count() == 0
    finally:
        world.anomalies.remove(newest)
