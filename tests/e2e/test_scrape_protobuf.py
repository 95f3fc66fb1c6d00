"""The protobuf exposition format: negotiated as Prometheus does, and read to the same answers.

A target offers every type, native histograms of whole numbers and floats, exemplars and times; Debian's Prometheus and
Varan scrape it side by side. Then answers that are broken, each with what is said about them.
"""

from __future__ import annotations

import json
import time

import pytest
import requests
from prometheus_peer import start_prometheus
from prometheus_proto import (
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    PROTOBUF,
    SUMMARY,
    UNTYPED,
    bucket,
    deltas,
    double,
    exemplar,
    family,
    metric,
    part,
    spans,
    varint,
    whole,
)
from scrape_target import OPEN, job, scraping

from conftest import wait_until

__all__ = ["scraping"]  # the fixture

NATIVE = (
    whole(1, 30)
    + double(2, 12.5)
    + whole(5, 6)  # schema 3
    + double(6, 0.001)
    + whole(7, 3)
    + spans(12, (-2, 2), (3, 2))
    + deltas(13, 4, 2, -1, 2)
    + spans(9, (0, 2))
    + deltas(10, 2, 2)
)
FLOATS = (
    double(4, 10.5)
    + double(2, 3.25)
    + whole(5, 0)
    + double(6, 0.5)
    + double(8, 1.5)
    + spans(12, (0, 2))
    + double(14, 4.0)
    + double(14, 5.0)
)
CLASSIC = bucket(3, 0.1) + bucket(12, 1.0) + bucket(30, 2.5)


def everything(at: float) -> bytes:
    example = exemplar(0.7, at, trace_id="abc", other='q"\\')
    return b"".join(
        [
            family(
                "requests_total",
                COUNTER,
                metric(3, double(1, 42) + part(2, example), path='/a"b\\c\nd', code="200"),
                metric(3, double(1, 1e21), path="/", code="500"),
                help_="Requests.",
            ),
            family("load", GAUGE, metric(2, double(1, -0.25)), help_="Load.", unit="ratio"),
            family(
                "untyped", UNTYPED, metric(5, double(1, float("inf")), at_ms=int(at * 1000) - 5000)
            ),
            family(
                "took_seconds",
                SUMMARY,
                metric(
                    4,
                    whole(1, 7)
                    + double(2, 3.5)
                    + part(3, double(1, 0.5) + double(2, 0.4))
                    + part(3, double(1, 0.99) + double(2, 1.0)),
                    path="/",
                ),
            ),
            family(
                "classic_seconds",
                HISTOGRAM,
                metric(7, whole(1, 33) + double(2, 20.5) + CLASSIC, path="/"),
            ),
            family("native_seconds", HISTOGRAM, metric(7, NATIVE, path="/"), metric(7, FLOATS)),
            family("both_seconds", HISTOGRAM, metric(7, NATIVE + CLASSIC)),
            family("size", GAUGE_HISTOGRAM, metric(7, FLOATS)),
        ]
    )


# Prometheus 2 interpolates within native buckets in another way than 3: no quantiles of them.
QUERIES = [
    '{job="j", __name__!~"scrape_.*|up"}',
    "histogram_count(native_seconds) + histogram_sum(native_seconds)",
    "histogram_quantile(0.5, classic_seconds_bucket)",
    "histogram_count(size)",
    "sum(native_seconds)",
]


def near(x):
    """With bounds of buckets, which are computed, to twelve digits."""
    if isinstance(x, dict):
        return {k: v if k == "metric" else near(v) for k, v in x.items()}
    if isinstance(x, list):
        return [near(v) for v in x]
    return f"{float(x):.12g}" if isinstance(x, str) else x


def answer(base: str, query: str, at: float) -> list:
    got = requests.get(base + "/api/v1/query", params={"query": query, "time": at}, timeout=60)
    assert got.status_code == 200, got.text
    found = [near(series) for series in got.json()["data"]["result"]]
    return sorted(found, key=lambda s: json.dumps(s["metric"], sort_keys=True))


def differences(ours: str, theirs: str) -> list:
    """What one of them answers and the other does not, now; both scrape the same things again and again."""
    at = time.time() - 2
    found = []
    for query in QUERIES:
        one, other = answer(ours, query, at), answer(theirs, query, at)
        missing, more = [x for x in other if x not in one], [x for x in one if x not in other]
        if missing or more or not one:
            found.append((query, missing, more))
    return found


def test_the_same_as_prometheus(scraping, tmp_path) -> None:
    began = time.time()
    e = scraping.exporter(everything(began), PROTOBUF)
    scraping.start(job("j", e.address, scrape_native_histograms=True, scrape_interval="2s"))
    config = {
        "global": {"scrape_interval": "2s", "scrape_timeout": "2s"},
        "scrape_configs": [{"job_name": "j", "static_configs": [{"targets": [e.address]}]}],
    }
    peer = start_prometheus(tmp_path / "prometheus", json.dumps(config))
    ours = scraping.server.url + "/prometheus"
    last: list = []

    def equal() -> bool:
        last[:] = differences(ours, peer.url)
        return not last

    try:
        wait_until(equal, 60, "both having scraped")
    except pytest.fail.Exception:
        pytest.fail(f"they differ: {last}")
    finally:
        peer.stop()
    kinds = {
        name: entries[0]
        for name, entries in requests.get(ours + "/api/v1/metadata", timeout=60)
        .json()["data"]
        .items()
    }
    assert kinds["native_seconds"]["type"] == "histogram"
    assert kinds["size"]["type"] == "gaugehistogram"
    assert kinds["load"] == {"type": "gauge", "help": "Load.", "unit": "ratio"}
    found = requests.get(
        ours + "/api/v1/query_exemplars",
        params={"query": "requests_total", "start": began - 60, "end": began + 60},
        timeout=60,
    ).json()["data"]
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": "abc", "other": 'q"\\'}
    assert found[0]["exemplars"][0]["value"] == "0.7"


ACCEPT = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


def accepted(e) -> str:
    wait_until(lambda: e.asked, 60, "a scrape")
    return e.asked[-1]["Accept"]


def test_what_is_asked_for(scraping) -> None:
    """Protobuf comes first where native histograms are wanted, is not asked for otherwise, and where the file says."""
    e = {
        name: scraping.exporter("a 1\n# EOF\n", OPEN)
        for name in ("plain", "native", "named", "own")
    }
    protocols = ["PrometheusText0.0.4", "PrometheusProto"]
    scraping.start(
        job("plain", e["plain"].address),
        job("native", e["native"].address, scrape_native_histograms=True),
        job("named", e["named"].address, scrape_protocols=protocols),
        job("own", e["own"].address, scrape_native_histograms=True, scrape_protocols=protocols[:1]),
    )
    assert "protobuf" not in accepted(e["plain"])
    assert accepted(e["native"]).startswith(ACCEPT + ";q=0.6,application/openmetrics-text;")
    assert accepted(e["named"]) == f"text/plain;version=0.0.4;q=0.6,{ACCEPT};q=0.5,*/*;q=0.4"
    assert "protobuf" not in accepted(e["own"])


def targets(scraping) -> list[dict]:
    url = scraping.server.url + "/prometheus/api/v1/targets"
    return requests.get(url, timeout=60).json()["data"]["activeTargets"]


def test_native_classic_or_both(scraping) -> None:
    e = scraping.exporter(everything(time.time()), PROTOBUF)
    scraping.start(
        job("native", e.address, scrape_native_histograms=True),
        job(
            "both", e.address, scrape_native_histograms=True, always_scrape_classic_histograms=True
        ),
        job("classic", e.address, scrape_protocols=["PrometheusProto"]),
        job("coarse", e.address, scrape_native_histograms=True, native_histogram_bucket_limit=4),
        job(
            "factor", e.address, scrape_native_histograms=True, native_histogram_min_bucket_factor=2
        ),
        job("never", e.address, scrape_native_histograms=True, native_histogram_bucket_limit=1),
    )
    scraping.wait('count(up{job!="varan"})', 6)

    def series(name: str) -> int:
        """Of the last scrape that came in time: on a busy machine one of the six may not, at any moment."""
        selected = f'{{__name__=~"both_seconds.*", job="{name}"}}'
        return int(scraping.value(f"count(last_over_time({selected}[1m]))") or 0)

    wanted = {"native": 1, "both": 1 + 6, "classic": 6, "coarse": 1, "factor": 1, "never": 0}
    wait_until(lambda: {n: series(n) for n in wanted} == wanted, 60, f"{wanted} series")
    answer_ = requests.get(
        scraping.server.url + "/prometheus/api/v1/query",
        params={"query": 'last_over_time(both_seconds{job=~"native|coarse|factor"}[1m])'},
        timeout=60,
    ).json()["data"]["result"]
    buckets = {s["metric"]["job"]: s["histogram"][1]["buckets"] for s in answer_}
    assert len(buckets["native"]) == 7 and len(buckets["coarse"]) == 5
    assert all(float(b[2]) / float(b[1]) == 2 for b in buckets["factor"] if float(b[1]) > 0.001)

    def refused() -> bool:
        error = next(t["lastError"] for t in targets(scraping) if t["scrapePool"] == "never")
        return "native_histogram_bucket_limit" in error and "native_seconds" in error

    wait_until(refused, 60, "the limit being named")


LONG = "x" * 2_000_000
BROKEN = {
    "length": (b"\xff" * 11, "family 1: its length is malformed"),
    "cut": (
        family("a", GAUGE, metric(2, double(1, 1)))[:-3],
        "family 1: the answer ends within it",
    ),
    "lying": (varint(1 << 60) + b"abc", "family 1: the answer ends within it"),
    "text": (b"# TYPE a gauge\na 1\n", "family 1"),
    "nameless": (family("", GAUGE, metric(2, double(1, 1))), "family 1: it has no name"),
    "kind": (family("a", 9, metric(2, double(1, 1))), "family 1 (a): its type"),
    "other": (
        family("a", COUNTER, metric(2, double(1, 1))),
        "family 1 (a), metric 1: it has no value",
    ),
    "utf8": (family("a", GAUGE, metric(2, double(1, 1), x="1").replace(b"x", b"\xff")), "UTF-8"),
    "twice": (
        family("ok", GAUGE, metric(2, double(1, 1)))
        + family(
            "a", GAUGE, part(4, (part(1, part(1, "l") + part(2, "v"))) * 2 + part(2, double(1, 1)))
        ),
        '"l" is not unique',
    ),
    "label": (family("a", GAUGE, metric(2, double(1, 1), x=LONG)), "longer than 1 MiB"),
    "spans": (
        family(
            "a",
            HISTOGRAM,
            metric(7, whole(1, 5) + double(6, 0.1) + spans(12, (0, 1 << 30)) + deltas(13, 1)),
        ),
        "family 1 (a), metric 1: its spans need more buckets than there are",
    ),
    "negative": (
        family(
            "a",
            HISTOGRAM,
            metric(7, whole(1, 5) + double(6, 0.1) + spans(12, (0, 1)) + deltas(13, -1)),
        ),
        "the count of a bucket is negative",
    ),
    "schema": (
        family("a", HISTOGRAM, metric(7, whole(1, 5) + whole(5, 60) + double(6, 0.1))),
        "family 1 (a), metric 1",
    ),
}


def test_broken_answers(scraping) -> None:
    good = scraping.exporter(family("good", GAUGE, metric(2, double(1, 1))), PROTOBUF)
    jobs = [
        job(name, scraping.exporter(body, PROTOBUF).address, scrape_native_histograms=True)
        for name, (body, _) in BROKEN.items()
    ]
    scraping.start(*jobs, job("good", good.address))
    said: dict[str, str] = {}
    last: dict[str, str] = {}

    def errors() -> bool:
        last.update({t["scrapePool"]: t["lastError"] for t in targets(scraping) if t["lastError"]})
        # Any of them may be late on a busy machine, and says so now and then.
        said.update({name: e for name, e in last.items() if BROKEN[name][1] in e})
        return len(said) == len(BROKEN)

    wait_until(errors, 60, lambda: f"what is said about broken answers: {last};")
    assert max(map(len, said.values())) < 500
    scraping.wait("good", 1)
    scraping.wait("count(up == 0)", len(BROKEN))


def test_its_series_end(scraping) -> None:
    """What is missing in a later answer ends at once, native histograms too."""
    e = scraping.exporter(everything(time.time()), PROTOBUF)
    scraping.start(job("j", e.address, scrape_native_histograms=True))
    scraping.wait("count(both_seconds)", 1)
    e.body = family("load", GAUGE, metric(2, double(1, 3)))
    scraping.wait("load", 3)
    for name in ("both_seconds", "native_seconds"):
        wait_until(lambda name=name: scraping.query(name) == {}, 60, f"the end of {name}")
