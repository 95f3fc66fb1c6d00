"""Loading the servers that bench_metrics.py compares, and the rows of what was measured."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from common import BUILD, Results, median
from metrics_peers import Peer, Prometheus, Varan, VictoriaMetrics

ROWS = 2000  # of a request, as Prometheus sends them since 3.0
CONNECTIONS = 8
STEP_MS = 15_000
FOREVER = 1_000_000_000
HISTORY_BATCH = 60  # samples of a series in a request, where only what is stored matters


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
