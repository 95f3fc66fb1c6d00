"""The parts of bench_agent.py about what is paid once: CPU time until the agent is in, and memory, at the start and after
many requests. Each run is a process of its own, the contestants taking turns; a figure is the median."""

from __future__ import annotations

import importlib
import statistics
import subprocess
import sys
import time
from typing import Any, Callable

import frameworks
import turns
from contestants import (
    CONTESTANTS,
    STARTERS,
    clean_environment,
    install_peers,
    peers,
    start_sentry_alone,
)

REQUESTS = 10_000
LIBRARIES = ("flask", "requests", "sqlite3", "logging")  # what the application imports after it


def _rss_mb() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def child(name: str, way: str, endpoint: str) -> None:
    """start: milliseconds and MB; start-flask: milliseconds with a Flask application's imports; memory: MB after requests."""
    if name == "memory":
        flush = STARTERS[way](endpoint)
        run = frameworks.FRAMEWORKS["flask"](way, endpoint, False)
        for _ in range(REQUESTS // frameworks.CHUNK):
            run(frameworks.CHUNK)
            flush()
        return print(_rss_mb())
    (start_sentry_alone if way == "sentry" else STARTERS[way])(endpoint)
    if name == "start-flask":
        for library in LIBRARIES:
            importlib.import_module(library)
    print(time.process_time() * 1e3, _rss_mb())


def _run(endpoint: str, name: str, way: str) -> list[float]:
    done = subprocess.run(
        [sys.executable, turns.SCRIPT, "--child", name, way, endpoint],
        env=clean_environment(), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{name}, {way}: {done.stderr}")
    return [float(x) for x in done.stdout.split()]


def _medians(
    endpoint: str, rounds: int, name: str, ways: tuple[str, ...]
) -> dict[str, list[float]]:
    runs: dict[str, list[list[float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            runs[way].append(_run(endpoint, name, way))
    return {
        way: [statistics.median(values) for values in zip(*found)] for way, found in runs.items()
    }


def _added(
    row: Callable[..., Any], text: str, unit: str, found: dict[str, list[float]], at: int
) -> Any:
    bare = found["bare"][at]
    for way, peer, version in peers():
        if way in found:
            yield row(text, found["varan"][at] - bare, found[way][at] - bare, peer, version, unit)


def rows_startup(endpoint: str, row: Callable[..., Any], rounds: int) -> list[Any]:
    install_peers()
    print("  start-up", file=sys.stderr, flush=True)
    found = _medians(endpoint, rounds, "start", CONTESTANTS)
    flask = _medians(endpoint, rounds, "start-flask", CONTESTANTS[:-1])
    return [
        *_added(row, "start-up, CPU added", "ms", found, 0),
        *_added(row, "start-up of a Flask application, CPU added", "ms", flask, 0),
        *_added(row, "memory added at start", "MB", found, 1),
    ]


def rows_memory(endpoint: str, row: Callable[..., Any], rounds: int) -> list[Any]:
    install_peers()
    print(f"  memory after {REQUESTS} requests", file=sys.stderr, flush=True)
    found = _medians(endpoint, rounds, "memory", CONTESTANTS)
    return list(_added(row, f"memory added after {REQUESTS} Flask requests", "MB", found, 0))
