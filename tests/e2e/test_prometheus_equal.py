"""Varan answers as Prometheus does: the same remote-written bytes in both, the same questions through both APIs."""

from __future__ import annotations

import itertools
import math
import time

import prometheus_data
import prometheus_queries
import pytest
import requests
from prometheus_peer import start_prometheus
from remote_write import send_in_order

from conftest import Server, wait_until

TOLERANCE = 1e-6
POINTS = 45  # of a range query
STEP = 60


class Peers:
    """Addresses of both APIs, and the times at which to ask."""

    def __init__(self, ours: str, theirs: str, start_ms: int):
        self.ours, self.theirs = ours + "/prometheus/api/v1", theirs + "/api/v1"
        # Never on the grid of samples: see prometheus_data.
        self.begin = start_ms // 1000 + 0.777
        self.at = self.begin + 4000
        self.session = requests.Session()  # thousands of questions: connections are kept

    def ask(self, path: str, **params) -> tuple[requests.Response, requests.Response]:
        params = {key.replace("match", "match[]"): value for key, value in params.items()}
        return tuple(
            self.session.get(base + path, params=params, timeout=60)
            for base in (self.ours, self.theirs)
        )

    def both(self, path: str, **params) -> tuple[dict, dict]:
        ours, theirs = self.ask(path, **params)
        assert theirs.status_code == 200, f"the question itself is wrong: {theirs.text}"
        assert ours.status_code == 200, f"{path} {params}: {ours.status_code} {ours.text[:500]}"
        return ours.json()["data"], theirs.json()["data"]


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal")
    # Two hours that ended a while ago. They begin beside a full hour, whenever the test runs: the
    # steps of subqueries are whole seconds, and no sample may lie on one.
    start_ms = (int(time.time()) // 3600 - 3) * 3_600_000 + 13
    prometheus = start_prometheus(folder / "prometheus")
    varan = Server(folder).start()
    try:
        addresses = (varan.url + "/prometheus/api/v1/write", prometheus.url + "/api/v1/write")
        send_in_order(addresses, prometheus_data.build(start_ms))
        yield Peers(varan.url, prometheus.url, start_ms)
        assert varan.alive(), varan.log.read_text()[-4000:]
    finally:
        varan.stop()
        prometheus.stop()


def near(a: str, b: str) -> bool:
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    return abs(x - y) <= max(TOLERANCE * max(abs(x), abs(y)), 1e-12)


def key(labels: dict) -> str:
    return "{" + ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items())) + "}"


def histogram_differs(a: dict, b: dict) -> bool:
    """Counts, sums and buckets, each within the tolerance; buckets in the same places."""
    if not (near(a["count"], b["count"]) and near(a["sum"], b["sum"])):
        return True
    one, two = a.get("buckets", []), b.get("buckets", [])
    return len(one) != len(two) or any(
        x[0] != y[0] or not all(near(p, q) for p, q in zip(x[1:], y[1:], strict=True))
        for x, y in zip(one, two, strict=True)
    )


def points(series: dict) -> dict[tuple[str, float], object]:
    found = {}
    for kind in ("values", "histograms"):
        found.update({(kind, time): value for time, value in series.get(kind, [])})
    for kind in ("value", "histogram"):
        if kind in series:
            found[(kind, series[kind][0])] = series[kind][1]
    return found


def difference(ours: dict, theirs: dict, ordered: bool = False) -> str | None:
    """The first difference between two answers in words; None when they are equal."""
    if ours["resultType"] != theirs["resultType"]:
        return f"type {ours['resultType']}, not {theirs['resultType']}"
    a, b = ours["result"], theirs["result"]
    if ours["resultType"] == "string":
        return None if a[1] == b[1] else f"{a} instead of {b}"
    if ours["resultType"] == "scalar":
        return None if a[0] == b[0] and near(a[1], b[1]) else f"{a} instead of {b}"
    if ordered and [key(s["metric"]) for s in a] != [key(s["metric"]) for s in b]:
        return f"in the order {[s['metric'] for s in a]} instead of {[s['metric'] for s in b]}"
    one, two = ({key(s["metric"]): s for s in answer} for answer in (a, b))
    for name in sorted(two.keys() - one.keys()):
        return f"{name} is missing (has {len(one)} of {len(two)} series)"
    for name in sorted(one.keys() - two.keys()):
        return f"{name} should not be there ({len(one)} series instead of {len(two)})"
    for name, series in two.items():
        x, y = points(one[name]), points(series)
        if x.keys() != y.keys():
            odd = sorted(x.keys() ^ y.keys())[0]
            return f"{name} has {len(x)} points instead of {len(y)}, first at {odd}"
        for at, value in y.items():
            if isinstance(value, dict):
                if histogram_differs(x[at], value):
                    return f"{name} at {at} is {x[at]} instead of {value}"
            elif not near(x[at], value):
                return f"{name} at {at} is {x[at]} instead of {value}"
    return None


def compare(peers: Peers, queries: list[str], kinds: str, ordered: bool = False) -> None:
    differing = []
    for query in queries:
        asked = []
        if "instant" in kinds:
            # While something is down, and in the quiet time after the last sample.
            for at in (peers.begin + 3310, peers.begin + 7300):
                asked.append(("/query", {"time": f"{at:.3f}"}))
        if "range" in kinds:
            for begin, step in ((peers.begin + 2400, STEP), (peers.begin - 300, 171)):
                end = begin + POINTS * step
                times = {"start": f"{begin:.3f}", "end": f"{end:.3f}", "step": step}
                asked.append(("/query_range", times))
        for path, times in asked:
            ours, theirs = peers.ask(path, query=query, **times)
            if ours.status_code != theirs.status_code:
                differing.append(f"{query}\n    {path} {times}: {ours.text[:300]}")
            elif theirs.status_code == 200:
                found = difference(ours.json()["data"], theirs.json()["data"], ordered)
                if found:
                    differing.append(f"{query}\n    {path} {times}: {found}")
            else:
                differing.append(f"{query}\n    {path}: both refuse: {theirs.text[:300]}")
    assert not differing, f"{len(differing)} answers differ:\n" + "\n".join(differing)


@pytest.mark.parametrize("kind", prometheus_queries.KINDS)
def test_queries(peers, kind):
    queries = prometheus_queries.lines(prometheus_queries.KINDS[kind], peers.at)
    compare(peers, queries, "instant range")


def test_at_one_moment_only(peers):
    queries = prometheus_queries.lines(prometheus_queries.INSTANT_ONLY, peers.at)
    compare(peers, queries, "instant", ordered=True)


def test_over_a_range_only(peers):
    compare(peers, prometheus_queries.lines(prometheus_queries.RANGE_ONLY, peers.at), "range")


def test_there_are_enough_of_them():
    blocks = [*prometheus_queries.KINDS.values(), prometheus_queries.INSTANT_ONLY]
    blocks += [prometheus_queries.RANGE_ONLY]
    every = list(itertools.chain(*(prometheus_queries.lines(block, 0) for block in blocks)))
    assert len(set(every)) == len(every) >= 150


def test_refusals(peers):
    differing = []
    for query in prometheus_queries.lines(prometheus_queries.REFUSED, peers.at):
        ours, theirs = peers.ask("/query", query=query, time=peers.at)
        assert theirs.status_code >= 400, f"{query} is not refused by Prometheus"
        one, two = ours.json(), theirs.json()
        if (ours.status_code, one.get("errorType")) != (theirs.status_code, two["errorType"]):
            differing.append(f"{query}: {ours.status_code} {one} instead of {two}")
        elif not one["error"]:
            differing.append(f"{query}: no message")
    assert not differing, "\n".join(differing)


def test_parameters_that_are_wrong(peers):
    at = peers.at
    wrong = [
        ("/query", {}),
        ("/query", {"query": "up", "time": "yesterday"}),
        ("/query", {"query": "up", "timeout": "soon"}),
        ("/query_range", {"query": "up", "start": at, "end": at - 60, "step": 15}),
        ("/query_range", {"query": "up", "start": at, "end": at + 60, "step": 0}),
        ("/query_range", {"query": "up", "start": at, "end": at + 60, "step": -1}),
        ("/query_range", {"query": "up", "start": at, "end": at + 60}),
        ("/query_range", {"query": "up[5m]", "start": at, "end": at + 60, "step": 15}),
        ("/query_range", {"query": "up", "start": at - 1e6, "end": at, "step": 1}),
        ("/series", {}),
        ("/series", {"match": "{"}),
        ("/query_exemplars", {"query": "sum("}),
    ]
    differing = []
    for path, params in wrong:
        ours, theirs = peers.ask(path, **params)
        assert theirs.status_code >= 400, f"{path} {params} is not refused by Prometheus"
        one, two = ours.json(), theirs.json()
        if (ours.status_code, one.get("errorType")) != (theirs.status_code, two["errorType"]):
            differing.append(f"{path} {params}: {ours.status_code} {one} instead of {two}")
    assert not differing, "\n".join(differing)


def test_series_labels_and_values(peers):
    begin, end = peers.begin, peers.begin + 7200
    for match in (
        ["http_requests_total"],
        ['http_requests_total{status="500"}', "up"],
        ['{__name__=~"rpc.*", instance="a:80"}'],
        ["nothing_of_that_name"],
        ['{job="cron"}'],
    ):
        ours, theirs = peers.both("/series", match=match, start=begin, end=end)
        assert sorted(map(key, ours)) == sorted(map(key, theirs)), match
        for path in ("/labels", "/label/instance/values", "/label/__name__/values"):
            ours, theirs = peers.both(path, match=match, start=begin, end=end)
            assert ours == theirs, (path, match)
    for path in ("/labels", "/label/job/values", "/label/__name__/values", "/label/none/values"):
        ours, theirs = peers.both(path, start=begin, end=end)
        assert ours == theirs, path


def test_exemplars(peers):
    query = 'rate(http_requests_total{route="/"}[5m])'
    times = {"start": peers.begin, "end": peers.begin + 7200}

    def read(answer):
        return sorted(
            (key(s["seriesLabels"]), e["timestamp"], float(e["value"]), key(e["labels"]))
            for s in answer
            for e in s["exemplars"]
        )

    ours, theirs = (read(answer) for answer in peers.both("/query_exemplars", query=query, **times))
    assert theirs and ours == theirs


def test_queries_are_written_alike(peers):
    for query in (
        "sum by(job)(rate(http_requests_total{status=~'5..'}[5m]))/ignoring(a)group_left(b) up",
        "up{a='x\"y'}offset 90m",
        "-1^2",
        "topk ( 3 , up )",
        "max_over_time(up[1h:5m]@start() offset -5m)",
    ):
        ours, theirs = peers.both("/format_query", query=query)
        assert ours == theirs, query


def test_posted_forms(peers):
    form = {"query": "sum(up)", "time": str(peers.at)}
    answers = [
        requests.post(base + "/query", data=form, timeout=60) for base in (peers.ours, peers.theirs)
    ]
    assert difference(*(answer.json()["data"] for answer in answers)) is None
    assert wait_until(lambda: answers[0].json()["data"]["result"], 1, "a value")
