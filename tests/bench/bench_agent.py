"""What the agent costs the application, beside the OpenTelemetry SDK with its contrib instrumentations, ddtrace and
sentry-sdk. All contestants run on this machine in the same run, and send to the same local sink.

    python tests/bench/bench_agent.py [PART …] [--only NAME] [--rounds N] [--quick]

Parts, each of two or three minutes; without one, all of them but the last:

    micro         single operations: span, counter, histogram, log record, exception
    startup       CPU time and memory until the agent is in
    memory        memory after many requests
    requests      Flask, Django and FastAPI requests with a query, and with an outgoing call
    databases     one query on sqlite3, psycopg and redis
    load          servers as busy as they can be: requests per second and p99
    rate          servers at half of their capacity, requests sent by the clock: p99 from the time meant; a
                  minute for each round of each server (--only flask --against bare --rounds 5)
    instructions  the part "requests", and spans, counted by callgrind, where a machine is too noisy for times
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import agent_databases
import agent_instructions
import agent_micro
import agent_start
import frameworks
import servers_load
import servers_rate
import turns
from app_servers import VARIANTS
from contestants import CONTESTANTS, ROOT, STARTERS, serve_sink

ROUNDS, ROUNDS_QUICK = 5, 1
ROUNDS_RATE = 2  # a minute for each of its servers
PEERS = [way for way in CONTESTANTS if way != "varan"]


def child(name: str, way: str, endpoint: str) -> None:
    """One contestant, in a process of its own."""
    if name.startswith(("start", "memory")):
        return agent_start.child(name, way, endpoint)
    flush = STARTERS[way](endpoint)
    framework, _, part = name.partition("-")
    if framework == "db":
        return turns.take(agent_databases.WORKS[part](way), flush, frameworks.CHUNK)
    if part:
        work = frameworks.FRAMEWORKS[framework](way, endpoint, part == "call")
        return turns.take(work, flush, frameworks.CHUNK)
    make, chunk = agent_micro.WORKS[name]
    turns.take(make(way, endpoint), flush, chunk)


def row(
    work: str, ours: float, theirs: float | None, peer: str | None, version: str | None, unit: str
) -> dict[str, Any]:
    return {
        "work": work, "ours": round(ours, 3), "unit": unit, "peer": peer, "peer_version": version,
        "theirs": None if theirs is None else round(theirs, 3),
        "ratio": None if theirs is None or ours <= 0 else round(theirs / ours, 1),
    }  # fmt: skip


# name → (endpoint, options) → rows
PARTS = {
    "micro": lambda at, o: agent_micro.rows(at, row, 8 * o.rounds, o.only),
    "startup": lambda at, o: agent_start.rows_startup(at, row, o.rounds),
    "memory": lambda at, o: agent_start.rows_memory(at, row, min(o.rounds, 3)),
    "requests": lambda at, o: frameworks.rows(at, row, o.rounds, o.only),
    "databases": lambda at, o: agent_databases.rows(at, row, o.rounds, o.only),
    "load": lambda at, o: servers_load.rows(at, row, o.rounds, o.only, o.against),
    "rate": lambda at, o: servers_rate.rows(at, row, o.rounds_rate, o.only, o.mine, o.against),
    "instructions": lambda at, o: agent_instructions.rows(at, row, o.only, o.against),
}


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'work':<62} {'varan':>9} {'peer':>9} {'ratio':>6}  peer")
    for r in rows:
        theirs = "" if r["theirs"] is None else f"{r['theirs']:.2f}"
        ratio = "" if r["ratio"] is None else f"{r['ratio']}×"
        peer = "" if r["peer"] is None else f"{r['peer']} {r['peer_version']}"
        spread = f" ({r['spread']})" if "spread" in r else ""
        print(
            f"{r['work'] + ', ' + r['unit']:<62} {r['ours']:>9.2f} {theirs:>9} {ratio:>6}  {peer}{spread}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--only", default="", metavar="NAME", help="pieces of a part by name: span5, flask-call, db-redis, gunicorn")  # fmt: skip
    parser.add_argument("--against", default=list(PEERS), type=lambda text: text.split(","), metavar="NAMES", help="of the parts load, rate and instructions: bare, otel, ddtrace, sentry")  # fmt: skip
    parser.add_argument("--mine", default="varan", choices=("varan", *VARIANTS), help="of the part rate, who stands in Varan's place: a second bare one, Varan without its profiler")  # fmt: skip
    parser.add_argument(
        "--rounds", type=int, help=f"default {ROUNDS}, of the part rate {ROUNDS_RATE}"
    )
    parser.add_argument("--quick", action="store_true", help="few rounds: does it run")
    parser.add_argument("--output", type=Path, help="default build/bench/agent.json, agent-PART.json")  # fmt: skip
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]}: there are {', '.join(PARTS)}")
    unknown = [way for way in options.against if way not in PEERS]
    if unknown:
        parser.error(f"--against: nobody is called {unknown[0]}: there are {', '.join(PEERS)}")
    if options.quick:
        options.rounds = ROUNDS_QUICK
    options.rounds_rate = options.rounds or ROUNDS_RATE
    options.rounds = options.rounds or ROUNDS
    return options


def main() -> None:
    options = parse()
    if options.child:
        return child(*options.child)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        sink = os.fork()
        if sink == 0:
            serve_sink(listener)
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    try:
        for part in options.parts or list(PARTS)[:-1]:
            print(f"{part} …", file=sys.stderr, flush=True)
            # A contestant that fails does not take the other parts along.
            try:
                found = PARTS[part](f"http://127.0.0.1:{port}", options)
            except RuntimeError as error:
                failed.append(f"{part}: {error}")
                continue
            if not found and options.only:
                failed.append(f"{part}: nothing in it is called {options.only}")
            rows += found
    finally:
        os.kill(sink, 9)
        os.waitpid(sink, 0)
    cpus = len(os.sched_getaffinity(0))
    print(
        f"CPython {platform.python_version()}, {cpus} CPUs, {platform.machine()}, {options.rounds} rounds"
    )
    show(rows)
    name = "-".join(["agent", *options.parts]) + ".json"
    output = options.output or ROOT / "build" / "bench" / name
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
