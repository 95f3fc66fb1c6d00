"""prometheus_client's registry leaves as it is, from every process, and can be scraped from the agent."""

from __future__ import annotations

import socket
import urllib.request
from collections import defaultdict

import pytest
from collector import Collector
from servers import free_port

from conftest import Program

REGISTRY = """
    import os, prometheus_client as p
    requests = p.Counter("http_requests", "Requests.", ["path"])
    busy = p.Gauge("busy__workers:now", "Workers at work.")
    latency = p.Histogram("latency_seconds", "Latency.", buckets=(0.1, 1))
    size = p.Summary("size_bytes", "Sizes.")
    p.Info("build", "Build.").info({"version": "7"})
    p.Enum("state", "State.", states=["up", "down"]).state("up")
    requests.labels("/a").inc(3)
    busy.set(2.5)
    latency.observe(0.05, {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"})
    latency.observe(5)
    size.observe(10)
"""


def test_registry_is_exported(program: Program, collector: Collector) -> None:
    program.run(REGISTRY)
    (requests,) = collector.metric("http_requests_total")
    assert requests.value == 3 and requests.attributes == {"path": "/a"} and requests.monotonic
    assert requests.description == "Requests." and requests.unit == ""
    assert requests.scope == "prometheus_client" and requests.raw.start_time_unix_nano > 10**18
    assert collector.metric("http_requests_created")[0].value > 1e9
    assert collector.metric("busy__workers:now")[0].value == 2.5
    (latency,) = collector.metric("latency_seconds")
    assert list(latency.raw.explicit_bounds) == [0.1, 1]
    assert list(latency.raw.bucket_counts) == [1, 0, 1]
    assert latency.raw.sum == 5.05 and latency.raw.count == 2
    (exemplar,) = latency.raw.exemplars
    assert exemplar.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert exemplar.as_double == 0.05
    (size,) = collector.metric("size_bytes")
    assert (size.kind, size.raw.count, size.raw.sum) == ("summary", 1, 10)
    assert collector.metric("build_info")[0].attributes == {"version": "7"}
    states = {p.attributes["state"]: p.value for p in collector.metric("state")}
    assert states == {"up": 1, "down": 0}
    assert collector.metric("process_cpu_seconds_total")[0].value > 0
    assert collector.metric("python_info")


@pytest.mark.parametrize("multiprocess", [False, True])
def test_forked_workers_add_up(program: Program, collector: Collector, multiprocess: bool) -> None:
    env = {}
    if multiprocess:
        folder = program.folder / "multiprocess"
        folder.mkdir()
        env["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    program.run(
        REGISTRY
        + """
    for i in range(3):
        if os.fork() == 0:
            requests.labels("/a").inc(10)
            requests.labels("/b").inc(1)
            latency.observe(0.5)
            size.observe(1)
            import varan
            varan.counter("touched").add(1)
            os._exit(0)
    for i in range(3):
        os.wait()
    """,
        **env,
    )
    totals: dict[str, float] = defaultdict(float)
    processes = set()
    for p in collector.metric("http_requests_total"):
        totals[p.attributes["path"]] += p.value
        processes.add(p.resource["service.instance.id"])
    assert totals == {"/a": 33, "/b": 3} and len(processes) == 4
    latency = collector.metric("latency_seconds")
    assert sum(p.raw.count for p in latency) == 5
    assert [sum(p.raw.bucket_counts[i] for p in latency) for i in range(3)] == [1, 3, 1]
    assert sum(p.raw.sum for p in collector.metric("size_bytes")) == 13


def test_text_for_a_scraper(program: Program) -> None:
    port = free_port()
    done = program.run(
        REGISTRY
        + f"""
    import urllib.request, varan
    varan.counter("own.things", "s", "Own.").add(2, {{"a.b": 'say "hi"'}})
    varan.histogram("own.h", bounds=[1]).record(3)
    text = urllib.request.urlopen("http://127.0.0.1:{port}/metrics").read().decode()
    assert text == varan.metrics_text() or "gc" in text
    print(text)
    """,
        VARAN_METRICS_PORT=str(port),
    )
    lines = done.stdout.splitlines()
    assert 'http_requests_total{path="/a"} 3.0' in lines
    assert 'own_things_seconds_total{a_b="say \\"hi\\""} 2' in lines
    assert 'own_h_bucket{le="1.0"} 0' in lines and 'own_h_bucket{le="+Inf"} 1' in lines
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=1)


def test_port_that_is_taken_is_told(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = program.run("print('runs')", VARAN_METRICS_PORT=str(port))
    assert done.stdout == "runs\n"
    assert done.stderr.startswith(f"varan: VARAN_METRICS_PORT={port} is not served")
