"""Varan in the place of a Prometheus: Debian's Prometheus writes to it, promtool and the requests of
Grafana's data source ask it, an OpenTelemetry SDK sends deltas and exponential histograms."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import time
import urllib.request
from functools import partial

import pytest
import requests
from prometheus_peer import start_node_exporter, start_prometheus
from remote_write import HEADERS, Native, Series, encode

from conftest import VARAN, wait_until

CONFIG = """
global: {{scrape_interval: 1s, external_labels: {{site: lab}}}}
scrape_configs:
  - job_name: node
    static_configs: [{{targets: ["{node}"]}}]
remote_write:
  - url: {varan}/prometheus/api/v1/write
    send_exemplars: true
    metadata_config: {{send_interval: 1s}}
    queue_config: {{batch_send_deadline: 200ms}}
"""


class Setting:
    """Varan, and a Prometheus that scrapes a node exporter and writes to it."""

    def __init__(self, server, node, prometheus):
        self.server, self.node, self.prometheus = server, node, prometheus
        self.base = server.url + "/prometheus"

    def get(self, path: str, base: str | None = None, **params):
        params = {key.rstrip("_").replace("match", "match[]"): v for key, v in params.items()}
        url = f"{base or self.base}/api/v1/{path}"
        return requests.get(url, params=params, timeout=60)

    def data(self, path: str, base: str | None = None, **params):
        answer = self.get(path, base, **params)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("application/json")
        body = answer.json()
        assert body["status"] == "success"
        return body["data"]

    def value(self, query: str, at: float | None = None, base: str | None = None):
        more = {"time": at} if at else {}
        result = self.data("query", base, query=query, **more)["result"]
        return float(result[0]["value"][1]) if result else None


@pytest.fixture(scope="module")
def setting(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    node = start_node_exporter(folder / "node")
    config = CONFIG.format(node=node.address, varan=server.url)
    prometheus = start_prometheus(folder / "prometheus", config)
    made = Setting(server, node, prometheus)
    wait_until(
        lambda: (made.value('count_over_time(up{job="node"}[5m])') or 0) >= 5,
        60,
        "five scrapes being written",
    )
    yield made
    for one in (prometheus, node):
        one.stop()


def by_labels(result: list) -> dict:
    out = {}
    for series in result:
        labels = {k: v for k, v in series["metric"].items() if k != "site"}
        out[json.dumps(labels, sort_keys=True)] = series["value"][1]
    return out


def test_what_is_written_is_there(setting):
    query = '{job="node", __name__!~"scrape_.*"}'

    def there(at: float) -> dict | None:
        """What Prometheus holds of a moment, if the scrape before it succeeded."""
        found = setting.data("query", setting.prometheus.url, query=query, time=at)["result"]
        return by_labels(found) if len(found) > 300 else None

    at = wait_until(lambda: there(now := time.time() - 2) and now, 60, "a moment with samples")
    # Theirs is asked again, too: a scrape that began before that moment may have ended after the question.
    wait_until(
        lambda: by_labels(setting.data("query", query=query, time=at)["result"]) == there(at),
        60,
        "the same samples being written",
    )
    assert setting.value('count(up{site="lab"})', at) == 1


def test_metadata_is_written_too(setting):
    def known():
        return setting.data("metadata", metric="node_load1")

    assert wait_until(known, 60, "metadata being written") == {
        "node_load1": [{"type": "gauge", "help": "1m load average.", "unit": ""}]
    }


SAME = [
    ("query", {"query": "1/3", "time": "100.5"}),
    ("query", {"query": '"text"', "time": "100"}),
    ("query", {"query": "vector(1e21)", "time": "100"}),
    ("query", {"query": "-1/0", "time": "2026-01-01T00:00:00.25Z"}),
    ("query_range", {"query": "vector(time())", "start": "100", "end": "130.5", "step": "10s"}),
    ("query_range", {"query": "1", "start": "100", "end": "20000", "step": "1"}),
    ("query_range", {"query": "1", "start": "100", "end": "90", "step": "1"}),
    ("query_range", {"query": "1", "start": "100", "end": "200", "step": "0"}),
    ("query_range", {"query": "1", "start": "100", "end": "200", "step": "x"}),
    ("query_range", {"query": "1", "start": "100"}),
    ("query", {"query": "1", "time": "yesterday"}),
    ("query", {"query": "1", "timeout": "soon"}),
    ("series", {}),
    ("series", {"match[]": "nothing_of_that_name"}),
    ("label/no_such_label/values", {}),
    ("metadata", {"metric": "nothing_of_that_name"}),
    ("query_exemplars", {"query": "test", "start": "100", "end": "200"}),
    ("rules", {}),
    ("rules", {"type": "neither"}),
    ("alerts", {}),
    ("alertmanagers", {}),
    ("format_query", {"query": "sum by(job)(rate(up[5m]))"}),
]


@pytest.mark.parametrize(("path", "params"), SAME)
def test_answers_are_the_same_byte_for_byte(setting, path, params):
    answers = [
        requests.get(f"{base}/api/v1/{path}", params=params, timeout=60)
        for base in (setting.base, setting.prometheus.url)
    ]
    assert answers[0].status_code == answers[1].status_code
    assert answers[0].json() == answers[1].json()


REFUSED = [
    ("GET", "/api/v1/nope", 404, "not_found"),
    ("POST", "/api/v1/nope", 404, "not_found"),
    ("GET", "/nope", 404, "not_found"),
    ("GET", "/api/v1/label/job", 404, "not_found"),
    ("PUT", "/api/v1/query", 405, "bad_data"),
    ("DELETE", "/api/v1/query", 405, "bad_data"),
    ("POST", "/api/v1/metadata", 405, "bad_data"),
    ("GET", "/api/v1/write", 405, "bad_data"),
    ("POST", "/federate", 405, "bad_data"),
    ("GET", "/-/reload", 405, "bad_data"),
    ("POST", "/api/v1/read", 404, "not_found"),
    ("PUT", "/api/v1/admin/tsdb/snapshot", 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "status", "kind"), REFUSED)
def test_what_no_resource_answers_has_the_shape_too(setting, method, path, status, kind):
    ours = requests.request(method, setting.base + path, data="a=b", timeout=60)
    assert ours.status_code == status
    assert ours.headers["Content-Type"].startswith("application/json")
    body = ours.json()
    assert body["status"] == "error" and body["errorType"] == kind and body["error"]
    if status == 405:
        assert ours.headers["Allow"]
    if "admin" not in path and "read" not in path and path != "/-/reload":
        theirs = requests.request(method, setting.prometheus.url + path, data="a=b", timeout=60)
        assert theirs.status_code == status


def test_addresses_of_the_page_of_prometheus(setting):
    def location(path: str) -> str:
        answer = requests.get(setting.base + path, allow_redirects=False, timeout=60)
        assert answer.status_code == 302
        return answer.headers["Location"]

    assert location("") == location("/") == location("/graph") == "/explore"
    assert location("/targets") == "/targets"
    asked = "/graph?g0.expr=rate%28up%5B5m%5D%29&g0.tab=1&g0.range_input=2h&g1.expr=up"
    assert location(asked) == "/explore?q.A=rate%28up%5B5m%5D%29&q.B=up&view=table&from=now-7200s"
    assert "varan_" in requests.get(setting.base + "/metrics", timeout=60).text


@pytest.mark.parametrize(
    "path", ["status/buildinfo", "status/runtimeinfo", "status/tsdb", "status/config", "targets"]
)
def test_status_has_all_that_prometheus_says(setting, path):
    assert set(setting.data(path, setting.prometheus.url)) <= set(setting.data(path)) | {
        "seriesCountByLabelValuePair"
    }


@pytest.mark.parametrize(
    "query",
    [
        "sum(",
        "up + on(job) group_left() foo{",
        "node_cpu_seconds_total + on(job) node_cpu_seconds_total",
        'label_replace(up, "x", "y", "instance", "(")',
        "topk(up, up)",
    ],
)
def test_errors_have_their_shape(setting, query):
    def both():
        """Of a moment at which both have the series: after a scrape that failed they have not, for a while."""
        answers = [
            setting.get("query", base, query=query)
            for base in (setting.base, setting.prometheus.url)
        ]
        return answers if all(answer.status_code != 200 for answer in answers) else None

    ours, theirs = wait_until(both, 60, "both refusing it")
    assert ours.status_code == theirs.status_code
    assert ours.json()["status"] == "error"
    assert ours.json()["errorType"] == theirs.json()["errorType"]
    assert ours.json()["error"]


def test_a_query_that_takes_too_long_ends(setting):
    answer = setting.get(
        "query_range",
        query="sum(rate({__name__=~'.+'}[1d:1s]))",
        start=time.time() - 86400,
        end=time.time(),
        step="10",
        timeout="1s",
    )
    assert answer.status_code in (422, 503)
    assert answer.json()["errorType"] in ("timeout", "execution")
    assert setting.value("vector(1)") == 1


def test_a_query_ends_when_its_client_leaves(setting):
    def running() -> float:
        text = requests.get(setting.server.url + "/metrics", timeout=60).text
        line = next(one for one in text.splitlines() if one.startswith("varan_prometheus_running "))
        return float(line.split()[1])

    params = {
        "query": "quantile_over_time(0.5, (sin(vector(time())))[12h:1s])",
        "start": time.time() - 12 * 3600,
        "end": time.time(),
        "step": "4",
    }
    with pytest.raises(requests.exceptions.Timeout):
        requests.get(setting.base + "/api/v1/query_range", params=params, timeout=1)
    wait_until(lambda: running() == 0, 60, "the query ending")


def test_what_grafana_asks(setting):
    """In the order of its "Save & test", then of its editor."""
    now = time.time()
    post = {"query": "1+1", "time": str(now)}
    answer = requests.post(f"{setting.base}/api/v1/query", data=post, timeout=60)
    assert answer.json()["data"] == {"resultType": "scalar", "result": [round(now, 3), "2"]}
    assert int(setting.data("status/buildinfo")["version"].split(".")[0]) >= 3
    assert "__name__" in setting.data("labels", start=now - 300, end=now)
    names = setting.data("label/__name__/values", start=now - 300, end=now, limit=40000)
    assert "node_load1" in names
    assert names == sorted(names)
    assert setting.data("label/U__job/values", match="up") == ["node"]
    answer = requests.get(
        f"{setting.base}/api/v1/query_exemplars",
        params={"query": "test", "start": (now - 300) * 1000, "end": now * 1000},
        timeout=60,
    )
    assert answer.status_code == 200
    found = setting.data("series", match="up", start=now - 300, end=now)
    assert [one["job"] for one in found] == ["node"]
    assert requests.post(f"{setting.base}/api/v1/metadata", timeout=60).status_code == 405


def test_limits_cut_with_a_warning(setting):
    answer = setting.get("labels", limit=2).json()
    assert len(answer["data"]) == 2
    assert answer["warnings"] == ["results truncated due to limit"]
    answer = setting.get("query", query="{job='node'}", limit=3).json()
    assert len(answer["data"]["result"]) == 3
    assert answer["warnings"] == ["results truncated due to limit"]


def test_large_answers_are_compressed(setting):
    request = urllib.request.Request(
        f"{setting.base}/api/v1/series?match[]=%7Bjob%3D%22node%22%7D",
        headers={"Accept-Encoding": "gzip"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(answer.read()))["status"] == "success"


def test_federation(setting):
    def read() -> list[str]:
        text = requests.get(
            f"{setting.base}/federate", params={"match[]": ["up", "node_load1"]}, timeout=60
        ).text
        return [line for line in text.splitlines() if not line.startswith("#")]

    # After a scrape that failed, on a busy machine, there is only `up` for a while.
    lines = wait_until(lambda: len(found := read()) > 1 and found, 60, "both metrics")
    assert [line.split("{")[0] for line in lines] == ["node_load1", "up"]
    assert 'site="lab"' in lines[0]


def test_federation_of_names_with_other_characters(server):
    """In quotes for those who say that they read them; with _ for those who would refuse the whole text."""
    labels = {"__name__": "http.requests", "http.route": 'a"b', "plain": "c"}
    at = int(time.time() * 1000)
    url = server.url + "/prometheus"
    answer = requests.post(
        url + "/api/v1/write",
        data=encode([Series(labels, [(at, 1.0)])]),
        headers=HEADERS,
        timeout=60,
    )
    assert answer.status_code == 204, answer.text
    params = {"match[]": '{"http.requests"}'}
    answer = requests.get(url + "/federate", params=params, timeout=60)
    assert answer.text == (
        f'# TYPE http_requests untyped\nhttp_requests{{http_route="a\\"b",plain="c"}} 1 {at}\n'
    )
    accept = {"Accept": "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6"}
    answer = requests.get(url + "/federate", params=params, headers=accept, timeout=60)
    assert "version=1.0.0" in answer.headers["Content-Type"]
    assert answer.text == (
        '# TYPE "http.requests" untyped\n'
        f'{{"http.requests","http.route"="a\\"b",plain="c"}} 1 {at}\n'
    )


def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, input=stdin)


def test_promtool_asks(setting):
    done = run("promtool", "query", "instant", setting.base, 'up{job="node"}')
    assert done.returncode == 0, done.stderr
    assert 'site="lab"' in done.stdout
    done = run("promtool", "query", "labels", setting.base, "job")
    assert done.stdout.split() == ["node"]
    done = run("promtool", "query", "series", "--match=up", setting.base)
    assert "up" in done.stdout


def test_the_command_line(setting):
    varan = str(VARAN)
    server = ["--server", setting.server.url]
    done = run(varan, "query", "promql", *server, "sum by (job) (max_over_time(up[5m]))")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["VALUE", "METRIC", "1", '{job="node"}']
    done = run(varan, "query", "promql", *server, "--from", "now-5m", "--step", "5s", "node_load1")
    assert "LAST" in done.stdout
    assert "node_load1{" in done.stdout
    done = run(varan, "query", "promql", *server, "--json", "1+1")
    assert json.loads(done.stdout)["data"]["result"][1] == "2"
    done = run(varan, "query", "promql", *server, "sum(rate(up[5m)")
    assert done.returncode == 2
    message, expression, caret = done.stderr.splitlines()
    assert "1:15" in message
    assert expression[caret.index("^")] == ")"
    assert run(varan, "query", "labels", *server, "job").stdout == "node\n"
    assert "up{" in run(varan, "query", "series", *server, "up").stdout


def test_metrics_check(setting):
    text = requests.get(setting.node.url + "/metrics", timeout=60).text
    done = run(str(VARAN), "metrics", "check", stdin=text)
    theirs = run("promtool", "check", "metrics", stdin=text)
    assert (done.returncode == 1) == (theirs.returncode == 1)
    done = run(
        str(VARAN),
        "metrics",
        "check",
        stdin="# HELP a_total x\n# TYPE a_total counter\na_total 1\n",
    )
    assert (done.returncode, done.stdout) == (0, "")
    done = run(str(VARAN), "metrics", "check", "-", stdin='a 1\nb{x="1} 2\n')
    assert done.returncode == 1
    assert "line 2" in done.stderr
    done = run(str(VARAN), "metrics", "check", stdin="# TYPE requests counter\nrequests 1\n")
    assert done.returncode == 3
    assert "_total" in done.stdout
    assert "no help text" in done.stdout


def test_deltas_and_exponential_histograms(setting):
    """What an SDK sends with delta temporality and exponential buckets."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        PeriodicExportingMetricReader,
    )
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(
        endpoint=setting.server.otlp + "/v1/metrics",
        timeout=60,
        preferred_temporality={
            Counter: AggregationTemporality.DELTA,
            Histogram: AggregationTemporality.DELTA,
        },
        preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource.create({"service.name": "sdk", "service.instance.id": "1", "zone": "z"})
    provider = MeterProvider(metric_readers=[reader], resource=resource)
    meter = provider.get_meter("test")
    counter = meter.create_counter("jobs", unit="{job}", description="Jobs done.")
    histogram = meter.create_histogram("job.duration", unit="s")
    for _ in range(3):
        counter.add(5, {"kind": "a"})
        for seconds in (0.1, 0.2, 0.4):
            histogram.record(seconds)
        assert provider.force_flush(60_000)
    provider.shutdown()
    assert setting.value('jobs_total{kind="a"}') == 15
    assert setting.value("histogram_count(job_duration_seconds)") == 9
    assert abs(setting.value("histogram_sum(job_duration_seconds)") - 2.1) < 1e-9
    assert 0.15 < setting.value("histogram_quantile(0.5, job_duration_seconds)") < 0.25
    assert setting.value('target_info{zone="z",job="sdk",instance="1"}') == 1
    assert setting.data("metadata", metric="jobs_total")["jobs_total"][0]["type"] == "counter"


def test_a_restart_loses_nothing(new_server, tmp_path):
    """Senders hear 503 while a server starts, and send again."""
    held = (
        socket.socket()
    )  # bound and never listening: nobody else gets the port between two starts
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{held.getsockname()[1]}"
    server = new_server("--listen", address).start()
    node = start_node_exporter(tmp_path / "node")
    config = CONFIG.format(node=node.address, varan=server.url)
    prometheus = start_prometheus(tmp_path / "prometheus", config)

    def count(base: str, at: float) -> float:
        answer = requests.get(
            f"{base}/api/v1/query",
            params={"query": "count_over_time(node_load1[1h])", "time": at},
            timeout=60,
        )
        result = answer.json()["data"]["result"] if answer.status_code == 200 else []
        return float(result[0]["value"][1]) if result else 0

    ours = f"http://{address}/prometheus"

    def caught_up(at: float) -> bool:
        return count(ours, time.time()) > count(prometheus.url, at)

    try:
        wait_until(lambda: count(ours, time.time()) >= 3, 60, "samples being written")
        for _ in range(2):
            assert server.stop() == 0
            server.start()
            at = time.time()
            wait_until(partial(caught_up, at), 60, "all samples")
            assert count(ours, at) == count(prometheus.url, at)
    finally:
        prometheus.stop()
        node.stop()
        held.close()


FEDERATION = """
scrape_configs:
  - job_name: federate
    scrape_interval: 1s
    honor_labels: true
    metrics_path: /prometheus/federate
    params: {{"match[]": ['{{job="node"}}']}}
    static_configs: [{{targets: ["{address}"]}}]
"""


def test_native_histograms_are_federated(setting, tmp_path):
    """Debian's Prometheus asks for protobuf, in which they have a place."""
    at = int(time.time() * 1000)
    labels = {"__name__": "spread_seconds", "job": "node", "path": "/"}
    native = [(at - 1000 * i, Native(6, 4.5, offset=-2, counts=(1, 2, 3))) for i in (2, 1, 0)]
    answer = requests.post(
        setting.base + "/api/v1/write",
        data=encode([Series(labels, [], native)]),
        headers=HEADERS,
        timeout=60,
    )
    assert answer.status_code == 204, answer.text
    address = setting.server.url.removeprefix("http://")
    other = start_prometheus(tmp_path / "native", FEDERATION.format(address=address))

    def histogram(base: str) -> tuple | None:
        result = setting.data("query", base, query="spread_seconds[10m]")["result"]
        if not result:
            return None
        when, found = result[0]["histograms"][-1]
        buckets = [(f"{float(upper):.9g}", count) for _, _, upper, count in found["buckets"]]
        return when, found["count"], found["sum"], buckets

    try:
        theirs = wait_until(lambda: histogram(other.url), 90, "the histogram")
        assert theirs == histogram(setting.base) and theirs[0] == at / 1000
        every = 'count({job="node", __name__!~"up|scrape_.*"})'
        wait_until(lambda: (setting.value(every, base=other.url) or 0) > 300, 60, "all the others")
    finally:
        other.stop()


def test_a_prometheus_federates_from_here(setting, tmp_path):
    """With the labels and the times that the samples have here; what it takes is right text to the last line."""
    address = setting.server.url.removeprefix("http://")
    other = start_prometheus(tmp_path / "federating", FEDERATION.format(address=address))
    query = 'count({job="node", __name__!~"scrape_.*|up"})'
    try:
        assert wait_until(
            lambda: (setting.value(query, base=other.url) or 0) > 300,
            60,
            "the samples of the node exporter arriving",
        )
        wait_until(
            lambda: setting.value('up{job="federate"}', base=other.url) == 1, 60, "a good scrape"
        )
        at = wait_until(
            lambda: setting.value("max(timestamp(node_load1))", base=other.url), 60, "a sample"
        )
        name = 'node_memory_MemTotal_bytes{job="node",site="lab"}'
        assert setting.value(name, at, other.url) == setting.value(name, at)
        assert setting.value("timestamp(node_load1)", at, other.url) == setting.value(
            "timestamp(node_load1)", at
        )
    finally:
        other.stop()


RULES = """
groups:
- name: g
  interval: 1s
  rules:
  - {record: "job:up:sum", expr: "sum by (job) (up)"}
  - {alert: Load, expr: "node_load1 >= 0", labels: {severity: page}}
"""


def test_vmalert_evaluates_rules(setting, tmp_path):
    """What docs/moving-from-prometheus.md says about rules: they ask here, and what they record is written here."""
    (tmp_path / "rules.yml").write_text(RULES)
    command = ["vmalert", f"-rule={tmp_path / 'rules.yml'}", "-httpListenAddr=127.0.0.1:0"]
    command += [
        f"-{what}.url={setting.base}" for what in ("datasource", "remoteWrite", "remoteRead")
    ]
    command += ["-notifier.url=http://127.0.0.1:9", "-remoteWrite.flushInterval=500ms"]
    with (tmp_path / "log").open("wb") as log:
        alerter = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for query in ('job:up:sum{job="node"}', 'ALERTS{alertname="Load",severity="page"}'):
            wait_until(
                lambda query=query: setting.value(f"last_over_time({query}[5m])") == 1,
                60,
                f"{query}, of {(tmp_path / 'log').read_text()[-2000:]}",
            )
    finally:
        alerter.terminate()
        alerter.wait(60)
