"""The part of bench_agent.py with servers as busy as they can be: requests per second and the 99th percentile, with the
agent, without, and with each peer. All servers live at once and are loaded in turns of a few seconds by wrk. A busy
server's percentiles say how long its queue is more than how long a request takes: see servers_rate.py for that."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import urllib.request
from typing import Any, Callable

import app_servers
from contestants import peers

SECONDS = 2
ATTEMPTS = 3
PATH = "/item/2"
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def warm_up(server: app_servers.Server) -> None:
    """The first request of some takes seconds: modules are imported, threads are started."""
    url = f"http://127.0.0.1:{server.port}{PATH}"
    with urllib.request.urlopen(url, timeout=app_servers.START_S) as answer:
        answer.read()
    load(server, 1)


def load(server: app_servers.Server, seconds: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in milliseconds; a turn without any answer is tried again."""
    for _ in range(ATTEMPTS):
        rate, p99 = load_once(server, seconds)
        if rate and p99:
            return rate, p99
    raise RuntimeError(f"{server.name}: no answer in {ATTEMPTS} turns of {seconds} s")


def load_once(server: app_servers.Server, seconds: int) -> tuple[float, float]:
    words = ["wrk", "-t1", "-c4", "--latency", f"-d{seconds}"]
    url = f"http://127.0.0.1:{server.port}{PATH}"
    text = subprocess.run([*words, url], check=True, capture_output=True, text=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert rate and p99 and "Non-2xx" not in text, text
    return float(rate[1]), float(p99[1]) * UNITS_MS[p99[2]]


def rows(
    endpoint: str, row: Callable[..., Any], turns: int, only: str, against: list[str]
) -> list[Any]:
    """Ratios are the medians of the turns' own ones, above 1 where Varan is better."""
    found, ways = [], ("varan", *against)
    for title in app_servers.SERVERS:
        if only.lower() not in title.lower():
            continue
        print(f"  {title}", file=sys.stderr, flush=True)
        runs: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        with app_servers.started(title, ways, endpoint) as live:
            for server in live.values():
                warm_up(server)
            for turn in range(turns):
                first = turn % len(ways)  # each is first as often
                for way in ways[first:] + ways[:first]:
                    runs[way].append(load(live[way], SECONDS))
        others = (("bare", "without agent", ""), *peers())
        for at, (text, unit) in enumerate((("requests/s", "1/s"), ("p99", "ms"))):
            medians = {way: statistics.median(run[at] for run in ran) for way, ran in runs.items()}
            for way, peer, version in others:
                if way not in ways:
                    continue
                pairs = zip(runs["varan"], runs[way])
                better = [a[at] / b[at] if unit == "1/s" else b[at] / a[at] for a, b in pairs]
                r = row(
                    f"{title}: {text}, busy", medians["varan"], medians[way], peer, version, unit
                )
                r["ratio"] = round(statistics.median(better), 3)
                found.append(r)
    return found
