"""What the agent costs the application, beside the OpenTelemetry SDK with its contrib instrumentations.

Each figure is the median of several runs, each in a process of its own, the contestants taking turns. Both export to
the same local sink. Work is measured in chunks, by the CPU time of the working thread, and flushed in between, outside
the clock: what the peer's export thread costs while it holds the GIL is not counted, to its advantage.

    python tests/bench/bench_agent.py [--rounds N] [--quick] [--requests PART | --instructions PART]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import agent_databases
import agent_instructions
import agent_micro
import frameworks
import servers_load

ROOT = Path(__file__).resolve().parents[2]
QUICK = os.environ.get("BENCH_QUICK") == "1"


# ---- the sink: takes what both send and answers 200 ----


def serve_sink(listener: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(1 << 20)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            left = length - len(data)
            while left > 0:
                got = len(connection.recv(min(left, 1 << 20)))
                if not got:
                    return
                left -= got
            data = data[length:]
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
            )

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


# ---- the contestants, each in a child process ----


def start_bare(endpoint: str) -> Callable[[], None]:
    return lambda: None


def start_varan(endpoint: str) -> Callable[[], None]:
    import varan

    varan.start(service="bench", endpoint=endpoint)

    def flush() -> None:
        varan.flush(10)

    return flush


def start_otel(endpoint: str) -> Callable[[], None]:
    import logging

    from opentelemetry import trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "bench"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(
        BatchSpanProcessor(
            OTLPSpanExporter(endpoint + "/v1/traces"),
            max_queue_size=20000,
            schedule_delay_millis=60000,
        )
    )
    trace.set_tracer_provider(provider)
    logs = LoggerProvider(resource=resource)
    logs.add_log_record_processor(
        BatchLogRecordProcessor(
            OTLPLogExporter(endpoint + "/v1/logs"),
            max_queue_size=20000,
            schedule_delay_millis=60000,
        )
    )
    set_logger_provider(logs)
    try:
        from opentelemetry.instrumentation.logging.handler import LoggingHandler  # type: ignore[import-not-found]
    except ImportError:
        from opentelemetry.sdk._logs import LoggingHandler
    logging.getLogger().addHandler(LoggingHandler(logger_provider=logs))

    def flush() -> None:
        provider.force_flush()
        logs.force_flush()

    return flush


def measure(
    run: Callable[[int], None], flush: Callable[[], None], chunk: int, chunks: int
) -> float:
    """Microseconds of the working thread's CPU per piece of work: the median chunk."""
    import gc

    run(chunk)
    flush()
    gc.collect()
    times = []
    for _ in range(chunks):
        started = time.thread_time()
        run(chunk)
        times.append((time.thread_time() - started) / chunk)
        flush()
    return statistics.median(times) * 1e6


STARTERS: dict[str, Callable[[str], Callable[[], None]]] = {
    "bare": start_bare,
    "prometheus": start_bare,
    "varan": start_varan,
    "varan-api": start_varan,
    "otel": start_otel,
    "ddtrace": frameworks.start_ddtrace,
    "sentry": frameworks.start_sentry,
}


def child(name: str, way: str, endpoint: str) -> None:
    """One run of one contestant; prints microseconds."""
    flush = STARTERS[way](endpoint)
    framework, _, part = name.partition("-")
    if framework == "db":
        return frameworks.take_turns(agent_databases.WORKS[part](way), flush)
    if part:
        work = frameworks.FRAMEWORKS[framework](way, endpoint, part == "call")
        return frameworks.take_turns(work, flush)
    make, chunk, chunks = agent_micro.WORKS[name]
    print(measure(make(way, endpoint), flush, chunk, max(5, chunks // (4 if QUICK else 1))))


def child_start(way: str, endpoint: str) -> None:
    """CPU time from the start of the interpreter until the agent is in, and the memory it takes."""
    (agent_micro.start_sentry_alone if way == "sentry" else STARTERS[way])(endpoint)
    with open("/proc/self/status") as status:
        rss_kb = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    print(time.process_time() * 1e3, rss_kb / 1024)


# ---- the match ----


def run_child(endpoint: str, *args: str) -> list[float]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "VARAN_"))}
    done = subprocess.run(
        [sys.executable, __file__, "--child", *args, endpoint],
        env=env,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{args}: {done.stderr}")
    return [float(x) for x in done.stdout.split()]


def match(endpoint: str, rounds: int, name: str, ways: tuple[str, ...]) -> dict[str, float]:
    """Medians by contestant, taking turns."""
    runs: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way].append(run_child(endpoint, name, way)[0])
    return {way: statistics.median(found) for way, found in runs.items()}


def row(
    work: str, ours: float, theirs: float | None, peer: str | None, version: str | None, unit: str
) -> dict[str, Any]:
    return {
        "work": work, "ours": round(ours, 3), "unit": unit, "peer": peer, "peer_version": version,
        "theirs": None if theirs is None else round(theirs, 3),
        "ratio": None if theirs is None or ours <= 0 else round(theirs / ours, 1),
    }  # fmt: skip


def bench_requests(endpoint: str, rounds: int, only: str) -> list[dict[str, Any]]:
    """Frameworks, and servers under load."""
    rows = frameworks.rows(endpoint, row, 20 * rounds, only)
    rows += agent_databases.rows(endpoint, row, 40 * rounds, only)
    return rows + servers_load.rows(endpoint, row, rounds, 2 if QUICK else 5, only)


def bench(endpoint: str, rounds: int) -> list[dict[str, Any]]:
    rows = agent_micro.rows(endpoint, match, row, run_child, rounds)
    return rows + bench_requests(endpoint, rounds, "")


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'work':<58} {'varan':>9} {'peer':>9} {'ratio':>6}  peer")
    for r in rows:
        theirs = "" if r["theirs"] is None else f"{r['theirs']:.2f}"
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.1f}×"
        peer = "" if r["peer"] is None else f"{r['peer']} {r['peer_version']}"
        print(
            f"{r['work'] + ', ' + r['unit']:<58} {r['ours']:>9.2f} {theirs:>9} {ratio:>6}  {peer}"
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", nargs=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--requests",
        metavar="PART",
        help="only frameworks, databases and servers whose name holds PART (db-redis)",
    )
    parser.add_argument(
        "--instructions",
        metavar="PART",
        help="the frameworks' requests counted by callgrind, for noisy machines (flask-call)",
    )
    parser.add_argument("--micro", action="store_true", help="only single operations and start-up")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench" / "agent.json")
    options = parser.parse_args()
    if options.child:
        name, way, endpoint = options.child
        return child_start(way, endpoint) if name == "start" else child(name, way, endpoint)
    if options.quick:
        os.environ["BENCH_QUICK"] = "1"
        options.rounds = min(options.rounds, 3)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port = listener.getsockname()[1]
        sink = os.fork()
        if sink == 0:
            serve_sink(listener)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        if options.micro:
            rows = agent_micro.rows(endpoint, match, row, run_child, options.rounds)
        elif options.instructions is not None:
            rows = agent_instructions.rows(endpoint, row, options.instructions)
        elif options.requests is None:
            rows = bench(endpoint, options.rounds)
        else:
            rows = bench_requests(endpoint, options.rounds, options.requests)
    finally:
        os.kill(sink, 9)
        os.waitpid(sink, 0)
    print(
        f"CPython {platform.python_version()}, {os.cpu_count()} CPUs, {platform.machine()}, medians of {options.rounds}"
    )
    show(rows)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
