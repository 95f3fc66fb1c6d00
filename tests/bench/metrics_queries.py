"""query_range beside the peers: the first ask of a question, and the same asked again, for bench_metrics.py."""

from __future__ import annotations

from pathlib import Path

from common import Results
from metrics_load import HISTORY_BATCH, add_all, hours_ago, load
from metrics_peers import EVERYONE, Peer
from metrics_series import SERIES_OF_AN_INSTANCE

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


OTHER = ('pool_bytes{pool="pool0",instance="0"}', 'http_requests_total{route="/r0",instance="0"}')


def filled(shape: dict, service: Path, start: int) -> list[Peer]:
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
    return peers


def queries(
    results: Results, sizes, service: Path, title: str, shape: dict, step_seconds: int
) -> None:
    """Two rows of each query. First ask: the server was started anew and has answered for one series of another metric
    since, so that it is awake but has no sample in its memory (Prometheus excepted: its head is not thrown away). Again:
    asked before, a moment earlier."""
    seconds = shape["steps"] * shape["step_ms"] // 1000
    start = hours_ago(seconds / 3600 + 0.2)
    peers = filled(shape, service, start)
    series = shape["instances"] * SERIES_OF_AN_INSTANCE
    for what, query in MIX.items():
        first, again = {kind: [] for kind in EVERYONE}, {kind: [] for kind in EVERYONE}
        for turn in range(sizes.first_asks + sizes.asks):
            # Never the same question twice: no cache of whole answers helps.
            asked = {
                "query": query,
                "start": start / 1000 + 300 + 7 * turn,
                "end": start / 1000 + seconds - 60 + turn,
                "step": step_seconds,
            }
            for peer in peers:
                is_first = turn < sizes.first_asks
                if is_first and peer.restarts_for_first_asks:
                    peer.restart()
                    peer.timed(**asked | {"query": OTHER[what == "raw select"]})
                times = first if is_first else again
                times[type(peer)].append(peer.timed(**asked) * 1e3)
        add_all(results, f"{what}, {series:,} series, {title}, first ask", "ms", first)
        add_all(results, f"{what}, {series:,} series, {title}, again", "ms", again)
    for peer in peers:
        peer.close()
