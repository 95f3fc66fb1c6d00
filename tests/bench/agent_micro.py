"""The smallest pieces of work of bench_agent.py: spans, metrics, log records and exceptions, beside the same in the
OpenTelemetry SDK, ddtrace, sentry-sdk and prometheus_client. A figure is the median turn (turns.py); a loop's own cost
is part of it."""

from __future__ import annotations

import logging
import statistics
import sys
from typing import Any, Callable

import turns
from contestants import install_peers, peer_version

Run = Callable[[int], None]


def _spans_varan(attributes: bool) -> Run:
    import varan

    span = varan.span

    def run(n: int) -> None:
        for _ in range(n):
            with span("work"):
                pass

    def run_attributes(n: int) -> None:
        for i in range(n):
            with span("work", a=i, b="text", c=1.5, d=True, e="longer text, still short"):
                pass

    return run_attributes if attributes else run


def _spans_otel(attributes: bool) -> Run:
    from opentelemetry import trace

    start = trace.get_tracer("bench").start_as_current_span

    def run(n: int) -> None:
        for _ in range(n):
            with start("work"):
                pass

    def run_attributes(n: int) -> None:
        for i in range(n):
            given = {"a": i, "b": "text", "c": 1.5, "d": True, "e": "longer text, still short"}
            with start("work", attributes=given):
                pass

    return run_attributes if attributes else run


def _spans_ddtrace(attributes: bool) -> Run:
    from ddtrace.trace import tracer  # type: ignore[import-not-found]

    def run(n: int) -> None:
        for _ in range(n):
            with tracer.trace("work"):
                pass

    def run_attributes(n: int) -> None:
        for i in range(n):
            with tracer.trace("work") as span:
                span.set_tags({"b": "text", "d": "true", "e": "longer text, still short"})
                span.set_metric("a", i)
                span.set_metric("c", 1.5)

    return run_attributes if attributes else run


def _spans_sentry(attributes: bool) -> Run:
    """In transactions of 100 spans: outside of one each would be a transaction."""
    import sentry_sdk  # type: ignore[import-not-found]

    def run(n: int) -> None:
        for at in range(0, n, 100):
            with sentry_sdk.start_transaction(name="work"):
                for _ in range(at, min(n, at + 100)):
                    with sentry_sdk.start_span(op="work", name="work"):
                        pass

    def run_attributes(n: int) -> None:
        for at in range(0, n, 100):
            with sentry_sdk.start_transaction(name="work"):
                for i in range(at, min(n, at + 100)):
                    with sentry_sdk.start_span(op="work", name="work") as span:
                        span.set_data("a", i)
                        span.set_data("b", "text")
                        span.set_data("c", 1.5)
                        span.set_data("d", True)
                        span.set_data("e", "longer text, still short")

    return run_attributes if attributes else run


SPANS = {
    "varan": _spans_varan, "varan-api": _spans_otel, "otel": _spans_otel, "ddtrace": _spans_ddtrace,
    "sentry": _spans_sentry,
}  # fmt: skip


def _start_otel_metrics(endpoint: str) -> None:
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(endpoint + "/v1/metrics")
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(exporter)]))


def _counter(way: str, endpoint: str, attributes: bool) -> Run:
    if way == "prometheus":
        import prometheus_client

        plain = prometheus_client.Counter("bench", "text")
        labels = prometheus_client.Counter("bench_labels", "text", ["shop", "paid"])

        def run_prometheus(n: int) -> None:
            for _ in range(n):
                plain.inc()

        def run_labels(n: int) -> None:
            for _ in range(n):
                labels.labels(shop="Graz", paid="yes").inc()

        return run_labels if attributes else run_prometheus
    if way == "varan":
        import varan

        add = varan.counter("bench").add
    else:
        from opentelemetry import metrics

        _start_otel_metrics(endpoint)
        add = metrics.get_meter("bench").create_counter("bench").add
    given = {"shop": "Graz", "paid": "yes"}

    def run(n: int) -> None:
        for _ in range(n):
            add(1)

    def run_attributes(n: int) -> None:
        for _ in range(n):
            add(1, given)

    return run_attributes if attributes else run


def _bound_counter(way: str, endpoint: str) -> Run:
    import varan

    add = varan.counter("bench").bind(shop="Graz", paid="yes").add

    def run(n: int) -> None:
        for _ in range(n):
            add(1)

    return run


def _histogram(way: str, endpoint: str) -> Run:
    record: Callable[[float], None]
    if way == "prometheus":
        import prometheus_client

        record = prometheus_client.Histogram("bench", "text").observe
    elif way == "varan":
        import varan

        record = varan.histogram("bench").record
    else:
        from opentelemetry import metrics

        _start_otel_metrics(endpoint)
        record = metrics.get_meter("bench").create_histogram("bench").record

    def run(n: int) -> None:
        for i in range(n):
            record(i & 1023)

    return run


def _log(way: str, endpoint: str) -> Run:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.INFO)
    logging.getLogger().addHandler(logging.NullHandler())

    def run(n: int) -> None:
        for i in range(n):
            logger.info("order %d is paid", i)

    return run


def _fail(depth: int) -> None:
    if depth:
        _fail(depth - 1)
    raise ValueError("no such order")


def _exception(way: str, endpoint: str) -> Run:
    start: Any
    if way == "varan":
        import varan

        start = varan.span
    elif way == "otel":
        from opentelemetry import trace

        start = trace.get_tracer("bench").start_as_current_span
    elif way == "ddtrace":
        from ddtrace.trace import tracer

        start = tracer.trace
    else:
        import sentry_sdk

        def run_sentry(n: int) -> None:
            for _ in range(n):
                try:
                    _fail(10)
                except ValueError as error:
                    sentry_sdk.capture_exception(error)

        return run_sentry

    def run(n: int) -> None:
        for _ in range(n):
            try:
                with start("work"):
                    _fail(10)
            except ValueError:
                pass

    return run


# name → (makes the work of a contestant, pieces in a turn)
WORKS: dict[str, tuple[Callable[[str, str], Run], int]] = {
    "span0": (lambda way, _: SPANS[way](False), 1000),
    "span5": (lambda way, _: SPANS[way](True), 1000),
    "counter": (lambda way, endpoint: _counter(way, endpoint, False), 10000),
    "counter2": (lambda way, endpoint: _counter(way, endpoint, True), 10000),
    "bound": (_bound_counter, 10000),
    "histogram": (_histogram, 10000),
    "exception": (_exception, 200),
    "log": (_log, 1000),
}


def peers() -> dict[str, tuple[str, str]]:
    """Name and version by contestant."""
    from importlib.metadata import version

    return {
        "otel": ("opentelemetry-sdk", version("opentelemetry-sdk")),
        "ddtrace": ("ddtrace", peer_version("ddtrace")),
        "sentry": ("sentry-sdk", peer_version("sentry-sdk")),
        "prometheus": ("prometheus_client", version("prometheus_client")),
    }


# Text, work, ours, the peers'.
TABLE = (
    ("span, no attributes, current", "span0", "varan", ("otel", "ddtrace", "sentry")),
    ("span, no attributes, current, through the OpenTelemetry API", "span0", "varan-api", ("otel",)),
    ("span, 5 attributes, current", "span5", "varan", ("otel", "ddtrace", "sentry")),
    ("span, 5 attributes, current, through the OpenTelemetry API", "span5", "varan-api", ("otel",)),
    ("counter", "counter", "varan", ("otel", "prometheus")),
    ("counter, 2 attributes", "counter2", "varan", ("otel", "prometheus")),
    ("counter, 2 attributes, bound", "bound", "varan", ()),
    ("histogram", "histogram", "varan", ("otel", "prometheus")),
    ("exception in a span, 10 frames deep", "exception", "varan", ("otel", "ddtrace", "sentry")),
    ("log record, added", "log", "varan", ("otel", "sentry")),
)  # fmt: skip


def rows(
    endpoint: str, row: Callable[..., dict[str, Any]], n_turns: int, only: str = ""
) -> list[dict[str, Any]]:
    install_peers()
    versions, made = peers(), []
    for text, name, ours, others in TABLE:
        if only not in name:
            continue
        print(f"  {text}", file=sys.stderr, flush=True)
        base = ("bare",) if name == "log" else ()
        found = turns.match(endpoint, name, n_turns, (ours, *others, *base))
        bare = statistics.median(found[base[0]]) if base else 0.0
        m = {way: statistics.median(took) - bare for way, took in found.items()}
        if not others:
            made.append(row(text, m[ours], None, None, None, "µs"))
        for other in others:
            made.append(row(text, m[ours], m[other], *versions[other], "µs"))
    return made


if __name__ == "__main__":
    sys.exit("a part of bench_agent.py")
