"""prometheus_client's registry, exported as it is; and Prometheus' text format for who asks.

What is sent over OTLP carries no unit and has the very names of the registry, because those names translate to
themselves. Each process sends the values of its own registry under its own service.instance.id, so that forked workers
need no files; a child that inherited its parent's values sends what was added since the fork.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from . import _core, _report, metrics

GAUGE, COUNTER, UP_DOWN, HISTOGRAM, SUMMARY = range(5)
POINTS_MAX = 20000  # of one registry and export

_scope: Any = None
_inherited: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}


def _key(name: str, labels: dict[str, str]) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def _own(name: str, labels: dict[str, str], value: float) -> float:
    """The value without what the parent process had counted before the fork."""
    return value - _inherited.get(_key(name, labels), 0) if _inherited else value


def _exemplar(sample: Any) -> list[tuple[float, dict[str, str], float | None]]:
    e = getattr(sample, "exemplar", None)
    return [] if e is None else [(e.value, dict(e.labels), e.timestamp)]


class _Distribution:
    """A histogram or summary of one set of labels, put together from its samples."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self.buckets: list[tuple[float, float]] = []
        self.count: float | None = None
        self.sum = 0.0
        self.created = 0.0
        self.exemplars: list[Any] = []

    def histogram(self) -> tuple[Any, ...]:
        self.buckets.sort()
        counts, before = [], 0.0
        for _, cumulated in self.buckets:
            counts.append(cumulated - before)
            before = cumulated
        bounds = [bound for bound, _ in self.buckets if not math.isinf(bound)]
        if len(counts) == len(bounds):
            counts.append(0.0)
        count = before if self.count is None else self.count
        return self.labels, self.created, count, self.sum, bounds, counts, self.exemplars

    def summary(self) -> tuple[Any, ...]:
        at, values = [q for q, _ in self.buckets], [v for _, v in self.buckets]
        return self.labels, self.created, self.count or 0.0, self.sum, at, values, []


def _distributions(family: Any, edge: str) -> Iterator[_Distribution]:
    found: dict[Any, _Distribution] = {}
    name = family.name
    for sample in family.samples:
        labels = dict(sample.labels)
        bound = labels.pop(edge, None)
        d = found.setdefault(_key("", labels), _Distribution(labels))
        if sample.name == name + "_count":
            d.count = _own(sample.name, sample.labels, sample.value)
        elif sample.name == name + "_sum":
            d.sum = _own(sample.name, sample.labels, sample.value)
        elif sample.name == name + "_created":
            d.created = sample.value
        elif bound is not None:
            value = _own(sample.name, sample.labels, sample.value) if edge == "le" else sample.value
            d.buckets.append((float(bound), value))
            d.exemplars += _exemplar(sample)
    yield from found.values()


def _send(kind: int, name: str, text: str, points: list[Any]) -> None:
    if points:
        _core.send_metric(_scope, kind, name, "", text, points)


def _send_plain(family: Any, kind: int) -> None:
    """Each sample by its own name."""
    by_name: dict[str, list[Any]] = {}
    created = {
        _key("", dict(s.labels)): s.value for s in family.samples if s.name.endswith("_created")
    }
    for s in family.samples:
        labels = dict(s.labels)
        # The time of creation is a gauge of its own in Prometheus' eyes.
        is_created = kind == COUNTER and s.name.endswith("_created")
        value = s.value if is_created or kind == GAUGE else _own(s.name, labels, s.value)
        since = 0.0 if is_created else created.get(_key("", labels), 0.0)
        by_name.setdefault(s.name, []).append((labels, since, float(value), _exemplar(s)))
    for name, points in by_name.items():
        gauge = kind == COUNTER and name.endswith("_created")
        _send(GAUGE if gauge else kind, name, family.documentation, points)


def export(families: Iterable[Any]) -> None:
    """Sends the families of one registry, as prometheus_client's collect() gives them."""
    left = POINTS_MAX
    for family in families:
        left -= len(family.samples)
        if left < 0:
            _report.once("prometheus", f"more than {POINTS_MAX} samples: the rest is not sent")
            return
        if family.type == "histogram":
            points = [d.histogram() for d in _distributions(family, "le")]
            _send(HISTOGRAM, family.name, family.documentation, points)
        elif family.type == "summary":
            points = [d.summary() for d in _distributions(family, "quantile")]
            _send(SUMMARY, family.name, family.documentation, points)
        else:
            _send_plain(family, COUNTER if family.type == "counter" else GAUGE)
        if family.type in ("histogram", "summary"):
            created = [
                (dict(s.labels), 0.0, s.value, [])
                for s in family.samples
                if s.name == family.name + "_created"
            ]
            _send(GAUGE, family.name + "_created", family.documentation, created)


def _values(collector: Any) -> Iterator[tuple[str, float]]:
    """Names and values of one metric's child, read without its lock: in a forked child a thread that is gone may hold
    it."""
    name = getattr(collector, "_name", "")
    kind = getattr(collector, "_type", "")
    if kind == "counter":
        yield name + "_total", collector._value._value
    elif kind in ("histogram", "summary"):
        yield name + "_sum", collector._sum._value
        if kind == "summary":
            yield name + "_count", collector._count._value


def _note(metric: Any, labels: dict[str, str]) -> None:
    for name, value in _values(metric):
        if value:
            _inherited[_key(name, labels)] = value
    if getattr(metric, "_type", "") == "histogram":
        total = 0.0
        for bound, bucket in zip(metric._upper_bounds, metric._buckets):
            total += bucket._value
            edge = "+Inf" if math.isinf(bound) else _bound_text(bound)
            _inherited[_key(metric._name + "_bucket", {**labels, "le": edge})] = total
        _inherited[_key(metric._name + "_count", labels)] = total


def _bound_text(bound: float) -> str:
    from prometheus_client.utils import floatToGoString

    return str(floatToGoString(bound))


def _after_fork() -> None:
    """In the child: what is there now was counted by the parent, which sends it."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        _inherited.clear()  # prometheus_client itself begins anew, with files for this process
        return
    try:
        _inherited.clear()
        registry = sys.modules["prometheus_client.registry"].REGISTRY
        for metric in list(registry._collector_to_names):
            names = getattr(metric, "_labelnames", None)
            if names is None:
                continue  # a collector of its own kind computes when asked
            if not names:
                _note(metric, {})
            for values, child in list(getattr(metric, "_metrics", {}).items()) if names else ():
                _note(child, dict(zip(names, values)))
    except Exception as error:
        _report.failure("reading prometheus_client's registry after a fork", error)


def install(module: Any) -> None:
    """prometheus_client.registry has been imported."""
    global _scope
    _scope = _core.Tracer("prometheus_client")
    os.register_at_fork(after_in_child=_after_fork)

    def prometheus_client_registry() -> None:
        export(module.REGISTRY.collect())

    metrics.add_source(prometheus_client_registry)


# ---- the text format ----


def _translate(name: str, unit: str, kind: int) -> str:
    units = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "%": "percent"}
    text = "".join(c if c.isalnum() or c in "_:" else "_" for c in name)
    unit = "" if unit.startswith("{") else units.get(unit, "" if unit == "1" else unit)
    unit = "".join(c if c.isalnum() else "_" for c in unit)
    if unit and not text.endswith(unit):
        text += "_" + unit
    if kind in (0, metrics.OBSERVED_COUNTER) and not text.endswith("_total"):
        text += "_total"
    return text


def _labels(attributes: dict[str, Any], **more: str) -> str:
    pairs = []
    for key, value in (*attributes.items(), *more.items()):
        name = "".join(c if c.isalnum() or c == "_" else "_" for c in key)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        pairs.append(f'{name}="{escaped}"')
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _own_text() -> str:
    lines = []
    for name, unit, kind, bounds, points in _core.metrics_snapshot():
        full = _translate(name, unit, kind)
        if kind == 2 and bounds is None:
            continue  # the text format has no exponential histograms
        type_name = "histogram" if kind == 2 else "counter" if kind in (0, 4) else "gauge"
        lines.append(f"# TYPE {full} {type_name}")
        for attributes, value, _ in points:
            if kind != 2:
                lines.append(f"{full}{_labels(attributes)} {value}")
                continue
            total = 0
            for bound, count in zip([*bounds, "+Inf"], value[4]):
                total += count
                lines.append(f"{full}_bucket{_labels(attributes, le=str(bound))} {total}")
            lines.append(f"{full}_sum{_labels(attributes)} {value[1]}")
            lines.append(f"{full}_count{_labels(attributes)} {value[0]}")
    return "\n".join(lines) + "\n" if lines else ""


def text() -> str:
    theirs = ""
    module = sys.modules.get("prometheus_client.exposition")
    registry = sys.modules.get("prometheus_client.registry")
    if module is not None and registry is not None:
        theirs = module.generate_latest(registry.REGISTRY).decode()
    return theirs + (_own_text() if _core.native else "")


def serve(port: int) -> None:
    """Answers GET /metrics on 127.0.0.1:port, or on VARAN_METRICS_HOST. When the port is taken (another worker has it),
    says so and goes on without."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404)
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    host = os.environ.get("VARAN_METRICS_HOST", "127.0.0.1")
    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        _report.once("metrics port", f"VARAN_METRICS_PORT={port} is not served: {error}")
        return
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="varan-metrics", daemon=True).start()
