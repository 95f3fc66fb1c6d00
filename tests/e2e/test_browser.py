"""The page in a real browser, over the shop: from Services to the SQL statement and the log line.

Screenshots of every screen go to build/screenshots, light and dark, full and empty.
"""

from __future__ import annotations

import re

import pytest
from browser import DESK, PHONE, browser, open_page, pictures, settled
from playwright.sync_api import expect

from conftest import Server, wait_until

__all__ = ["browser", "open_page"]  # the fixtures


def picture(page, name: str) -> None:
    page.screenshot(path=str(pictures() / f"{name}.png"))


def enough_data(shop) -> None:
    """The shop has been used for a little while: every kind of request is there."""

    def ready():
        searches = shop.api("/traces", filter='service=orders AND name="GET /search"')["traces"]
        failed = shop.api("/traces", filter="exception.type=ZeroDivisionError")["traces"]
        return len(searches) >= 3 and failed

    wait_until(ready, 60, "enough requests of the shop")


def test_from_services_to_the_statement_and_the_log_line(shop, open_page):
    enough_data(shop)
    page = open_page(shop.page + "/")
    page.get_by_role("link", name="orders").first.click()
    expect(page).to_have_url(re.compile("/services/orders"))
    page.get_by_text("GET /search").first.click()
    if "/traces" not in page.url:
        page.get_by_text(re.compile("trace", re.I)).first.click()
    expect(page).to_have_url(re.compile("/traces"))
    if not re.search("/traces/[0-9a-f]{32}", page.url):
        page.locator("a[href*='/traces/']").first.click()
    expect(page).to_have_url(re.compile("/traces/[0-9a-f]{32}"))
    trace_id = re.search("/traces/([0-9a-f]{32})", page.url)[1]

    def whole() -> dict | None:
        """The query's span, once the search's log line is there, too: the parts of a trace come one after another."""
        logs = shop.api("/logs", filter=f"trace_id={trace_id}")["logs"]
        spans = shop.api(f"/traces/{trace_id}")["spans"]
        queries = [span for span in spans if "LIKE" in span["db_statement"]]
        return queries[0] if queries and any("found" in line["body"] for line in logs) else None

    query = wait_until(whole, 60, "the whole trace")
    page.reload()
    page.get_by_text(re.compile("SELECT", re.I)).first.wait_for(state="attached")
    page.goto(f"{shop.page}/traces/{trace_id}?span={query['span_id']}")
    settled(page)
    panel = page.get_by_text(re.compile("LIKE")).first
    expect(panel).to_be_visible()
    expect(page.get_by_text(re.compile(r"orders\.py")).first).to_be_visible()
    picture(page, "trace-sql")
    page.get_by_role("tab", name=re.compile("logs", re.I)).first.click()
    expect(page.get_by_text(re.compile("search .* found")).first).to_be_visible()
    picture(page, "trace-logs")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_screen_full(shop, open_page, scheme, size):
    enough_data(shop)
    slow = shop.api("/traces", filter='name="GET /search"', sort="slowest")["traces"][0]["trace_id"]
    screens = {
        "services": "/services",
        "service": "/services/orders",
        "profiles": "/profiles",
        "traces": "/traces",
        "trace": f"/traces/{slow}",
        "trace-profile": f"/traces/{slow}?tab=profile",
        "logs": "/logs",
        "send-data": "/send-data",
        "settings": "/settings",
    }
    page = open_page(shop.page + "/services", scheme, DESK if size == "desk" else PHONE)
    for name, path in screens.items():
        page.goto(shop.page + path)
        expect(page.locator("main")).to_be_visible()
        settled(page)
        page.screenshot(path=str(pictures() / f"{name}-{scheme}-{size}.png"))
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{name} scrolls sideways by {wide} px at {size}"


def test_empty_screens_say_how_to_send_data(new_server, open_page):
    server = new_server().start()
    page = open_page(server.url + "/services", refusals=True)
    for name in ("services", "traces", "logs"):
        page.goto(f"{server.url}/{name}")
        expect(page.get_by_text(re.compile("varan (run|dev)")).first).to_be_visible()
        page.screenshot(path=str(pictures() / f"{name}-empty.png"))
    page.goto(server.url + "/traces/" + "0" * 31 + "1")
    expect(page.get_by_text(re.compile("not|no ", re.I)).first).to_be_visible()
    page.screenshot(path=str(pictures() / "trace-missing.png"))


def test_filter_mistake_is_shown_in_place(shop, open_page):
    page = open_page(shop.page + "/traces?filter=duration%3E5parsecs", refusals=True)
    expect(page.get_by_text(re.compile("parsecs")).first).to_be_visible()


def test_reload_and_back_keep_the_state(shop, open_page):
    page = open_page(shop.page + "/logs?filter=service%3Dorders&from=now-5m")
    page.reload()
    assert "filter=service%3Dorders" in page.url or "filter=service=orders" in page.url
    page.goto(shop.page + "/services")
    page.go_back()
    expect(page).to_have_url(re.compile("/logs"))


def test_keyboard(shop, open_page):
    page = open_page(shop.page + "/services")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_first_load_is_small(server: Server):
    import requests

    index = requests.get(server.url + "/", timeout=60)
    names = re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css))"', index.text)
    total = 0
    for name in names:
        answer = requests.get(
            server.url + name, headers={"accept-encoding": "gzip"}, stream=True, timeout=60
        )
        total += len(answer.raw.read())
    assert names and total < 100_000
