"""Metrics in a real browser: the list, queries with completion and mistakes in place, graphs, tables, exemplars,
links, targets, cardinality; wide and narrow, light and dark, empty and with long names.

Screenshots go to build/screenshots.
"""

from __future__ import annotations

import math
import re
import time
import urllib.parse

import pytest
import requests
from browser import DESK, PHONE, browser, open_page, pictures
from playwright.sync_api import Page, expect
from remote_write import HEADERS, Native, Series, encode
from scrape_target import OPEN, Exporter

from conftest import Server, wait_until
from payloads import traces

__all__ = ["browser", "open_page"]  # the fixtures

STEP_MS, POINTS = 15_000, 140
LONG = "django_http_responses_total_by_templatename_view_transport_method_and_charset_of_a_very_long_name_total"
BOUNDS = ["0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"]
TEXT = f"""# HELP shop_requests Requests answered, by route and status.
# TYPE shop_requests counter
shop_requests_total{{route="/own"}} 1
# HELP shop_latency_seconds Time to answer.
# TYPE shop_latency_seconds histogram
# UNIT shop_latency_seconds seconds
shop_latency_seconds_bucket{{le="+Inf"}} 1
shop_latency_seconds_count 1
shop_latency_seconds_sum 1
# HELP shop_memory_bytes Memory in use.
# TYPE shop_memory_bytes gauge
# UNIT shop_memory_bytes bytes
shop_memory_bytes 1
# HELP {LONG.removesuffix("_total")} A name as only generated code has them.
# TYPE {LONG.removesuffix("_total")} counter
{LONG} 1
# EOF
"""


def history(end_ms: int, trace_ids: list[str]) -> list[Series]:
    """Half an hour of a shop."""
    begin = end_ms - POINTS * STEP_MS
    times = [begin + i * STEP_MS for i in range(POINTS)]
    made = []
    for r, route in enumerate(["/", "/search", "/cart", "/checkout"]):
        for status, share in (("200", 1.0), ("404", 0.05), ("500", 0.01)):
            labels = {"__name__": "shop_requests_total", "job": "shop", "route": route}
            rate = (40 - 8 * r) * share
            values = [(t, float(int(rate * 15 * i))) for i, t in enumerate(times)]
            made.append(Series({**labels, "status": status}, values))
        labels = {"job": "shop", "route": route}
        for b, bound in enumerate(BOUNDS):
            name = {"__name__": "shop_latency_seconds_bucket", **labels, "le": bound}
            rate = 30 * (b + 1) / len(BOUNDS)
            exemplars = [
                (times[-8 * (k + 2)], 0.04 + 0.03 * k, {"trace_id": id})
                for k, id in enumerate(trace_ids)
                if bound == "0.25"
            ]
            values = [(t, float(int(rate * 15 * i))) for i, t in enumerate(times)]
            made.append(Series(name, values, exemplars=exemplars))
        count = [(t, float(30 * 15 * i)) for i, t in enumerate(times)]
        made.append(Series({"__name__": "shop_latency_seconds_count", **labels}, count))
    for i in range(3):
        labels = {"__name__": "shop_memory_bytes", "job": "shop", "instance": f"web-{i}:8000"}
        values = [(t, 3e8 + 1e8 * i + 5e7 * math.sin(k / 9 + i)) for k, t in enumerate(times)]
        made.append(Series(labels, values))
    long = {"__name__": LONG, "templatename": "shop/" + "checkout/" * 20 + "done.html"}
    made.append(Series(long, [(t, float(i)) for i, t in enumerate(times)]))
    natives = [
        (t, Native(count=60 * i, sum=9.0 * i, offset=-12, counts=(10 * i, 30 * i, 20 * i)))
        for i, t in enumerate(times)
        if i
    ]
    made.append(Series({"__name__": "shop_native_seconds", "job": "shop"}, histograms=natives))
    many = [
        Series(
            {"__name__": "shop_sessions", "user": f"user-{i}"}, [(t, float(i)) for t in times[-3:]]
        )
        for i in range(400)
    ]
    return made + many


class Shop:
    def __init__(self, server: Server, trace_ids: list[str]):
        self.url, self.trace_ids = server.url, trace_ids

    def explore(self, *queries: str, **more: str) -> str:
        asked = {f"q.{name}": query for name, query in zip("ABCDEF", queries)}
        return f"{self.url}/explore?{urllib.parse.urlencode({**asked, 'from': 'now-35m', **more})}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics-page")
    exporter = Exporter(TEXT, OPEN)
    config = folder / "prometheus.yml"
    config.write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: shop
  static_configs: [{{targets: ["{exporter.address}"], labels: {{env: test, team: storefront}}}}]
- job_name: broken
  metrics_path: /nothing
  static_configs: [{{targets: ["127.0.0.1:1", "no-such-host.invalid:9100"]}}]
- job_name: dropped
  static_configs: [{{targets: ["127.0.0.1:2"]}}]
  relabel_configs: [{{action: drop}}]
""")
    server = Server(folder, "--prometheus-config", str(config)).start()
    try:
        request, _ = traces(3, service="shop", name="GET /checkout")
        body = request.SerializeToString()
        spans = request.resource_spans[0].scope_spans[0].spans
        headers = {"content-type": "application/x-protobuf"}
        assert requests.post(server.otlp + "/v1/traces", body, headers=headers, timeout=60).ok
        made = Shop(server, [span.trace_id.hex() for span in spans])
        series = history(int(time.time() * 1000) - 5000, made.trace_ids)
        answer = requests.post(
            server.url + "/prometheus/api/v1/write", encode(series), headers=HEADERS, timeout=60
        )
        assert answer.status_code == 204, answer.text
        ask = server.url + "/prometheus/api/v1"

        def scraped():
            up = requests.get(ask + "/query", params={"query": "up"}, timeout=60).json()
            known = requests.get(ask + "/metadata", timeout=60).json()["data"]
            return len(up["data"]["result"]) == 3 and "shop_latency_seconds" in known

        wait_until(scraped, 60, "all targets being scraped")
        yield made
        assert server.alive(), server.log.read_text()[-4000:]
    finally:
        server.stop()
        exporter.close()


def shot(page: Page, name: str) -> None:
    page.screenshot(path=str(pictures() / f"{name}.png"))


def no_sideways(page: Page) -> None:
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{page.url} scrolls sideways by {wide} px"


def test_from_the_list_to_a_graph(shop, open_page):
    page = open_page(shop.url + "/explore")
    options = page.locator(".metric-list [role=option]")
    expect(options.filter(has_text="shop_requests_total")).to_be_visible()
    shot(page, "metrics-list")
    page.keyboard.press("/")
    page.keyboard.type("latency")
    row = options.filter(has_text="shop_latency_seconds")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("histogram")
    page.keyboard.press("Enter")
    glance = page.get_by_role("region", name="shop_latency_seconds at a glance")
    expect(glance).to_contain_text("Time to answer.")
    expect(glance).to_contain_text("route")
    expect(page.locator(".explore-chart canvas").first).to_be_visible()
    expect(page).to_have_url(re.compile("histogram_quantile|rate"))
    shot(page, "metrics-glance")


def test_editor_completes_and_names_mistakes(shop, open_page):
    page = open_page(shop.explore(), refusals=True)
    editor = page.locator(".cm-content").first

    def typed() -> bool:
        """The editor comes as a chunk of its own: what is typed while it takes over from the plain field may be lost."""
        editor.click()
        page.keyboard.press("Control+a")
        page.keyboard.type("shop_req")
        return "shop_req" in editor.inner_text()

    wait_until(typed, 60, "the editor taking text")
    completion = page.locator(".cm-tooltip-autocomplete li")
    expect(completion.filter(has_text="shop_requests_total").first).to_be_visible()
    shot(page, "metrics-completion")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text("sum(rate(shop_requests_total[5m])")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    said = page.get_by_role("alert").first
    expect(said).to_contain_text("Error")
    expect(said).to_contain_text("sum(rate(shop_requests_total[5m])")
    shot(page, "metrics-mistake")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text(")")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator(".explore-chart canvas").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_name_that_nobody_sent(shop, open_page):
    page = open_page(shop.explore("rate(shop_request_totals[2m])"))
    expect(page.get_by_text("No metric is called shop_request_totals")).to_be_visible()
    shot(page, "metrics-misspelt")
    page.get_by_role("button", name="shop_requests_total", exact=True).click()
    expect(page.locator(".explore-chart canvas").first).to_be_visible()
    expect(page).to_have_url(re.compile("shop_requests_total"))


def test_several_queries_in_one_address(shop, open_page):
    rates, memory = "sum by (route) (rate(shop_requests_total[2m]))", "shop_memory_bytes"
    page = open_page(shop.explore(rates, memory))
    graphs = page.locator("section.explore-chart")
    expect(graphs).to_have_count(2)  # two units
    expect(graphs.nth(0).get_by_role("row")).to_have_count(
        6
    )  # the head, four routes and a scraped one
    expect(graphs.nth(1)).to_contain_text(re.compile(r"\d\sMB"))
    expect(graphs.nth(0)).to_contain_text("/search")
    shot(page, "metrics-two-queries")
    graphs.nth(0).get_by_role("row").filter(has_text="/search").click()
    expect(page).to_have_url(re.compile("only="))
    address = page.url
    page.get_by_role("button", name="Add query").click()
    expect(page.locator(".cm-content")).to_have_count(3)
    again = open_page(address)
    expect(again.locator("section.explore-chart")).to_have_count(2)
    expect(again.locator(".legend-name").first).to_be_visible()


def test_table_sorts(shop, open_page):
    page = open_page(shop.explore("shop_memory_bytes", view="table"))
    table = page.get_by_role("region", name="Values of query A")
    rows = table.get_by_role("row")
    expect(rows).to_have_count(5)  # the head, three of the past, one scraped
    expect(table).to_contain_text("web-2:8000")
    shot(page, "metrics-table")


def test_an_exemplar_opens_its_trace(shop, open_page):
    page = open_page(shop.explore("sum by (le) (rate(shop_latency_seconds_bucket[2m]))"))
    expect(page.locator("section.explore-chart")).to_contain_text(
        "per second"
    )  # counts, no seconds
    exemplar = page.locator("a[href*='/traces/']").first
    expect(exemplar).to_be_attached()
    shot(page, "metrics-exemplars")
    href = exemplar.get_attribute("href")
    assert any(id in href for id in shop.trace_ids)
    exemplar.evaluate("link => link.click()")
    expect(page).to_have_url(re.compile("/traces/[0-9a-f]{32}"))
    expect(page.get_by_text("GET /checkout").first).to_be_visible()


def test_native_histograms_are_a_heat_map(shop, open_page):
    page = open_page(shop.explore("rate(shop_native_seconds[2m])"))
    expect(page.locator(".explore canvas").first).to_be_visible()
    shot(page, "metrics-native")


def test_targets_say_what_is_wrong(shop, open_page):
    page = open_page(shop.url + "/targets")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("2")
    pool = page.get_by_role("region", name="Pool broken")
    expect(pool).to_contain_text("0 of 2 up")
    expect(pool).to_contain_text("Nothing listens at 127.0.0.1:1")
    expect(pool).to_contain_text("does not resolve")
    expect(page.get_by_role("region", name="Pool shop")).to_contain_text("1 of 1 up")
    page.get_by_role("region", name="Pool shop").get_by_role("button").first.click()
    expect(page.get_by_text("__address__").first).to_be_visible()
    expect(page.get_by_text("1 target dropped by relabelling")).to_be_visible()
    shot(page, "targets")
    page.get_by_role("radio", name=re.compile("Down")).click()
    expect(page.get_by_role("region", name="Pool shop")).to_have_count(0)


def test_cardinality_names_the_largest(shop, open_page):
    page = open_page(shop.url + "/explore?tab=cardinality")
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop_sessions has")
    table = page.get_by_role("region", name="Labels with most values")
    expect(table).to_contain_text("user")
    expect(table).to_contain_text("400")
    shot(page, "cardinality")


def test_the_palette_finds_metrics(shop, open_page):
    page = open_page(shop.url + "/targets")
    expect(page.get_by_role("region", name="Pool shop")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill("shop_memory")
    expect(page.get_by_role("option").filter(has_text="shop_memory_bytes").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("shop_memory_bytes"))


SCREENS = {
    "graph": lambda shop: shop.explore(
        "sum by (route) (rate(shop_requests_total[2m]))", "shop_memory_bytes"
    ),
    "table": lambda shop: shop.explore("shop_requests_total", view="table"),
    "heat": lambda shop: shop.explore(
        "sum by (le) (rate(shop_latency_seconds_bucket[2m]))", view="heat"
    ),
    "long": lambda shop: shop.explore(LONG, metric=LONG),
    "many": lambda shop: shop.explore("shop_sessions"),
    "none": lambda shop: shop.explore("nothing_of_that_name"),
    "targets": lambda shop: shop.url + "/targets",
    "cardinality": lambda shop: shop.url + "/explore?tab=cardinality",
}


@pytest.mark.parametrize(("scheme", "size"), [("light", PHONE), ("dark", DESK)])
def test_no_screen_overflows(shop, open_page, scheme, size):
    page = open_page(shop.url + "/explore", scheme, size)
    for name, address in SCREENS.items():
        page.goto(address(shop))
        expect(page.locator("main")).to_be_visible()
        page.wait_for_load_state("networkidle")
        shot(page, f"metrics-{name}-{scheme}-{size['width']}")
        no_sideways(page)


def test_an_empty_server_says_how_to_begin(new_server, open_page):
    server = new_server().start()
    page = open_page(server.url + "/explore")
    expect(page.get_by_text(re.compile("prometheus.yml")).first).to_be_visible()
    shot(page, "metrics-empty")
    page.get_by_role("tab", name="Remote write").click()
    expect(page.get_by_text(server.url + "/prometheus/api/v1/write")).to_be_visible()
    page.goto(server.url + "/targets")
    expect(page.get_by_text("Nothing is scraped")).to_be_visible()
    shot(page, "targets-empty")
    page.goto(server.url + "/explore?tab=cardinality")
    expect(page.get_by_role("heading", level=1)).to_contain_text("No series")
