"""Profiles that were sent are found again: trees, tables, both sides of a function, over time, by trace."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
import requests

from conftest import VARAN
from payloads import Profiles, traces

MS = 1_000_000
ROOT, SPAN = os.urandom(8).hex(), os.urandom(8).hex()
TRACE = os.urandom(16).hex()
MAIN = "main /app/shop.py:3"
CHECKOUT = "checkout /app/shop.py:20"
QUERY = "query /venv/lib/python3.12/site-packages/orm/core.py:7"
LOADS = "loads /usr/lib/python3.12/json/__init__.py:346"
RENDER, RENDER_2 = "render /app/pages.py:8", "render /app/pages.py:9"


def send(server, profiles: Profiles) -> None:
    answer = requests.post(
        f"{server.otlp}/v1development/profiles",
        data=profiles.body(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def shop(server):
    """Two versions of a service; the second spends more in `query`, and has a recursive `render`."""
    now = server.sent_ns = time.time_ns()
    old = Profiles("shop", "1.0", now - 60 * 10**9)
    old.add([MAIN, CHECKOUT, QUERY], 100 * MS, thread="worker", endpoint="GET /checkout")
    old.add([MAIN, RENDER], 100 * MS, thread="worker", endpoint="GET /")
    send(server, old)
    new = Profiles("shop", "2.0", now - 40 * 10**9)
    about = {"thread": "worker", "endpoint": "GET /checkout", "trace_id": TRACE}
    new.add([MAIN, CHECKOUT, QUERY], 300 * MS, span_id=SPAN, **about)
    new.add([MAIN, CHECKOUT, QUERY], 900 * MS, "wall", span_id=SPAN, **about)
    new.add([MAIN, CHECKOUT, LOADS], 50 * MS, span_id=ROOT, **about)
    new.add([MAIN, CHECKOUT], 30 * MS, "gil_wait", span_id=ROOT, **about)
    new.add([MAIN, RENDER, RENDER_2, LOADS], 60 * MS, thread="worker", endpoint="GET /")
    new.add([MAIN, RENDER], 40 * MS, thread="worker", endpoint="GET /")
    new.add([MAIN], 5 * MS, thread="main")
    send(server, new)
    request, _ = traces(2, "shop")
    for span, (own, parent) in zip(
        request.resource_spans[0].scope_spans[0].spans, [(ROOT, ""), (SPAN, ROOT)], strict=True
    ):
        span.trace_id = bytes.fromhex(TRACE)
        span.span_id, span.parent_span_id = bytes.fromhex(own), bytes.fromhex(parent)
        span.start_time_unix_nano, span.end_time_unix_nano = now - 38 * 10**9, now - 37 * 10**9
    answer = requests.post(
        f"{server.otlp}/v1/traces",
        data=request.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf"},
        timeout=60,
    )
    assert answer.status_code == 200
    return server


def paths(tree: dict, root: str = "") -> dict[str, tuple[int, int]]:
    """ "a;b": (own, sum) of every node."""
    names = [root]
    for parent, function in zip(tree["parent"], tree["function"], strict=True):
        names.append(f"{names[parent]};{tree['functions'][function][0]}".strip(";"))
    return {
        name: (own, total)
        for name, own, total in zip(names[1:], tree["own"], tree["sum"], strict=True)
    }


def test_summary_names_what_there_is(shop):
    answer = shop.api("/profiles/summary", service="shop")
    mine = next(one for one in answer["services"] if one["service"] == "shop")
    assert {one["type"]: one["sum"] for one in mine["types"]} == {
        "cpu": 655 * MS,
        "wall": 900 * MS,
        "gil_wait": 30 * MS,
    }
    assert {one["value"]: one["sum"] for one in answer["versions"]} == {
        "2.0": 455 * MS,
        "1.0": 200 * MS,
    }
    assert [one["value"] for one in answer["endpoints"]] == ["GET /checkout", "GET /", ""]
    assert {one["value"] for one in answer["threads"]} == {"worker", "main"}
    cpu = next(one for one in answer["series"]["types"] if one["type"] == "cpu")
    assert sum(cpu["values"]) == 655 * MS


def test_tree_is_merged_over_everything_selected(shop):
    tree = shop.api("/profiles/flame", service="shop", version="2.0")
    assert tree["total"] == 455 * MS
    assert tree["left_out"] == tree["nodes_left_out"] == 0
    assert paths(tree) == {
        "main": (5 * MS, 455 * MS),
        "main;checkout": (0, 350 * MS),
        "main;checkout;query": (300 * MS, 300 * MS),
        "main;checkout;loads": (50 * MS, 50 * MS),
        "main;render": (40 * MS, 100 * MS),
        "main;render;render": (0, 60 * MS),
        "main;render;render;loads": (60 * MS, 60 * MS),
    }
    kinds = {name: kind for name, _, kind in tree["functions"]}
    assert kinds == {
        "main": "app",
        "checkout": "app",
        "render": "app",
        "query": "library",
        "loads": "python",
    }
    by_endpoint = shop.api("/profiles/flame", service="shop", endpoint="GET /", version="1.0")
    assert paths(by_endpoint) == {"main": (0, 100 * MS), "main;render": (100 * MS, 100 * MS)}
    outside = shop.api("/profiles/flame", service="shop", endpoint="")
    assert paths(outside) == {"main": (5 * MS, 5 * MS)}
    thread = shop.api("/profiles/flame", service="shop", thread="main")
    assert thread["total"] == 5 * MS
    with_lines = shop.api("/profiles/flame", service="shop", version="2.0", lines=1)
    assert len(with_lines["line"]) == len(with_lines["parent"]) == 7
    assert sorted(with_lines["line"]) == [3, 7, 8, 9, 20, 346, 346]


def test_tree_is_cut_to_the_heaviest_nodes(shop):
    many = Profiles("wide")
    for i in range(40):
        many.add(["root /a.py:1", f"leaf{i} /a.py:{i + 2}"], (i + 1) * MS)
    send(shop, many)
    tree = shop.api("/profiles/flame", service="wide", nodes=10)
    assert len(tree["parent"]) <= 10
    assert tree["nodes"] == 41
    assert tree["nodes_left_out"] == 41 - len(tree["parent"])
    assert tree["sum"][0] == tree["total"] == sum(range(41)) * MS
    leaves = [name for name in paths(tree) if ";" in name]
    assert leaves == [f"root;leaf{i}" for i in range(39, 39 - len(leaves), -1)]


def test_lines_that_hardly_count_are_joined_in_a_large_tree(shop):
    many = Profiles("lines")
    for i in range(50):
        for k in range(50):
            many.add(["root /a.py:1", f"outer /a.py:{100 + i}", f"inner /a.py:{200 + k}"], MS)
    many.add(["root /a.py:1", "rare /a.py:300"], MS)
    send(shop, many)
    whole = shop.api("/profiles/flame", service="lines", lines=1, nodes=10_000)
    assert (whole["nodes"], whole["nodes_left_out"]) == (1 + 50 + 2500 + 1, 0)
    tree = shop.api("/profiles/flame", service="lines", lines=1, nodes=200)
    assert (tree["nodes"], tree["nodes_left_out"]) == (1 + 50 + 50 + 1, 0)
    assert tree["total"] == sum(tree["own"]) == 2501 * MS
    found = {}
    for function, line, own in zip(tree["function"], tree["line"], tree["own"], strict=True):
        found.setdefault(tree["functions"][function][0], []).append((line, own))
    assert sorted(found["outer"]) == [(100 + i, 0) for i in range(50)]
    assert found["inner"] == [(0, 50 * MS)] * 50
    assert found["rare"] == [(300, MS)]  # one line alone keeps its number
    assert paths(tree)["root;outer;inner"] is not None
    by_function = shop.api("/profiles/flame", service="lines", nodes=200)
    assert by_function["nodes"] == 4


def test_two_versions_and_two_ranges_are_compared(shop):
    tree = shop.api("/profiles/flame", service="shop", version="2.0", base_version="1.0")
    assert tree["total"] == 455 * MS
    assert tree["base_total"] == 200 * MS
    at = list(paths(tree)).index("main;checkout;query")
    assert (tree["sum"][at], tree["base_sum"][at]) == (300 * MS, 100 * MS)
    border = (shop.sent_ns - 50 * 10**9) / 1e9
    ranges = {"from_": border, "to": "now", "base_from": border - 600, "base_to": border}
    rows = shop.api("/profiles/table", service="shop", **ranges)["rows"]
    query = next(row for row in rows if row["function"] == "query")
    assert (query["own"], query["base_own"]) == (300 * MS, 100 * MS)


def test_table_counts_recursion_once(shop):
    answer = shop.api("/profiles/table", service="shop", version="2.0", sort="sum")
    rows = {row["function"]: (row["own"], row["sum"]) for row in answer["rows"]}
    assert rows == {
        "main": (5 * MS, 455 * MS),
        "checkout": (0, 350 * MS),
        "query": (300 * MS, 300 * MS),
        "loads": (110 * MS, 110 * MS),
        "render": (40 * MS, 100 * MS),
    }
    found = shop.api("/profiles/table", service="shop", search="SITE-packages")["rows"]
    assert [row["function"] for row in found] == ["query"]
    few = shop.api("/profiles/table", service="shop", version="2.0", limit=2)
    assert (len(few["rows"]), few["rows_left_out"]) == (2, 3)


def test_function_from_both_sides(shop):
    answer = shop.api("/profiles/function", service="shop", version="2.0", function="render")
    assert (answer["own"], answer["sum"], answer["kind"]) == (40 * MS, 100 * MS, "app")
    assert paths(answer["callers"]) == {"main": (100 * MS, 100 * MS)}
    assert paths(answer["callees"]) == {"render": (0, 60 * MS), "render;loads": (60 * MS, 60 * MS)}
    assert answer["by_line"] == [
        {"file": "/app/pages.py", "line": 8, "own": 40 * MS, "sum": 100 * MS}
    ]
    loads = shop.api("/profiles/function", service="shop", function="loads", file=LOADS[6:-4])
    assert paths(loads["callers"]) == {
        "checkout": (0, 50 * MS),
        "checkout;main": (50 * MS, 50 * MS),
        "render": (0, 60 * MS),
        "render;render": (0, 60 * MS),
        "render;render;main": (60 * MS, 60 * MS),
    }
    assert loads["callees"]["parent"] == []
    for params in ({"function": "nothing"}, {"function": "loads", "file": "elsewhere.py"}):
        answer = requests.get(
            f"{shop.url}/api/v1/profiles/function", params={"service": "shop", **params}, timeout=60
        )
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


def test_lines_of_a_file(shop):
    answer = shop.api("/profiles/source", service="shop", version="2.0", file="/app/pages.py")
    lines = [(row["line"], row["own"], row["sum"]) for row in answer["lines"]]
    assert lines == [(8, 40 * MS, 100 * MS), (9, 0, 60 * MS)]
    of = shop.api("/profiles/source", service="shop", file="/app/shop.py", function="checkout")
    assert [row["line"] for row in of["lines"]] == [20]


def test_rates_over_time(shop):
    answer = shop.api("/profiles/series", service="shop")
    sums = {one["value"]: one for one in answer["series"]}
    assert set(sums) == {"cpu", "wall", "gil_wait"}
    step_s = answer["step_ns"] / 1e9
    assert len(sums["cpu"]["points"]) == len(answer["times"])
    assert sum(sums["cpu"]["points"]) * step_s == pytest.approx(655 * MS)
    by = shop.api("/profiles/series", service="shop", by="endpoint")["series"]
    assert [one["value"] for one in by] == ["GET /checkout", "GET /", ""]
    assert all(one["type"] == "cpu" for one in by)
    # An hour is longer than three steps of ten minutes, and shows what was when all the same.
    hour = shop.api("/profiles/series", service="shop", by="version", from_="now-1h")
    last = [
        i
        for i, v in enumerate(next(s for s in hour["series"] if s["value"] == "2.0")["points"])
        if v
    ]
    assert len(last) == 1
    assert 0 <= shop.sent_ns / 1e9 - 40 - hour["times"][last[0]] < 60


def test_what_a_trace_and_its_spans_did(shop):
    answer = shop.api("/profiles/trace", trace_id=TRACE)
    spans = {one["span_id"]: one["values"] for one in answer["spans"]}
    assert spans == {
        SPAN: {"cpu": 300 * MS, "wall": 900 * MS},
        ROOT: {"cpu": 50 * MS, "gil_wait": 30 * MS},
    }
    assert {one["type"]: one["sum"] for one in answer["types"]}["wall"] == 900 * MS
    whole = shop.api("/profiles/flame", trace_id=TRACE)
    assert whole["total"] == 350 * MS
    own = shop.api("/profiles/flame", trace_id=TRACE, span_id=ROOT)
    assert own["total"] == 50 * MS
    below = shop.api("/profiles/flame", trace_id=TRACE, span_id=ROOT, subtree=1)
    assert below["total"] == 350 * MS
    nothing = shop.api("/profiles/trace", trace_id="ab" * 16)
    assert nothing["spans"] == nothing["types"] == []


def test_downloads(shop):
    params = {"service": "shop", "version": "2.0"}
    get = f"{shop.url}/api/v1/profiles/flame"
    text = requests.get(get, params={**params, "format": "collapsed"}, timeout=60).text
    assert "main (shop.py:3);checkout (shop.py:20);query (core.py:7) 300000000" in text.splitlines()
    scope = requests.get(get, params={**params, "format": "speedscope"}, timeout=60).json()
    assert sum(scope["profiles"][0]["weights"]) == 455 * MS
    pprof = requests.get(get, params={**params, "format": "pprof"}, timeout=60).content
    # What was downloaded can be sent again.
    answer = requests.post(f"{shop.url}/api/v1/profiles?service=again", data=pprof, timeout=60)
    assert answer.status_code == 200, answer.text
    again = shop.api("/profiles/flame", service="again", from_="now-1h")
    assert again["total"] == 455 * MS
    assert paths(again) == paths(shop.api("/profiles/flame", **params))


@pytest.mark.parametrize(
    ("path", "params", "says"),
    [
        ("flame", {"trace_id": "xyz"}, "trace_id has 32 hexadecimal digits"),
        ("flame", {"span_id": ",".join(["ab" * 8] * 501)}, "more than 500 spans"),
        ("flame", {"subtree": "1"}, "trace_id and span_id are expected"),
        ("flame", {"nodes": "5"}, "from 10 to 200000"),
        ("flame", {"format": "jfr"}, "collapsed, pprof or speedscope"),
        ("flame", {"base_from": "now", "base_to": "now-1h"}, "before base_to"),
        ("function", {}, "function:"),
        ("source", {}, "file:"),
        ("series", {"by": "host"}, "by:"),
        ("table", {"sort": "name"}, "sort:"),
        ("trace", {}, "trace_id:"),
        ("summary", {"nodes": "100"}, "there is no parameter nodes"),
    ],
)
def test_wrong_questions_are_named(shop, path, params, says):
    answer = requests.get(f"{shop.url}/api/v1/profiles/{path}", params=params, timeout=60)
    assert answer.status_code == 400, answer.text
    assert says in answer.json()["error"]["message"]


def query(server, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VARAN), "query", "profile", "--server", server.url, *options],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_in_a_terminal(shop, tmp_path):
    services = query(shop)
    assert services.returncode == 0, services.stderr
    line = next(line for line in services.stdout.splitlines() if line.startswith("shop "))
    assert "cpu 655 ms" in line
    assert "gil_wait 30.0 ms" in line
    top = query(shop, "--service", "shop", "--version", "2.0", "--limit", "2").stdout.splitlines()
    assert top[0] == "455 ms of cpu"
    assert top[2].split()[:6] == ["300", "ms", "65.9", "%", "300", "ms"]
    assert "query" in top[2]
    assert top[-1] == "… 3 more (--limit)"
    of = query(shop, "loads", "--service", "shop", "--endpoint", "GET /", "--version", "2.0").stdout
    assert [word for word in of.split("called by")[1].split() if word == "render"] == ["render"]
    below = query(shop, "--trace", TRACE, "--span", ROOT, "--json")
    assert json.loads(below.stdout)["total"] == 350 * MS
    page = tmp_path / "shop.html"
    assert query(shop, "--service", "shop", "-o", str(page)).returncode == 0
    assert "checkout" in page.read_text()
    text = query(shop, "--service", "shop", "--version", "2.0", "-o", "-", "--format", "collapsed")
    assert sum(int(line.split()[-1]) for line in text.stdout.splitlines()) == 455 * MS


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["a", "b"], 2, "name one function"),
        (["a"], 2, "--service NAME"),
        (["--service", "shop", "--span", SPAN], 2, "--span goes with --trace"),
        (["--processes"], 2, "--service NAME"),
        (["--service", "shop", "--processes", "--process", "1"], 2, "--processes lists them"),
        (["--service", "shop", "-o", "x.unknown"], 2, "does not tell the format"),
        (["--service", "shop", "--from", "yesterday"], 2, "from: a time is expected"),
        (["--service", "shop", "nothing"], 1, "no stack of this selection"),
        (["--service", "nobody", "-o", "x.html"], 1, "nothing is written"),
        (["--sevice", "shop"], 2, "--service"),
    ],
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_mistakes_in_a_terminal(shop, options, status, says):
    done = query(shop, *options)
    assert done.returncode == status
    assert says in done.stderr
    assert "no samples of cpu" in query(shop, "--service", "nobody").stdout


def test_nothing_there_is_an_answer(shop):
    for path in ("summary", "flame", "table", "series"):
        answer = shop.api(f"/profiles/{path}", service="nobody")
        assert json.dumps(answer)
    assert shop.api("/profiles/flame", service="nobody")["parent"] == []


def test_long_ranges_say_the_same_as_short_ones(shop):
    short = shop.api("/profiles/flame", service="shop", from_="now-15m")
    long = shop.api("/profiles/flame", service="shop", from_="now-24h")
    assert paths(long) == paths(short)


def test_processes_and_releases(server):
    """Two workers of one version, and another version that came later."""
    now = time.time_ns()
    for pid, version, ago_s, value in (
        ("11", "1.0", 200, 5),
        ("12", "1.0", 190, 7),
        ("13", "1.1", 60, 3),
    ):
        about = {"process.pid": pid, "host.name": "box", "service.instance.id": f"worker-{pid}"}
        profiles = Profiles("workers", version, now - ago_s * 10**9, **about)
        send(server, profiles.add([MAIN, f"work_{pid} /app/shop.py:9"], value * MS))
    found = server.api("/profiles/summary", service="workers")["processes"]
    assert [(p["pid"], p["host"], p["instance"], p["version"], p["sum"]) for p in found] == [
        ("12", "box", "worker-12", "1.0", 7 * MS),
        ("11", "box", "worker-11", "1.0", 5 * MS),
        ("13", "box", "worker-13", "1.1", 3 * MS),
    ]
    assert int(found[2]["first_ns"]) == (now - 60 * 10**9) // 10**9 * 10**9
    for range_from in ("now-15m", "now-24h"):
        one = server.api(
            "/profiles/flame", service="workers", process=found[0]["value"], from_=range_from
        )
        assert paths(one) == {"main": (0, 7 * MS), "main;work_12": (7 * MS, 7 * MS)}
        assert one["total"] == 7 * MS
    assert server.api("/profiles/summary")["processes"] == []
    # In a terminal, by process id or instance.
    listed = query(server, "--service", "workers", "--processes").stdout.splitlines()
    assert [line.split()[0] for line in listed[1:]] == ["12", "11", "13"]
    assert listed[1].split()[1:] == ["46.7", "%", "box", "1.0", "worker-12"]
    for name in ("11", "worker-11"):
        one = query(server, "--service", "workers", "--process", name)
        assert "work_11" in one.stdout
        assert "work_12" not in one.stdout
    missing = query(server, "--service", "workers", "--process", "99")
    assert missing.returncode == 1
    assert "no process 99" in missing.stderr
    # The version that was there first is no release; neither are those of others.
    for range_from in ("now-15m", "now-24h"):
        series = server.api("/profiles/series", service="workers", from_=range_from)
        assert [r["version"] for r in series["releases"]] == ["1.1"]
    exact = server.api("/profiles/series", service="workers")["releases"][0]
    assert int(exact["time_ns"]) == (now - 60 * 10**9) // 10**9 * 10**9
    assert server.api("/profiles/series")["releases"] == []
    refused = requests.get(
        f"{server.url}/api/v1/profiles/flame", params={"process": "worker-11"}, timeout=60
    )
    assert refused.status_code == 400
    assert "process: a number" in refused.json()["error"]["message"]


def test_text_of_functions(server):
    """Kept once, given with the lines of its file; what is too long or of nobody is left out."""
    now = time.time_ns()
    text = "def render():\n    total = sum(rows)\n    return total"
    frame = "render /app/text.py:8"
    for version, body in (("1.0", text.replace("sum", "slow")), ("2.0", text)):
        for pid in ("11", "12"):
            about = {"process.pid": pid}
            profiles = Profiles("text", version, now - (50 - 10 * int(version[0])) * 10**9, **about)
            profiles.add([MAIN, frame], 10 * MS).source(frame, body, 7)
            profiles.add([MAIN, "long /app/text.py:90"], MS)
            profiles.source("long /app/text.py:90", "x" * 70000, 80)
            send(server, profiles)
    found = server.api("/profiles/source", service="text", file="/app/text.py")
    assert [(s["function"], s["first_line"], s["version"]) for s in found["sources"]] == [
        ("render", 7, "2.0"),
        ("render", 7, "1.0"),
    ]
    assert found["sources"][0]["text"] == text
    assert {(line["line"], line["own"]) for line in found["lines"]} == {(8, 40 * MS), (90, 4 * MS)}
    old = server.api("/profiles/source", service="text", file="/app/text.py", version="1.0")
    assert [s["text"] for s in old["sources"]] == [text.replace("sum", "slow")]
    for params in ({"service": "nobody"}, {"service": "text", "function": "main"}):
        assert server.api("/profiles/source", file="/app/text.py", **params)["sources"] == []
    rows = server.sql("SELECT count() FROM varan.profile_sources FINAL WHERE service = 'text'")
    assert int(rows[0][0]) == 2
