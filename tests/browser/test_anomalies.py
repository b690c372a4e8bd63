"""Filters live in the address; a click opens the session."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.canned import World
from tests.browser.conftest import Open

pytestmark = pytest.mark.browser

Demo = tuple[str, World]


def rows_of(page: Page) -> int:
    """Rows that the table says it has."""
    note = page.locator(".st-key-card-table .cg-title span").inner_text()
    return int(note.split(" rows")[0].replace(",", "").rstrip("+"))


def matching(world: World, **wanted: str) -> int:
    return sum(all(row[k] == v for k, v in wanted.items()) for row in world.anomalies)


def test_a_filter_goes_into_the_address_and_comes_back_from_it(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/anomalies")
    page.get_by_role("combobox", name="Rule").click()
    page.get_by_role("option", name="BOT_LIKE").click()
    expect(page).to_have_url(re.compile("rule=BOT_LIKE"))
    expected = matching(world, rule="BOT_LIKE")
    expect(page.locator(".st-key-card-table")).to_contain_text(f"{expected} rows")
    again = open_page(page.url)
    expect(again.get_by_role("combobox", name="Rule")).to_have_value("BOT_LIKE")
    assert rows_of(again) == expected


def test_the_session_filter_takes_what_was_typed(demo: Demo, open_page: Open) -> None:
    url, world = demo
    session = world.anomalies[5]["session_id"]
    page = open_page(f"{url}/anomalies")
    page.get_by_label("Session", exact=True).fill(session)
    page.keyboard.press("Enter")
    expected = matching(world, session_id=session)
    expect(page.locator(".st-key-card-table")).to_contain_text(f"{expected} rows")


def test_a_click_opens_the_session_and_back_keeps_the_filters(demo: Demo, open_page: Open) -> None:
    url, world = demo
    page = open_page(f"{url}/anomalies?severity=critical")
    table = page.locator(".st-key-anomalies .dvn-scroller").first
    table.wait_for()
    page.wait_for_timeout(500)
    critical = [row for row in world.anomalies if row["severity"] == "critical"]
    table.click(position={"x": 500, "y": 33 * 3 + 15})
    expect(page.locator(".cg-head h1")).to_have_text(f"Session {critical[2]['session_id']}")
    assert critical[2]["anomaly_id"] in page.url
    expect(page.locator(".cg-explain")).to_have_text(critical[2]["explanation"])
    page.get_by_role("link", name="All anomalies").click()
    expect(page.locator(".cg-head h1")).to_have_text("Anomalies")
    expect(page).to_have_url(re.compile("severity=critical"))


def test_the_browsers_back_button_returns_to_the_list(demo: Demo, open_page: Open) -> None:
    page = open_page(f"{demo[0]}/anomalies?rule=BOT_LIKE")
    table = page.locator(".st-key-anomalies .dvn-scroller").first
    table.wait_for()
    page.wait_for_timeout(500)
    table.click(position={"x": 500, "y": 33 + 15})
    expect(page.locator(".cg-head h1")).to_contain_text("Session ")
    page.go_back()
    expect(page.locator(".cg-head h1")).to_have_text("Anomalies")
    expect(page.get_by_role("combobox", name="Rule")).to_have_value("BOT_LIKE")


def test_the_session_shows_value_against_threshold_and_the_events(
    demo: Demo, open_page: Open
) -> None:
    url, world = demo
    bot = next(row for row in world.anomalies if row["rule"] == "BOT_LIKE")
    page = open_page(f"{url}/session?id={bot['session_id']}&anomaly={bot['anomaly_id']}")
    bars = page.locator(".st-key-card-reason .cg-bars")
    expect(bars).to_contain_text(f"{bot['measures']['clicks']} · rule: >= 100")
    expect(bars).to_contain_text(f"{bot['measures']['diversity']} · rule: <= 0.1")
    expect(bars.locator(".cg-mark")).to_have_count(2)
    expect(page.locator(".st-key-card-evidence [data-testid=stVegaLiteChart]")).to_have_count(2)
    expect(page.locator(".st-key-card-reason")).to_contain_text(
        f"guardian explain {bot['anomaly_id']}"
    )
    with page.expect_download() as waiting:
        page.locator(".st-key-card-events").get_by_role("button", name="CSV", exact=True).click()
    lines = waiting.value.path().read_text("utf-8").splitlines()
    assert len(lines) == 1 + len(bot["sample"]["occurred_at"])
    assert (
        lines[1].split(",")[0]
        == bot["sample"]["occurred_at"][0].replace("Z", "")[:23]
        + (bot["sample"]["occurred_at"][0][23:])
    )


def test_a_session_without_anomalies_says_so(demo: Demo, open_page: Open) -> None:
    page = open_page(f"{demo[0]}/session?id=nobody")
    expect(page.get_by_test_id("stMain")).to_contain_text("This session has no anomalies")
