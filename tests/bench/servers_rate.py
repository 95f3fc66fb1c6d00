"""The part of bench_agent.py with servers at half of what they can do: the 99th percentile of a realistic request (a
query, a call of another service, work) with the agent, without, and with each peer.

Requests are sent by the clock, at the same rate to all, and a latency counts from the moment the request was meant to be
sent: a server that stalls is not asked less often (no coordinated omission). The rate is about half of what the server
without an agent answers when it is as busy as it can be. All servers live at once and are loaded in turns of a few
seconds, who is first changing; a turn's figure is its own 99th percentile, a ratio the median of the ratios in the same
turn. Printed beside it: the quartiles of the ratios, and the median of the medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any, Callable

import app_servers
from contestants import ROOT, peers

PATH = "/page/2"
LOADER = ROOT / "build" / "tests" / "bench" / "rate_load"
CONNECTIONS = 16
SECONDS = 2
SATURATING_RATE = 20_000
SHARE = 0.5  # of the capacity


def send(server: app_servers.Server, rate: float, seconds: float, connections: int) -> list[float]:
    """Latencies in milliseconds, sorted."""
    words = [str(LOADER), f"127.0.0.1:{server.port}", PATH, f"{rate:.1f}", f"{seconds}"]
    done = subprocess.run([*words, str(connections)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return sorted(float(line) / 1e3 for line in done.stdout.split())


def quantile(latencies: list[float], q: float) -> float:
    return latencies[min(len(latencies) - 1, int(len(latencies) * q))]


def capacity(server: app_servers.Server) -> float:
    """Requests per second with four always waiting."""
    words = ["wrk", "-t1", "-c4", "-d2", f"http://127.0.0.1:{server.port}{PATH}"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in text, text
    return float(text.partition("Requests/sec:")[2].split()[0])


def measure(endpoint: str, title: str, ways: tuple[str, ...], turns: int) -> tuple[float, dict[str, list[list[float]]]]:  # fmt: skip
    """The rate, and the latencies of each contestant's turns."""
    runs: dict[str, list[list[float]]] = {way: [] for way in ways}
    with app_servers.started(title, ways, endpoint) as live:
        for server in live.values():
            capacity(server)  # warm
        rate = capacity(live["bare" if "bare" in ways else "varan"]) * SHARE
        for turn in range(turns):
            first = turn % len(ways)
            for way in ways[first:] + ways[:first]:
                runs[way].append(send(live[way], rate, SECONDS, CONNECTIONS))
    return rate, runs


def rows(endpoint: str, row: Callable[..., Any], rounds: int, only: str, against: list[str]) -> list[Any]:  # fmt: skip
    found, ways = [], ("varan", *against)
    for title in app_servers.SERVERS:
        if only.lower() not in title.lower():
            continue
        print(f"  {title}", file=sys.stderr, flush=True)
        rate, runs = measure(endpoint, title, ways, rounds)
        what = f"{title}, {rate:.0f} requests/s:"
        for way, peer, version in (("bare", "without agent", ""), *peers()):
            if way not in ways:
                continue
            for text, q in (("p50", 0.5), ("p99", 0.99)):
                mine, theirs = ([quantile(run, q) for run in runs[w]] for w in ("varan", way))
                ratios = sorted(b / a for a, b in zip(mine, theirs))
                r = row(f"{what} {text}", statistics.median(mine), statistics.median(theirs), peer, version, "ms")  # fmt: skip
                r["ratio"] = round(statistics.median(ratios), 3)
                if len(ratios) > 1:
                    low, _, high = statistics.quantiles(ratios, n=4)
                    r["spread"] = f"{low:.3f} to {high:.3f}"
                found.append(r)
    return found
