"""Prometheus and Varan side by side at real exporters: what Prometheus sends on, and what Varan scrapes itself.

Node exporter, an application with prometheus_client, and one of several processes. Prometheus scrapes them and sends
everything to one Varan, whose answers must be Prometheus' own; another Varan scrapes them by the same
configuration and must find the same series, types and, once the figures stand still, values.
"""

from __future__ import annotations

import signal
import time

import pytest
import requests
from prometheus_peer import start_application, start_node_exporter, start_prometheus
from test_prometheus_equal import difference, key

from conftest import Server, wait_until

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{}}}}
scrape_configs:
- job_name: node
  static_configs: [{{targets: ["{node}"], labels: {{env: test}}}}]
  metric_relabel_configs:
  - {{source_labels: [__name__], regex: "node_scrape_collector_.*", action: drop}}
- job_name: app
  static_configs: [{{targets: ["{app}"]}}]
- job_name: workers
  static_configs: [{{targets: ["{workers}"]}}]
  relabel_configs:
  - {{source_labels: [__address__], regex: "(.*):.*", target_label: host}}
- job_name: gone
  static_configs: [{{targets: ["127.0.0.1:1"]}}]
"""
REMOTE = """
remote_write:
- url: {url}/prometheus/api/v1/write
  send_exemplars: true
  queue_config: {{batch_send_deadline: 100ms}}
  metadata_config: {{send_interval: 1s}}
"""
SCRAPES = 30  # counters are older than all windows that are asked for: Prometheus 2 and 3 differ on young ones


class Beside:
    def __init__(self, prometheus: str, sent: str, scraped: str):
        self.prometheus = prometheus + "/api/v1"
        self.sent = sent + "/prometheus/api/v1"
        self.scraped = scraped + "/prometheus/api/v1"

    def ask(self, base: str, path: str, **params) -> dict:
        answer = requests.get(base + path, params=params, timeout=60)
        assert answer.status_code == 200, f"{answer.url}: {answer.text[:500]}"
        return answer.json()["data"]

    def number(self, base: str, query: str) -> float:
        result = self.ask(base, "/query", query=query)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def find_quiet(self) -> bool:
        """Two more scrapes of each, then `quiet`; False when one of them came too late, as on a busy machine."""
        self.quiet = time.time() + 2.5
        everyone = (self.prometheus, self.sent, self.scraped)
        for base in everyone:
            newest = 'min(timestamp(up{job!="gone"}))'
            wait_until(lambda b=base, q=newest: self.number(b, q) > self.quiet, 60, "newer samples")
        up = 'min(min_over_time(up{job!="gone"}[5s]))'
        for base in everyone:
            result = self.ask(base, "/query", query=up, time=self.quiet)["result"]
            if not result or float(result[0]["value"][1]) != 1:
                return False
        return True

    def moment(self) -> float:
        """A time before `quiet` (the samples of the last scrape may be on their way) that is far from all scrapes'
        own, which repeat each second: whether a window's first sample belongs to it differs between Prometheus 2 and 3.
        """
        scrapes = self.ask(self.prometheus, "/query", query="timestamp(up)")["result"]
        parts = [float(one["value"][1]) % 1 for one in scrapes]

        def distance(part: float) -> float:
            return min(min(abs(part - x), 1 - abs(part - x)) for x in parts)

        return int(self.quiet) - 2 + max((n / 50 + 0.01 for n in range(50)), key=distance)


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    running = []

    def start(process):
        running.append(process)
        return process

    try:
        node = start(start_node_exporter(folder))
        app, workers = start(start_application(folder, 1)), start(start_application(folder, 3))
        config = CONFIG.format(node=node.address, app=app.address, workers=workers.address)
        (folder / "scrape.yml").write_text(config)
        for name in ("sent", "scraped"):
            (folder / name).mkdir()
        sent = start(Server(folder / "sent")).start()
        scraped = start(
            Server(folder / "scraped", "--prometheus-config", str(folder / "scrape.yml"))
        )
        scraped.start()
        prometheus = start(
            start_prometheus(folder / "prometheus", config + REMOTE.format(url=sent.url))
        )
        made = Beside(prometheus.url, sent.url, scraped.url)
        for base in (made.prometheus, made.scraped):
            count = 'min(count_over_time(up{job!="gone"}[1m]))'
            wait_until(lambda b=base, q=count: made.number(b, q) >= SCRAPES, 60, "enough scrapes")
        for one in (app, workers):
            one.process.send_signal(signal.SIGUSR1)
        wait_until(made.find_quiet, 180, "a moment before which all scrapes succeeded")
        yield made
        for server in (sent, scraped):
            assert server.alive(), server.log.read_text()[-4000:]
    finally:
        for process in reversed(running):
            process.stop()


QUERIES = """
up
{job="app"}
{job="workers"}
count by (job) ({__name__=~".+"})
rate(app_requests_total[10s])
sum by (route) (rate(app_requests_total{job="app"}[10s]))
histogram_quantile(0.9, sum by (le, job) (rate(app_latency_seconds_bucket[10s])))
rate(app_response_size_bytes_sum[10s]) / rate(app_response_size_bytes_count[10s])
app_level
app_in_flight
app_build_info
app_state == 1
process_resident_memory_bytes
process_cpu_seconds_total
node_cpu_seconds_total
sum by (mode) (rate(node_cpu_seconds_total[10s]))
1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
node_filesystem_size_bytes
node_load1
node_uname_info
topk(5, rate(node_network_receive_bytes_total[10s]))
scrape_samples_scraped
scrape_duration_seconds
scrape_series_added
max_over_time(scrape_samples_post_metric_relabeling[20s])
count({env="test"})
max_over_time(sum(rate(app_requests_total[5s]))[10s:1s])
absent(up{job="nothing"})
up{job="gone"}
changes(app_level[10s])
"""


def test_what_prometheus_sends_is_answered_alike(beside):
    at = beside.moment()
    # What Prometheus sends comes in several streams: one may be behind the one that told of newer samples.
    differing: list[str] = []

    def alike() -> bool:
        differing[:] = compare(beside, at)
        return not differing

    wait_until(alike, 60, lambda: f"{len(differing)} answers differ:\n" + "\n".join(differing))


def compare(beside: Beside, at: float) -> list[str]:
    differing = []
    for query in QUERIES.strip().splitlines():
        for path, times in (
            ("/query", {"time": at}),
            ("/query_range", {"start": at - 10, "end": at, "step": 1}),
        ):
            ours = beside.ask(beside.sent, path, query=query, **times)
            theirs = beside.ask(beside.prometheus, path, query=query, **times)
            # Varan watches itself, too.
            ours["result"] = [s for s in ours["result"] if s["metric"].get("job") != "varan"]
            found = difference(ours, theirs)
            if found:
                differing.append(f"{query}\n    {path}: {found}")
            elif not theirs["result"]:
                differing.append(f"{query}\n    {path}: nothing to compare")
    return differing


def test_metadata_is_sent_on(beside):
    ours = wait_until(
        lambda: beside.ask(beside.sent, "/metadata", metric="app_requests"), 60, "metadata"
    )
    assert ours == beside.ask(beside.prometheus, "/metadata", metric="app_requests")


@pytest.mark.parametrize("job", ["node", "app", "workers", "gone"])
def test_the_same_series_are_scraped(beside, job):
    times = {"start": beside.quiet - 5, "end": beside.quiet}
    match = {"match[]": f'{{job="{job}"}}'}
    ours = {key(s) for s in beside.ask(beside.scraped, "/series", **match, **times)}
    theirs = {key(s) for s in beside.ask(beside.prometheus, "/series", **match, **times)}
    assert ours - theirs == set() and theirs - ours == set()


@pytest.mark.parametrize("job", ["app", "workers"])
def test_the_same_values_are_scraped(beside, job):
    # Figures of the process itself and of scraping go on.
    query = f'{{__name__=~"app_.*", __name__!~".*_created", job="{job}"}}'
    at = beside.quiet
    ours = beside.ask(beside.scraped, "/query", query=query, time=at)
    theirs = beside.ask(beside.prometheus, "/query", query=query, time=at)
    assert len(theirs["result"]) > 20 and difference(ours, theirs) is None


def test_metadata_is_scraped(beside):
    for metric in ("app_requests", "app_latency_seconds", "node_load1", "app_in_flight"):
        ours = beside.ask(beside.scraped, "/metadata", metric=metric)
        theirs = beside.ask(beside.prometheus, "/metadata", metric=metric)
        assert ours == theirs, metric


def test_the_same_targets(beside):
    def read(base):
        targets = beside.ask(base, "/targets", state="active")["activeTargets"]
        fields = ("scrapePool", "scrapeUrl", "health", "labels", "scrapeInterval", "scrapeTimeout")
        return sorted(([t[f] for f in fields] + [bool(t["lastError"])] for t in targets), key=str)

    # On a busy machine a scrape may come too late now and then, and its target is down until the next.
    wait_until(
        lambda: read(beside.scraped) == read(beside.prometheus),
        60,
        lambda: f"{read(beside.scraped)} being {read(beside.prometheus)}",
    )


def test_scraped_exemplars(beside):
    times = {"start": beside.quiet - 60, "end": beside.quiet}
    for base in (beside.sent, beside.scraped):
        found = beside.ask(base, "/query_exemplars", query="app_requests_total", **times)
        assert found and all(s["seriesLabels"]["job"] == "app" for s in found)
        assert all("trace_id" in e["labels"] for s in found for e in s["exemplars"])
