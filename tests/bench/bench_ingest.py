"""The way from wire to storage: throughput per core, bytes per row, latency, memory.

make bench-ingest            (VARAN_BENCH_SPANS=2000000 for a shorter run; default 10 million)
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request

from common import BUILD, Results, Server, machine, median

SPANS = int(os.environ.get("VARAN_BENCH_SPANS", "10000000"))
CONNECTIONS = 48  # as many senders as a team's applications and collectors
SETTLE_SECONDS = 120  # merges after a load, at most


def load(
    server: Server, kind: str, seconds: float, rows_max: int = 0, connections: int = CONNECTIONS
) -> dict:
    """Runs the load program; adds the server's CPU time to what it prints."""
    before = server.cpu_seconds()
    done = subprocess.run(
        [
            str(BUILD / "tests/bench/otlp_load"),
            *(server.otlp, kind, "2000", str(connections), str(seconds), str(rows_max)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout or "{}")
    if done.returncode != 0:
        raise SystemExit(f"the load failed: {done.stdout} {done.stderr}")
    result["cpu_seconds"] = server.cpu_seconds() - before
    return result


def settle(server: Server) -> None:
    """Waits until the server is idle: background merges are done or very slow."""
    end = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < end:
        before = server.cpu_seconds()
        time.sleep(1)
        if server.cpu_seconds() - before < 0.1:
            return


def bytes_per_row(server: Server, table: str, rows: int) -> tuple[float, float]:
    """(of the table alone, with all derived tables) on disk per row."""
    sizes = dict(
        server.sql(
            "SELECT table, sum(bytes_on_disk) FROM system.parts "
            "WHERE active AND database = currentDatabase() GROUP BY table"
        )
    )
    own = int(sizes.get(table, 0))
    derived = sum(int(size) for name, size in sizes.items() if name not in ("spans", "logs"))
    return own / rows, (own + derived) / rows


def fresh_server_figures(results: Results) -> None:
    ready, memory = [], []
    for _ in range(5):
        server = Server()
        ready.append(server.ready_seconds)
        server.stop()
        server.start()  # the second start: an existing data folder
        time.sleep(2)
        memory.append(server.anonymous_mb())
        ready.append(server.ready_seconds)
        server.close()
    results.add("start to ready", median(ready), "s")
    results.add("idle anonymous memory", median(memory), "MB")


def throughput(results: Results, kind: str, unit: str) -> None:
    rates, walls, last = [], [], None
    for _ in range(3):
        server = Server()
        load(server, kind, 1)  # warm
        last = load(server, kind, 8)
        rates.append(last["rows"] / last["cpu_seconds"])
        walls.append(last["rows"] / last["seconds"])
        server.close()
    results.add(f"{unit}, durable, per core of server CPU", median(rates) / 1e3, "k/s")
    results.add(f"{unit}, durable, wall (load on the same cores)", median(walls) / 1e3, "k/s")
    results.add(
        f"{unit}: request of 2,000 acknowledged, p50 at full load", last["ack_p50_ms"], "ms"
    )


def visible(results: Results, server: Server) -> None:
    """From sending one span to its trace being found, on an otherwise idle server."""
    times = []
    for i in range(15):
        trace_id = os.urandom(16).hex()
        now = time.time_ns()
        span = {
            "traceId": trace_id,
            "spanId": os.urandom(8).hex(),
            "name": f"visible {i}",
            "kind": 2,
            "startTimeUnixNano": str(now - 1000000),
            "endTimeUnixNano": str(now),
        }
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
        begin = time.monotonic()
        request = urllib.request.Request(
            f"http://{server.otlp}/v1/traces", body, {"content-type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).read()
        while True:
            try:
                server.get(f"/api/v1/traces/{trace_id}")
                break
            except urllib.error.HTTPError:
                time.sleep(0.002)
        times.append(time.monotonic() - begin)
    results.add("one span: from send to visible", median(times) * 1e3, "ms")


def large_store(results: Results) -> None:
    server = Server()
    load(server, "traces", 3600, SPANS)
    settle(server)
    (rows,) = server.sql("SELECT count() FROM spans")
    rows = int(rows[0])
    own, total = bytes_per_row(server, "spans", rows)
    results.add(f"spans table on disk at {rows / 1e6:.1f} M spans", own, "B/span")
    results.add("with all derived tables", total, "B/span")
    ids = server.sql(
        "SELECT DISTINCT lower(hex(trace_id)) FROM spans ORDER BY cityHash64(trace_id) LIMIT 60"
    )
    times = []
    for (trace_id,) in ids:
        begin = time.monotonic()
        server.get(f"/api/v1/traces/{trace_id}")
        times.append(time.monotonic() - begin)
    results.add(
        f"trace by id at {rows / 1e6:.1f} M spans, through the API", median(times) * 1e3, "ms"
    )
    for path in ("/services", "/services/orders", "/traces", "/traces/histogram", "/traces/facets"):
        times = []
        for _ in range(5):
            begin = time.monotonic()
            server.get(f"/api/v1{path}?from=now-30m")
            times.append(time.monotonic() - begin)
        results.add(f"GET /api/v1{path} over all of them", median(times) * 1e3, "ms")
    visible(results, server)
    server.close()


def log_bytes(results: Results) -> None:
    server = Server()
    load(server, "logs", 3600, SPANS // 5)
    settle(server)
    (rows,) = server.sql("SELECT count() FROM logs")
    own, _ = bytes_per_row(server, "logs", int(rows[0]))
    results.add(f"logs table on disk at {int(rows[0]) / 1e6:.1f} M lines", own, "B/line")
    server.close()


def main() -> None:
    print(f"Ingestion. {machine()}")
    results = Results("ingest")
    fresh_server_figures(results)
    throughput(results, "traces", "spans")
    throughput(results, "logs", "log lines")
    large_store(results)
    log_bytes(results)
    results.write()


if __name__ == "__main__":
    main()
