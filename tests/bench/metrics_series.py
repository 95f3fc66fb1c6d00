"""Series for bench_metrics.py, in the format of remote_write_load.c: a real node exporter's, and a service's."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from metrics_peers import free_port

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
SECONDS_BETWEEN = 10  # the two scrapes that tell how values move


def scrape(url: str) -> tuple[dict[str, float], dict[str, str]]:
    """(value by series as it is written, type by metric)."""
    values, types = {}, {}
    for line in urllib.request.urlopen(url, timeout=10).read().decode().splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ", 3)
            types[name] = kind
        elif not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            values[series] = float(value)
    return values, types


@contextmanager
def node_exporter(folder: Path):
    """Its address, once it answers."""
    port = free_port()
    with (folder / "node-exporter.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}/metrics"
    try:
        end = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(url, timeout=10).read()
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def node_exporter_text(folder: Path) -> str:
    """What the node exporter of this machine exposes, as it is."""
    with node_exporter(folder) as url:
        return urllib.request.urlopen(url, timeout=10).read().decode()


def node_exporter_series(folder: Path) -> Path:
    """Its series with the pace at which each moved between two scrapes."""
    with node_exporter(folder) as url:
        first, types = scrape(url)
        time.sleep(SECONDS_BETWEEN)
        second, _ = scrape(url)
    lines = []
    for series, value in second.items():
        name, labels, _ = _SAMPLE.match(f"{series} 0").groups()
        pairs = {"__name__": name, "instance": "@", "job": "node"}
        pairs.update(_LABEL.findall(labels or ""))
        family = types.get(name) or types.get(re.sub("_(sum|count|bucket)$", "", name), "gauge")
        change = abs(value - first.get(series, value)) / SECONDS_BETWEEN
        lines.append(_line(_kind(family, value, change), value, change, pairs))
    path = folder / "node.series"
    path.write_text("".join(lines))
    return path


def _kind(family: str, value: float, change: float) -> str:
    if change == 0:
        return "k"
    whole = float(value).is_integer()
    if family in ("counter", "histogram", "summary"):
        return "c" if whole else "f"
    return "g" if whole else "h"


def _line(kind: str, value: float, change: float, pairs: dict[str, str]) -> str:
    labels = "\t".join(f"{name}\t{pairs[name]}" for name in sorted(pairs) if pairs[name])
    return f"{kind}\t{value!r}\t{change!r}\t{labels}\n"


ROUTES = 10
STATUSES = ("200", "201", "301", "400", "404", "500")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf")
GAUGES = 10
SERIES_OF_AN_INSTANCE = ROUTES * len(STATUSES) + 3 * len(BOUNDS) + GAUGES


def service_series(folder: Path) -> Path:
    """A hundred series of one instance: requests by route and status, a histogram, levels."""
    lines = []
    common = {"instance": "@", "job": "service"}
    for route in range(ROUTES):
        for s, status in enumerate(STATUSES):
            pairs = {"__name__": "http_requests_total", "route": f"/r{route}", "status": status}
            lines.append(_line("c", 1e5 + route, 20 / (1 + 4 * s), pairs | common))
    for route in range(3):
        for b, bound in enumerate(BOUNDS):
            pairs = {"__name__": "http_duration_seconds_bucket", "route": f"/r{route}", "le": bound}
            lines.append(_line("c", 1e4 * (b + 1), b + 1.0, pairs | common))
    for n in range(GAUGES):
        pairs = {"__name__": "pool_bytes", "pool": f"pool{n}"}
        lines.append(_line("g", 1e8 + n * 1e6, 65536, pairs | common))
    path = folder / "service.series"
    path.write_text("".join(lines))
    return path
