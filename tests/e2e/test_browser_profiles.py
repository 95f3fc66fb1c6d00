"""The flame graph and all that is around it, in a real browser, over profiles whose figures are known."""

from __future__ import annotations

import os
import re
import time

import pytest
import requests
from browser import PHONE, browser, open_page, pictures
from playwright.sync_api import Page, expect

from conftest import wait_until
from payloads import Profiles, traces

__all__ = ["browser", "open_page"]  # the fixtures

MS = 1_000_000
ROW = 18  # px of a call, as ui/src/parts/flame.draw.ts has it
REQUEST, WORK = os.urandom(8).hex(), os.urandom(8).hex()
TRACE = os.urandom(16).hex()
MAIN = "main /app/shop/main.py:3"
CHECKOUT = "checkout /app/shop/orders.py:20"
TAXES = "checkout /app/shop/orders.py:24"
QUERY = "Query.run /venv/lib/python3.12/site-packages/orm/core.py:7"
LOADS = "loads /usr/lib/python3.12/json/__init__.py:346"
RENDER = "render /app/shop/pages.py:8"
RANGE = "from=now-15m&live=0"


@pytest.fixture(scope="module")
def shop(server):
    """Version 2.0 spends more in the query than 1.0, and a request of it has samples of its own."""
    now = time.time_ns()
    old = Profiles("shop", "1.0", now - 60 * 10**9)
    old.add([MAIN, CHECKOUT, QUERY], 100 * MS, endpoint="POST /checkout", thread="worker")
    old.add([MAIN, RENDER], 300 * MS, endpoint="GET /", thread="worker")
    new = Profiles("shop", "2.0", now - 40 * 10**9)
    about = {"endpoint": "POST /checkout", "thread": "worker", "trace_id": TRACE}
    new.add([MAIN, CHECKOUT, QUERY], 500 * MS, span_id=WORK, **about)
    new.add([MAIN, TAXES, LOADS], 60 * MS, span_id=REQUEST, **about)
    new.add([MAIN, CHECKOUT, QUERY], 900 * MS, "wall", span_id=WORK, **about)
    new.add([MAIN, CHECKOUT], 30 * MS, "gil_wait", span_id=REQUEST, **about)
    new.add([MAIN, RENDER], 40 * MS, endpoint="GET /", thread="worker")
    small = Profiles("cart", "1.0", now - 40 * 10**9).add([MAIN], 20 * MS, thread="main")
    workers = [
        Profiles("workers", version, now - ago_s * 10**9, **{"process.pid": pid}).add(
            [MAIN, f"work_{pid} /app/shop/main.py:{pid}"], cost * MS
        )
        for pid, version, ago_s, cost in (
            ("11", "7.0", 300, 30),
            ("12", "7.0", 290, 10),
            ("13", "7.1", 60, 60),
        )
    ]
    new.source(RENDER, "def render(page):\n    return page.text()\n    # done\n", 7)
    for profiles in (old, new, small, *workers):
        send(server, "/v1development/profiles", profiles.body())
    request, _ = traces(2, "shop", "POST /checkout")
    spans = request.resource_spans[0].scope_spans[0].spans
    for span, own, parent in ((spans[0], REQUEST, ""), (spans[1], WORK, REQUEST)):
        span.trace_id = bytes.fromhex(TRACE)
        span.span_id, span.parent_span_id = bytes.fromhex(own), bytes.fromhex(parent)
        span.start_time_unix_nano, span.end_time_unix_nano = now - 38 * 10**9, now - 37 * 10**9
    spans[1].kind = 1
    send(server, "/v1/traces", request.SerializeToString())
    return server


def send(server, path: str, body: bytes) -> None:
    kind = {"Content-Type": "application/x-protobuf"}
    answer = requests.post(server.otlp + path, data=body, headers=kind, timeout=60)
    assert answer.status_code == 200, answer.text


def graph(page: Page, name: str | re.Pattern):
    """The flame graph of this name, drawn and in sight."""
    canvas = page.get_by_role("img", name=name)
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    return canvas


def at_row(canvas, row: int, share: float = 0.05) -> dict:
    """A point in a row of the graph, `share` of the width from the left."""
    return {"x": canvas.bounding_box()["width"] * share, "y": ROW * row + ROW / 2}


def told(canvas, row: int, *words: str | re.Pattern, share: float = 0.05) -> None:
    """Points at a row of the graph until its tip tells all of these. A graph that has just come may not listen yet."""

    def shown() -> bool:
        canvas.hover(position=at_row(canvas, row, share))
        texts = canvas.page.locator(".flame-tip").all_text_contents()
        return any(all(re.search(word, text) for word in words) for text in texts)

    wait_until(shown, 60, lambda: f"{words} in row {row} of {canvas}")


def test_flame_graph_tells_zooms_and_walks(shop, open_page):
    page = open_page(f"{shop.url}/profiles?{RANGE}")
    # The service with most CPU comes first, and the sentence names what takes most of it.
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(
            r"^shop: 1\.00\ss of CPU .* 60\.0\s% of it in Query\.run \(orm/core\.py\), for checkout"
        )
    )
    canvas = graph(page, re.compile("^CPU: flame graph of"))
    told(
        canvas,
        2,
        "checkout",
        "shop/orders.py:20 · own code",
        r"Total660\sms66\.0\s%Own0\sms0\s%",
    )
    canvas.click(position=at_row(canvas, 2))
    where = page.get_by_role("navigation", name="Zoomed to")
    expect(where).to_have_text("All›main›checkout")
    expect(page).to_have_url(re.compile("call="))
    # Zoomed, the call fills the width.
    told(canvas, 2, "checkout", share=0.97)
    page.reload()
    expect(where).to_have_text("All›main›checkout")
    page.go_back()
    expect(where).to_have_text("All")
    # The same by keyboard; what the cursor is on is told to screen readers.
    canvas = graph(page, re.compile("^CPU: flame graph of"))
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        canvas.press(key)
    expect(page.locator(".flame [aria-live]")).to_have_text(
        re.compile(r"^render, shop/pages\.py:8: total 340\sms, 34\.0\s%; own 340\sms")
    )
    canvas.press("Enter")
    expect(where).to_have_text("All›main›render")
    canvas.press("Escape")
    expect(where).to_have_text("All")


def test_search_and_own_code(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=shop&{RANGE}")
    canvas = graph(page, re.compile("^CPU: flame graph of"))
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Find a function or file")
    expect(box).to_be_focused()
    box.fill("JSON/")
    found = page.get_by_role("status").filter(has_text="function")
    expect(found).to_have_text(re.compile(r"^6\.00\s%, 60\.0\sms in 1 function$"))
    box.fill("nothing like it")
    expect(page.get_by_text("no function")).to_be_visible()
    box.press("Escape")
    expect(box).to_have_value("")
    label = canvas.get_attribute("aria-label")
    page.get_by_role("button", name="Lines").click()
    expect(page.get_by_role("img", name=re.compile("^CPU: flame graph of"))).not_to_have_attribute(
        "aria-label", label
    )
    page.get_by_role("button", name="Own code").click()
    expect(page).to_have_url(re.compile("own=1.*lines=1|lines=1.*own=1"))


def test_callers_both_sides_and_lines(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=shop&{RANGE}")
    page.get_by_role("tab", name="Callers").click()
    canvas = graph(page, re.compile("CPU by the function it is spent in"))
    told(canvas, 1, "Query.run")
    told(canvas, 2, "checkout")
    page.get_by_role("tab", name="Both sides").click()
    functions = page.get_by_role("grid", name="Functions")
    functions.get_by_text("checkout").first.click()
    above = graph(page, re.compile("CPU: callers of checkout"))
    below = graph(page, re.compile("CPU: what checkout calls"))
    told(above, 0, "main")
    told(below, 2, "Query.run")
    below.press("o")
    expect(page.get_by_role("complementary", name=re.compile("^Function"))).to_be_visible()
    page.get_by_role("tab", name="Functions").click()
    rows = page.get_by_role("grid", name="Functions").get_by_role("row")
    expect(rows.nth(1)).to_contain_text("Query.run")
    rows.filter(has_text="checkout").click()
    panel = page.get_by_role("complementary", name="Function checkout")
    expect(panel).to_contain_text("/app/shop/orders.py:20")
    lines = panel.get_by_role("table").get_by_role("row")
    expect(lines).to_have_count(3)
    expect(lines.nth(1)).to_have_text(re.compile(r"^200600\sms60\.0\s%"))
    expect(lines.nth(2)).to_have_text(re.compile(r"^24060\.0\sms6\.00\s%"))
    expect(page).to_have_url(re.compile("panel=1"))
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_lines_with_their_text(shop, open_page):
    page = open_page(
        f"{shop.url}/profiles?service=shop&panel=1&fn=render&file=/app/shop/pages.py&{RANGE}"
    )
    panel = page.get_by_role("complementary", name="Function render")
    rows = panel.get_by_role("table").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_have_text(re.compile("Source$"))
    expect(rows.nth(1)).to_have_text("7def render(page):")
    expect(rows.nth(2)).to_have_text(
        re.compile(r"^8340\sms340\sms34\.0\s%.*    return page\.text\(\)$")
    )
    expect(rows.nth(3)).to_have_text("9    # done")
    expect(rows.nth(2).locator("code")).not_to_have_css("background-color", "rgba(0, 0, 0, 0)")
    _picture(page, "profiles-source")
    page.goto(f"{shop.url}/profiles?service=shop&panel=1&fn=main&file=/app/shop/main.py&{RANGE}")
    panel = page.get_by_role("complementary", name="Function main")
    expect(panel).to_contain_text("The agent sends the text of the application’s hottest functions")


def test_two_releases_compared(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=shop&{RANGE}")
    page.get_by_label("Version").select_option("2.0")
    page.get_by_label("Compare").select_option("version:1.0")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"600\sms of CPU, 400\sms in version 1\.0; render .* shrank most: −68 points")
    )
    canvas = graph(page, re.compile("^CPU: flame graph of"))
    told(canvas, 2, r"Before100\sms25\.0\s%", r"▲ \+68 points")
    expect(page.get_by_text("▲ larger share than before")).to_be_visible()
    page.get_by_role("tab", name="Functions").click()
    first = page.get_by_role("grid", name="Functions").get_by_role("row").nth(1)
    expect(first).to_contain_text("Query.run")
    expect(first).to_contain_text("▲ +58")
    _picture(page, "profiles-compared")


def test_types_endpoints_and_download(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=shop&{RANGE}")
    page.get_by_role("radio", name=re.compile("^Wall")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"900\sms of wall"))
    page.get_by_role("radio", name=re.compile("^CPU")).click()
    page.get_by_label("Endpoint").select_option("GET /")
    expect(page.get_by_role("heading", level=1)).to_contain_text(re.compile(r"340\sms of CPU"))
    page.get_by_role("radio", name=re.compile("^Wall")).click()
    expect(page.get_by_text("No Wall samples of this selection")).to_be_visible()
    page.get_by_role("button", name="Remove the conditions").click()
    page.get_by_role("tab", name="Side by side").click()
    for name in ("CPU", "Wall", "GIL wait"):
        graph(page, re.compile(f"^{name}: flame graph of"))
    page.locator("summary", has_text="Download").click()
    for name, ending in (
        ("pprof", "pb.gz"),
        ("speedscope", "speedscope.json"),
        ("Collapsed", "txt"),
    ):
        link = page.locator(".menu-list a", has_text=name)
        assert link.get_attribute("download") == f"shop-wall.{ending}"
        answer = requests.get(shop.url + link.get_attribute("href"), timeout=60)
        assert answer.status_code == 200
        assert answer.content
    page.get_by_label("Service").select_option("cart")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cart:")


def test_one_process_and_where_a_release_was(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=workers&{RANGE}")
    chart = page.get_by_role("figure", name="CPU over time")
    expect(chart).to_contain_text(re.compile(r"7\.1 since \d"))
    choice = page.get_by_label("Process")
    expect(choice.locator("option")).to_have_text(
        ["All", re.compile(r"^13 · 60"), re.compile(r"^11 · 30"), re.compile(r"^12 · 10")]
    )
    choice.select_option(label="11 · 30.0\u202f%")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        re.compile(r"30\.0\sms of CPU .* in work_11")
    )
    expect(page).to_have_url(re.compile(r"process=\d+"))
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_contain_text("work_11")
    _picture(page, "profiles-process")
    page.get_by_label("Service").select_option("cart")
    expect(choice).to_have_count(0)


def test_what_a_trace_and_a_span_did(shop, open_page):
    page = open_page(f"{shop.url}/traces/{TRACE}?span={WORK}")
    page.get_by_role("link", name="What did this span do?").click()
    expect(
        page.get_by_text(re.compile(r"^500\sms of CPU, 100\s% of it in Query\.run"))
    ).to_be_visible()
    page.get_by_role("radio", name="Whole trace").click()
    expect(
        page.get_by_text(re.compile(r"^560\sms of CPU, 89\.3\s% of it in Query\.run"))
    ).to_be_visible()
    for name in ("CPU", "Wall", "GIL wait"):
        graph(page, re.compile(f"^{name}: flame graph of"))
    canvas = graph(page, re.compile("^CPU: flame graph of"))
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "o"):
        canvas.press(key)
    panel = page.get_by_role("complementary", name="Function checkout")
    expect(panel.get_by_role("table").get_by_role("row")).to_have_count(3)
    _picture(page, "profiles-trace")


def test_service_shows_its_code(shop, open_page):
    page = open_page(f"{shop.url}/services/shop?{RANGE}")
    code = page.get_by_role("region", name="Code")
    expect(code.get_by_role("img", name=re.compile("^CPU: flame graph"))).to_be_visible()
    page.get_by_role("link", name=re.compile(r"^660\sms|^600\sms|^560\sms")).first.click()
    expect(page).to_have_url(re.compile("/profiles\\?.*endpoint=POST"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop:")


def test_nothing_yet(new_server, open_page):
    server = new_server().start()
    page = open_page(f"{server.url}/profiles")
    expect(page.get_by_role("heading", name=re.compile("^No profiles"))).to_be_visible()
    expect(page.get_by_text(re.compile("varan run -- python app.py"))).to_be_visible()
    expect(page.get_by_text("Listening.")).to_be_visible()
    _picture(page, "profiles-empty")


def test_fits_a_phone(shop, open_page):
    page = open_page(f"{shop.url}/profiles?service=shop&{RANGE}", "dark", PHONE)
    for view in ("flame", "sandwich", "functions", "types"):
        if view != "flame":
            page.goto(f"{shop.url}/profiles?service=shop&view={view}&fn=main&{RANGE}")
        expect(page.get_by_role("tab", selected=True)).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{view} scrolls sideways by {wide} px"
        _picture(page, f"profiles-{view}-phone")


def _picture(page: Page, name: str) -> None:
    page.screenshot(path=str(pictures() / f"{name}.png"))
