"""Metrics beside Debian's Prometheus and VictoriaMetrics: the same bytes into each, the same questions.

make bench-metrics           (bench_metrics.py --quick: small figures that prove the program, not the server)
bench_metrics.py PART...     alone: write scrape disk memory idle hour week (query: hour and week)

Each figure is the median of rounds in which the servers take turns. A part takes one to four minutes on two cores;
--rounds 1 gives a rougher figure sooner.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import Results, machine
from metrics_load import STEP_MS, add_all, hours_ago, load
from metrics_peers import EVERYONE
from metrics_queries import queries
from metrics_series import node_exporter_series, node_exporter_text, service_series

DAY_BATCH = 6  # samples of a series in a request of the day whose bytes are counted


class Sizes:
    """How much is done; `quick` shows only that everything works."""

    def __init__(self, quick: bool, rounds: int | None):
        self.rounds = rounds or (1 if quick else 3)
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
        self.first_asks = min(self.rounds, 2 if quick else 3)
        self.idle_series = 2_000 if quick else 20_000
        self.targets, self.copies = (2, 5) if quick else (8, 20)
        self.scrape_seconds = 5 if quick else 12


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


def idle(results: Results, sizes: Sizes, node: Path) -> None:
    """What an idle server costs, and how soon it is there again with series on disk."""
    series = len(node.read_text().splitlines())
    copies = max(1, sizes.idle_series // series)
    empty, kept, ready, answers = ({p: [] for p in EVERYONE} for _ in range(4))
    for kind in EVERYONE:
        peer = kind()
        peer.settle()
        empty[kind].append(peer.anonymous_bytes() / 1e6)
        load(peer, node, copies, hours_ago(2), STEP_MS, steps=240)
        peer.flush()
        peer.settle()
        for _ in range(sizes.rounds):
            ready[kind].append(peer.restart())
            begin = time.monotonic()
            at = hours_ago(1.2) / 1000
            while not peer.query("/query", query="count(node_cpu_seconds_total)", time=at)[
                "result"
            ]:
                if time.monotonic() > begin + 120:
                    raise SystemExit(f"{peer.name} does not find its series again")
            answers[kind].append(ready[kind][-1] + time.monotonic() - begin)
        peer.settle()
        kept[kind].append(peer.anonymous_bytes() / 1e6)
        peer.close()
    text = f"{series * copies:,} series on disk"
    add_all(results, "idle, empty: anonymous memory", "MB", empty)
    add_all(results, f"idle after a start with {text}: anonymous memory", "MB", kept)
    add_all(results, f"start with {text}, until ready", "s", ready)
    add_all(results, f"start with {text}, until a query finds them", "s", answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the program")
    parser.add_argument("--rounds", type=int, help="of write, scrape, idle and first asks; 3")
    parser.add_argument(
        "parts",
        nargs="*",
        help="of write scrape disk memory idle hour week, or query: hour and week; default all",
    )
    chosen = parser.parse_args()
    sizes = Sizes(chosen.quick, chosen.rounds)
    print(f"Metrics. {machine()}{' QUICK: not figures to keep' if chosen.quick else ''}")
    name = "-".join(["metrics", *(["quick"] if chosen.quick else []), *chosen.parts])
    results = Results(name)
    with tempfile.TemporaryDirectory(prefix="varan-bench-") as path:
        folder = Path(path)
        node, service = node_exporter_series(folder), service_series(folder)
        parts = {
            "write": lambda: remote_write(results, sizes, node),
            "scrape": lambda: scraping(results, sizes, folder),
            "disk": lambda: bytes_per_sample(results, sizes, node),
            "memory": lambda: memory(results, sizes, node),
            "idle": lambda: idle(results, sizes, node),
            "hour": lambda: queries(results, sizes, service, "1 h", sizes.hour, 15),
            "week": lambda: queries(results, sizes, service, "7 d", sizes.week, 1800),
        }
        wanted = " ".join(chosen.parts or parts).replace("query", "hour week").split()
        unknown = [part for part in wanted if part not in parts]
        if unknown:
            parser.error(f"no part {unknown[0]}: there are {' '.join(parts)}")
        for part in wanted:
            parts[part]()
    results.write()


if __name__ == "__main__":
    main()
