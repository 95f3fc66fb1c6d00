"""Metrics beside Debian's Prometheus and VictoriaMetrics: the same bytes into each, the same questions.

make bench-metrics           (bench_metrics.py --quick: small figures that prove the program, not the server)

Each figure is the median of rounds in which the servers take turns.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import BUILD, Results, machine, median
from metrics_peers import EVERYONE, Peer, Prometheus, Varan, VictoriaMetrics
from metrics_series import (
    SERIES_OF_AN_INSTANCE,
    node_exporter_series,
    node_exporter_text,
    service_series,
)

ROWS = 2000  # of a request, as Prometheus sends them since 3.0
CONNECTIONS = 8
STEP_MS = 15_000
DAY = 86400
FOREVER = 1_000_000_000
DAY_BATCH = 6  # the same for the day whose bytes are counted: a request each minute and a half
HISTORY_BATCH = 60  # samples of a series in a request, where only what is stored matters


class Sizes:
    """How much is done; `quick` shows only that everything works."""

    def __init__(self, quick: bool):
        self.rounds = 1 if quick else 3
        self.load_seconds = 1 if quick else 8
        self.day_steps = 960 if quick else 5760  # Prometheus' first block is of three hours
        self.active = (1_000, 5_000) if quick else (10_000, 110_000)
        self.hour = {"instances": 10 if quick else 100, "steps": 240, "step_ms": 15_000}
        self.week = {
            "instances": 2 if quick else 10,
            "steps": 2 * 5760 if quick else 7 * 5760,
            "step_ms": 15_000,
        }
        self.asks = 3 if quick else 9
        self.targets, self.copies = (2, 5) if quick else (8, 20)
        self.scrape_seconds = 5 if quick else 20


def load(peer: Peer, series: Path, copies: int, start_ms: int, step_ms: int, **limits) -> dict:
    """Sends and adds the server's CPU time to what the load program prints."""
    before = peer.cpu_seconds()
    command = [BUILD / "tests/bench/remote_write_load", peer.address, peer.write_path, series]
    command += [copies, ROWS, limits.get("connections", CONNECTIONS), start_ms, step_ms]
    command += [limits.get("steps", FOREVER), limits.get("seconds", 3600), limits.get("batch", 1)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the load of {peer.name} failed: {done.stdout} {done.stderr}")
    return json.loads(done.stdout) | {"cpu_seconds": peer.cpu_seconds() - before}


def hours_ago(hours: float) -> int:
    return int(time.time() - hours * 3600) // 60 * 60_000


def add_all(results: Results, work: str, unit: str, figures: dict, more: bool = False) -> None:
    """A row per peer; `figures` holds the rounds of each server by its class."""
    for peer in (Prometheus, VictoriaMetrics):
        results.add(
            work,
            round(median(figures[Varan]), 4),
            unit,
            peer.name,
            peer.version,
            round(median(figures[peer]), 4),
            more_is_better=more,
        )


def remote_write(results: Results, sizes: Sizes, node: Path) -> None:
    series = len(node.read_text().splitlines())
    copies = max(1, 10_000 // series)
    per_core, wall = {p: [] for p in EVERYONE}, {p: [] for p in EVERYONE}
    for _ in range(sizes.rounds):
        for kind in EVERYONE:
            peer = kind()
            load(peer, node, copies, hours_ago(20), STEP_MS, steps=4)  # the series are known
            start = hours_ago(19)
            done = load(peer, node, copies, start, STEP_MS, seconds=sizes.load_seconds)
            per_core[kind].append(done["rows"] / done["cpu_seconds"] / 1e3)
            wall[kind].append(done["rows"] / done["seconds"] / 1e3)
            peer.close()
    text = f"remote write of {series * copies:,} series"
    add_all(results, f"{text}, per core of server CPU", "k/s", per_core, more=True)
    add_all(results, f"{text}, wall (load on the same cores)", "k/s", wall, more=True)


class Exposition(BaseHTTPRequestHandler):
    """Serves one of several prepared bodies; counts how often."""

    bodies: tuple[bytes, ...] = ()
    served = 0

    def do_GET(self) -> None:
        body = self.bodies[Exposition.served % len(self.bodies)]
        Exposition.served += 1
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


def exposition(text: str, copies: int) -> tuple[list[bytes], int]:
    """Bodies with `copies` of every series, told apart by a label, and their samples."""
    bodies, samples = [], 0
    for turn in range(4):
        lines, samples = [], 0
        for line in text.splitlines():
            if line.startswith("#"):
                lines.append(line)
                continue
            series, _, value = line.rpartition(" ")
            name, brace, rest = series.partition("{")
            for copy in range(copies):
                labels = f'copy="{copy}"' + ("," + rest if brace else "}")
                moved = value if turn % 2 == 0 else repr(float(value) + turn * (copy % 3))
                lines.append(f"{name}{{{labels} {moved}")
                samples += 1
        bodies.append(("\n".join(lines) + "\n").encode())
    return bodies, samples


def scraping(results: Results, sizes: Sizes, folder: Path) -> None:
    Exposition.bodies, samples = exposition(node_exporter_text(folder), sizes.copies)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exposition)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "scrape.yml"
    # Several paths of one server are several targets.
    jobs = "".join(
        f"- {{job_name: j{i}, metrics_path: /m{i}, "
        f'static_configs: [{{targets: ["127.0.0.1:{server.server_port}"]}}]}}\n'
        for i in range(sizes.targets)
    )
    config.write_text(
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}"
    )
    per_core = {p: [] for p in EVERYONE}
    for _ in range(sizes.rounds):
        for kind in EVERYONE:
            peer = kind(scrape=config)
            settled = Exposition.served + 3 * sizes.targets  # the series are known
            while Exposition.served < settled:
                time.sleep(0.05)
            served, cpu = Exposition.served, peer.cpu_seconds()
            time.sleep(sizes.scrape_seconds)
            rows = (Exposition.served - served) * samples
            per_core[kind].append(rows / (peer.cpu_seconds() - cpu) / 1e3)
            peer.close()
    server.shutdown()
    text = f"scraping {sizes.targets} targets of {samples:,} samples each second, per core"
    add_all(results, text, "k/s", per_core, more=True)


def bytes_per_sample(results: Results, sizes: Sizes, node: Path) -> None:
    """One node exporter for a day. More would only make the label tables weigh less. Varan's parts of a day that is not
    over are counted as they are: two hours after its last row a day becomes one part."""
    sizes_on_disk = {}
    for kind in EVERYONE:
        peer = kind()
        hours = sizes.day_steps * STEP_MS / 3.6e6
        limits = {"steps": sizes.day_steps, "connections": 2, "batch": DAY_BATCH}
        load(peer, node, 1, hours_ago(hours + 1), STEP_MS, **limits)
        peer.flush()
        peer.settle()
        rows, size = peer.stored()
        sizes_on_disk[kind] = [size / rows if rows else float("nan")]
        peer.close()
    add_all(results, "node exporter, every 15 s for a day, on disk", "B/sample", sizes_on_disk)


def memory(results: Results, sizes: Sizes, node: Path) -> None:
    series = len(node.read_text().splitlines())
    few, many = (max(1, n // series) for n in sizes.active)
    growth = {}
    for kind in EVERYONE:
        peer = kind()
        load(peer, node, few, hours_ago(1), STEP_MS, steps=8)
        peer.settle()
        before = peer.anonymous_bytes()
        load(peer, node, many, hours_ago(0.5), STEP_MS, steps=8)
        peer.settle()
        growth[kind] = [(peer.anonymous_bytes() - before) / ((many - few) * series) / 1e3]
        peer.close()
    text = f"memory per active series, from {few * series:,} to {many * series:,}"
    add_all(results, text, "kB", growth)


MIX = {
    "raw select": "pool_bytes",
    "rate": 'rate(http_requests_total{status="500"}[5m])',
    "sum by": "sum by (status) (rate(http_requests_total[5m]))",
    "histogram_quantile": (
        "histogram_quantile(0.95, sum by (le, route) (rate(http_duration_seconds_bucket[5m])))"
    ),
    "topk": "topk(5, sum by (instance) (rate(http_requests_total[5m])))",
    "subquery": "max_over_time(sum by (status) (rate(http_requests_total[5m]))[30m:1m])",
}


def queries(results: Results, sizes: Sizes, service: Path) -> None:
    for title, shape, step in (("1 h", sizes.hour, 15), ("7 d", sizes.week, 1800)):
        seconds = shape["steps"] * shape["step_ms"] // 1000
        start = hours_ago(seconds / 3600 + 0.2)
        peers = [kind() for kind in EVERYONE]
        for peer in peers:
            load(
                peer,
                service,
                shape["instances"],
                start,
                shape["step_ms"],
                steps=shape["steps"],
                batch=HISTORY_BATCH,
            )
            peer.flush()
            peer.settle()
        series = shape["instances"] * SERIES_OF_AN_INSTANCE
        for what, query in MIX.items():
            times = {kind: [] for kind in EVERYONE}
            for turn in range(sizes.asks):
                # Never the same question twice: no cache of whole answers helps.
                begin = start / 1000 + 300 + 7 * turn
                end = start / 1000 + seconds - 60 + turn
                for peer in peers:
                    asked = {"query": query, "start": begin, "end": end, "step": step}
                    times[type(peer)].append(peer.timed(**asked) * 1e3)
            add_all(results, f"{what}, {series:,} series, {title}", "ms", times)
        for peer in peers:
            peer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the program")
    parser.add_argument(
        "parts",
        nargs="*",
        help="of write scrape disk memory query; default all",
    )
    chosen = parser.parse_args()
    sizes = Sizes(chosen.quick)
    print(f"Metrics. {machine()}{' QUICK: not figures to keep' if chosen.quick else ''}")
    results = Results("metrics-quick" if chosen.quick else "metrics")
    with tempfile.TemporaryDirectory(prefix="varan-bench-") as name:
        folder = Path(name)
        node, service = node_exporter_series(folder), service_series(folder)
        parts = {
            "write": lambda: remote_write(results, sizes, node),
            "scrape": lambda: scraping(results, sizes, folder),
            "disk": lambda: bytes_per_sample(results, sizes, node),
            "memory": lambda: memory(results, sizes, node),
            "query": lambda: queries(results, sizes, service),
        }
        for part in chosen.parts or parts:
            parts[part]()
    results.write()


if __name__ == "__main__":
    main()
