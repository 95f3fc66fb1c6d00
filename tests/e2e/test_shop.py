"""The demonstration as `make run` starts it: the shop under the agent, seen through the API."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from conftest import VARAN, wait_until


def trace_of(shop, filter_text: str, has: Callable[[dict], bool] = lambda span: True) -> dict:
    """A trace that both services' parts have arrived of (they come on their own, at most a moment apart), with a span
    of this kind."""

    def whole():
        for found in shop.api("/traces", filter=filter_text)["traces"]:
            if found["root"]:
                trace = shop.api(f"/traces/{found['trace_id']}")
                both = set(trace["services"]) == {"gateway", "orders"}
                # Each span's parent is there: nothing of it is on its way.
                ids = {span["span_id"] for span in trace["spans"]} | {"", None}
                linked = all(span["parent_span_id"] in ids for span in trace["spans"])
                if both and linked and any(map(has, trace["spans"])):
                    return trace
        return None

    return wait_until(whole, 60, f"a whole trace with {filter_text}")


def test_both_services_and_their_edges(shop):
    def edges():
        answer = shop.api("/services")
        names = {one["name"] for one in answer["services"]}
        pairs = {(edge["client"], edge["server_type"]) for edge in answer["edges"]}
        calls = {(edge["client"], edge["server"]) for edge in answer["edges"]}
        return (
            names >= {"gateway", "orders"}
            and ("gateway", "orders") in calls
            and ("orders", "database") in pairs
        )

    wait_until(edges, 60, "the map of calls")


def test_slow_endpoint_leads_to_its_statement_and_its_log_line(shop):
    trace = trace_of(
        shop,
        'service=orders AND name="GET /search" AND duration>50ms',
        lambda span: "LIKE" in span["db_statement"],
    )
    assert set(trace["services"]) == {"gateway", "orders"}
    statements = [span["db_statement"] for span in trace["spans"] if span["db_statement"]]
    assert any("LIKE" in statement and "products" in statement for statement in statements)
    query = next(span for span in trace["spans"] if "LIKE" in span["db_statement"])
    fields = {one["key"]: one["value"] for one in query["attributes"]}
    assert fields["code.file.path"].endswith("orders.py") and int(fields["code.line.number"]) > 50

    def log_lines():  # logs leave the application on their own, a moment after the spans
        lines = shop.api("/logs", filter=f"trace_id={trace['trace_id']}")["logs"]
        return lines if any(line["body"].startswith("search ") for line in lines) else None

    lines = wait_until(log_lines, 60, "the log line of the search")
    assert {line["span_id"] for line in lines} <= {span["span_id"] for span in trace["spans"]}


def test_one_request_is_one_trace_without_doubled_spans(shop):
    trace = trace_of(
        shop,
        'service=gateway AND name="GET /products/{product_id}"',
        lambda span: span["db_system"],
    )
    servers = [span for span in trace["spans"] if span["kind"] == 2]
    clients = [span for span in trace["spans"] if span["kind"] == 3 and not span["db_system"]]
    assert [span["service"] for span in servers].count("gateway") == 1
    assert [span["service"] for span in servers].count("orders") == 1
    assert len(clients) == 1
    queries = [span["db_statement"] for span in trace["spans"] if span["db_system"]]
    selects = [query for query in queries if query.upper().startswith("SELECT")]
    assert len(selects) == 1, queries


def test_exception_with_its_type_and_place(shop):
    def failed(span: dict) -> bool:
        return span["service"] == "orders" and any(
            event["name"] == "exception" for event in span["events"]
        )

    trace = trace_of(shop, "service=orders AND exception.type=ZeroDivisionError", failed)
    span = next(filter(failed, trace["spans"]))
    assert span["status"] == 2
    fields = {one["key"]: one["value"] for one in span["events"][0]["attributes"]}
    assert "discount_cents" in fields["exception.stacktrace"]


def test_n_plus_one_is_found(shop):
    def finding():
        for one in shop.api("/traces", filter='name~"history"', sort="slowest")["traces"]:
            for fact in shop.api(f"/traces/{one['trace_id']}")["findings"]:
                if fact["kind"] == "n_plus_one":
                    return fact
        return None

    fact = wait_until(finding, 60, "the finding in a history")
    assert len(fact["span_ids"]) >= 5


def test_no_secret_and_no_literal_in_statements(shop):
    trace = trace_of(
        shop, "service=orders AND db.system.name=sqlite", lambda span: span["db_statement"]
    )
    for span in trace["spans"]:
        assert "'%" not in span["db_statement"] and "lamp" not in span["db_statement"]


def test_logs_carry_trace_ids_and_levels(shop):
    wait_until(lambda: shop.api("/logs", filter="level>=warn")["logs"], 60, "a warning")
    lines = wait_until(
        lambda: shop.api("/logs", filter="service=orders", limit=50)["logs"], 60, "lines of orders"
    )
    assert all(line["trace_id"] for line in lines if line["scope"] == "shop.orders")


def test_command_line_shows_the_same(shop):
    def run(*words: str) -> str:
        done = subprocess.run(
            [str(VARAN), *words, "--server", shop.page], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    wait_until(lambda: {"gateway", "orders"} <= set(run("query", "services").split()), 60, "both")
    wait_until(lambda: shop.api("/traces", filter="service=orders")["traces"], 60, "a trace")
    listed = json.loads(run("query", "traces", "service=orders", "--limit", "3", "--json"))
    assert 1 <= len(listed["traces"]) <= 3
    assert listed["traces"][0]["trace_id"][:8] in run(
        "query", "trace", listed["traces"][0]["trace_id"]
    )
    wait_until(
        lambda: " orders " in run("query", "logs", "service=orders", "--limit", "5"),
        60,
        "its lines",
    )
    assert run("sql", "SELECT count() > 0 AS some FROM spans").strip()
