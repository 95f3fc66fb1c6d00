"""The part of bench_agent.py with servers at half of what they can do: the 99th percentile of a realistic request (a
query, a call of another service, work) with the agent, without, and with each peer.

Requests are sent by the clock, at the same rate to all, and a latency counts from the moment the request was meant to be
sent: a server that stalls is not asked less often (no coordinated omission). The rate is about half of what the fastest
server answers when it is as busy as it can be.

What is looked for is a few percent, and a process is faster or slower by as much than its twin all its life, by how its
memory happens to lie. So the servers are started anew in each round. Within a round all are alive, and loaded in turns of
two seconds whose order changes; the first quarter of a turn does not count, in which caches warm up and the one before
still sends what it has. A figure is the mean of the turns' own percentiles without the lowest and the highest fifth, which
are the machine's, a ratio that of two such figures. Its 95 % interval is by the bootstrap: rounds, and turns within them,
drawn with replacement, the same ones for both. A server without an agent against its twin ("--mine bare-again --against
bare") shows what the method cannot tell apart.

CPU is what all threads of the server's processes used for one request, those of the agents included. What Varan's own
threads used of it is told beside."""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable

import app_servers
from contestants import ROOT, peers

PATH = "/page/2"
LOADER = ROOT / "build" / "tests" / "bench" / "rate_load"
CONNECTIONS = 16
TURN_S = 2
SETTLE = 0.25  # of a turn
TURNS = 24  # of a round, of all contestants together
SATURATED_S = 2
SHARE = 0.5  # of the capacity
DRAWS = 2000

OWN = "varan-"  # how the agent's own threads are called
# A turn: the latencies in milliseconds, the milliseconds of CPU for a request, and those of Varan's threads by name.
Turn = tuple[list[float], float, Counter[str]]
# Contestant → rounds → turns
Runs = dict[str, list[list[Turn]]]


def send(server: app_servers.Server, rate: float, seconds: float) -> list[float]:
    """Latencies in milliseconds, in the order of the answers."""
    words = [str(LOADER), f"127.0.0.1:{server.port}", PATH, f"{rate:.1f}", f"{seconds}"]
    done = subprocess.run([*words, str(CONNECTIONS)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [float(line) / 1e3 for line in done.stdout.split()]


def cpu_ms(pid: int) -> Counter[str]:
    """What the threads of the process and of its children have used, by their names."""
    found = Counter[str]()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found[(task / "comm").read_text().strip()] += (
            int((task / "schedstat").read_text().split()[0]) / 1e6
        )
        for child in (task / "children").read_text().split():
            found += cpu_ms(int(child))
    return found


def take_turn(server: app_servers.Server, rate: float) -> Turn:
    before = cpu_ms(server.process.pid)
    latencies = send(server, rate, TURN_S)
    used = cpu_ms(server.process.pid)
    used.subtract(before)
    own = Counter({name: ms / len(latencies) for name, ms in used.items() if OWN in name})
    return latencies[int(len(latencies) * SETTLE) :], used.total() / len(latencies), own


def capacity(server: app_servers.Server) -> float:
    """Requests per second with four always waiting."""
    words = ["wrk", "-t1", "-c4", f"-d{SATURATED_S}", f"http://127.0.0.1:{server.port}{PATH}"]
    text = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in text, text
    return float(text.partition("Requests/sec:")[2].split()[0])


def measure(endpoint: str, title: str, ways: tuple[str, ...], rounds: int) -> tuple[float, Runs]:
    """The rate, and what the turns found."""
    rate, runs = 0.0, Runs((way, []) for way in ways)
    turns = TURNS // len(ways)
    for number in range(rounds):
        started = time.monotonic()
        with app_servers.started(title, ways, endpoint) as live:
            found = {way: capacity(server) for way, server in live.items()}  # warms them, too
            rate = rate or SHARE * max(found.values())
            for way in ways:
                runs[way].append([])
            for turn in range(turns):
                order = list(ways)
                random.Random(turn // 2).shuffle(order)
                for way in order if turn % 2 else reversed(order):
                    runs[way][-1].append(take_turn(live[way], rate))
        print(f"    round {number + 1}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
    return rate, runs


def quantile(latencies: list[float], q: float) -> float:
    return latencies[min(len(latencies) - 1, int(len(latencies) * q))]


def middle(values: list[float]) -> float:
    """The mean without the lowest and the highest fifth."""
    cut = len(values) // 5
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def own_threads(turns: list[Turn]) -> str:
    """What Varan's threads used for a request."""
    own = sum((own for _, _, own in turns), Counter[str]())
    texts = [f"{name} {ms / len(turns) * 1e3:.1f} us" for name, ms in own.most_common()]
    return f"{', '.join(texts)} of {statistics.fmean(cpu for _, cpu, _ in turns) * 1e3:.0f} us"


def figures(turn: Turn) -> tuple[float, ...]:
    latencies, cpu = sorted(turn[0]), turn[1]
    return quantile(latencies, 0.5), quantile(latencies, 0.99), cpu


FIGURES = ("p50", "p99", "CPU for a request")


def compare(mine: list[list[Turn]], theirs: list[list[Turn]]) -> list[tuple[float, ...]]:
    """For each of FIGURES: mine, theirs, the ratio theirs / mine, and the ends of its interval."""
    ours = [[figures(turn) for turn in turns] for turns in mine]
    other = [[figures(turn) for turn in turns] for turns in theirs]
    rounds, turns = range(len(ours)), range(len(ours[0]))
    everything = [(i, j) for i in rounds for j in turns]

    def value(of: list[list[tuple[float, ...]]], at: int, drawn: list[tuple[int, int]]) -> float:
        return middle([of[i][j][at] for i, j in drawn])

    draw = random.Random(1)
    ratios: list[list[float]] = [[] for _ in FIGURES]
    for _ in range(DRAWS):
        drawn = [
            (i, j)
            for i in draw.choices(rounds, k=len(rounds))
            for j in draw.choices(turns, k=len(turns))
        ]
        for at in range(len(FIGURES)):
            ratios[at].append(value(other, at, drawn) / value(ours, at, drawn))
    found = []
    for at in range(len(FIGURES)):
        a, b = value(ours, at, everything), value(other, at, everything)
        ends = sorted(ratios[at])
        found.append((a, b, b / a, quantile(ends, 0.025), quantile(ends, 0.975)))
    return found


def rows(endpoint: str, row: Callable[..., Any], rounds: int, only: str, mine: str, against: list[str]) -> list[Any]:  # fmt: skip
    found = []
    others = [o for o in (("bare", "without agent", ""), *peers()) if o[0] in against]
    for title in app_servers.SERVERS:
        if only.lower() not in title.lower():
            continue
        print(f"  {title}", file=sys.stderr, flush=True)
        rate, runs = measure(endpoint, title, (mine, *against), rounds)
        turns = [turn for found in runs[mine] for turn in found]
        print(f"    CPU of {mine}'s threads for a request: {own_threads(turns)}", file=sys.stderr, flush=True)  # fmt: skip
        of = "" if mine == "varan" else f" of {mine}"
        for way, peer, version in others:
            compared = compare(runs[mine], runs[way])
            for text, (ours, theirs, ratio, low, high) in zip(FIGURES, compared):
                what = f"{title}, {rate:.0f} requests/s: {text}{of}"
                r = row(what, ours, theirs, peer, version, "ms")
                r["ratio"] = round(ratio, 3)
                r["spread"] = f"95 %: {low:.3f} to {high:.3f}"
                found.append(r)
    return found
