"""A MeterProvider of OpenTelemetry's SDK that the application configures in its code. It stays as it is, with its views,
readers and exporters; a reader more brings its metrics to us, as its views have made them, and its own readers get ours
(otel_meter_share)."""

from __future__ import annotations

import os
import sys
from typing import Any

from . import _core, _report, metrics, otel_adopt, otel_meter_share

GAUGE, COUNTER, UP_DOWN, HISTOGRAM = range(4)  # as _core.send_metric() numbers them


def is_of_sdk(provider: Any) -> bool:
    sdk: Any = sys.modules.get("opentelemetry.sdk.metrics")
    return sdk is not None and isinstance(provider, sdk.MeterProvider)


def _labels(point: Any) -> dict[str, Any]:
    return dict(point.attributes or {})


def _buckets(p: Any, bounds: list[float], counts: list[float]) -> tuple[Any, ...]:
    begin = p.start_time_unix_nano / 1e9
    return _labels(p), begin, float(p.count), float(p.sum), bounds, counts, []


def _histogram(p: Any) -> tuple[Any, ...]:
    return _buckets(p, list(p.explicit_bounds), [float(n) for n in p.bucket_counts])


def _exponential(p: Any) -> tuple[Any, ...]:
    """With the bounds that its scale stands for. Values below zero, which durations and sizes do not have, are in the
    first bucket with zero."""
    base = 2.0 ** (2.0**-p.scale)
    positive = list(p.positive.bucket_counts)
    bounds = [base ** (p.positive.offset + i) for i in range(len(positive) + 1)]
    counts = [float(p.zero_count + sum(p.negative.bucket_counts)), *map(float, positive), 0.0]
    return _buckets(p, bounds, counts)


def _plain(p: Any) -> tuple[Any, ...]:
    return _labels(p), (p.start_time_unix_nano or 0) / 1e9, float(p.value), []


def _send(scope: Any, metric: Any) -> None:
    data = metric.data
    points = list(data.data_points)
    if not points:
        return
    if hasattr(data, "is_monotonic"):
        kind, rows = (COUNTER if data.is_monotonic else UP_DOWN), [_plain(p) for p in points]
    elif hasattr(points[0], "explicit_bounds"):
        kind, rows = HISTOGRAM, [_histogram(p) for p in points]
    elif hasattr(points[0], "scale"):
        kind, rows = HISTOGRAM, [_exponential(p) for p in points]
    else:
        kind, rows = GAUGE, [_plain(p) for p in points]
    _core.send_metric(scope, kind, metric.name, metric.unit or "", metric.description or "", rows)


class _Scopes:
    def __init__(self) -> None:
        self.known: dict[Any, Any] = {}

    def get(self, scope: Any) -> Any:
        key = (scope.name, scope.version, scope.schema_url)
        if key not in self.known:
            attributes = dict(getattr(scope, "attributes", None) or {})
            self.known[key] = _core.Tracer(
                scope.name, scope.version or None, scope.schema_url or None, attributes or None
            )
        return self.known[key]


def _make_reader(sdk: Any) -> Any:
    scopes = _Scopes()

    class VaranReader(sdk.MetricReader):  # type: ignore[misc, name-defined]
        """Asked before each of our exports."""

        def _receive_metrics(self, metrics_data: Any, timeout_millis: float = 0, **_: Any) -> None:
            for of_resource in metrics_data.resource_metrics if metrics_data else ():
                for of_scope in of_resource.scope_metrics:
                    for metric in of_scope.metrics:
                        _send(scopes.get(of_scope.scope), metric)

        def shutdown(self, timeout_millis: float = 0, **_: Any) -> None:
            pass

    return VaranReader()


def _register(provider: Any, reader: Any) -> None:
    """Anew, also in a forked child: its sums begin with it, as those of our own instruments do."""
    from opentelemetry.sdk.metrics._internal.metric_reader_storage import MetricReaderStorage

    consumer = provider._measurement_consumer
    storage = MetricReaderStorage(
        consumer._sdk_config,
        reader._instrument_class_temporality,
        reader._instrument_class_aggregation,
    )
    consumer._reader_storages = {**consumer._reader_storages, reader: storage}
    reader._set_collect_callback(consumer.collect)


def adopt(provider: Any, target: Any) -> None:
    """`target`: where the agent sends."""
    import opentelemetry.sdk.metrics.export as sdk

    readers = getattr(provider, "_metric_readers", None)
    if readers is None:
        readers = provider._sdk_config.metric_readers  # older SDKs
    is_sent = False
    for reader in readers:
        if otel_adopt.sends_to_us(getattr(reader, "_exporter", None), target):
            is_sent = True
            continue
        try:
            otel_meter_share.share(provider, reader)
        except Exception as error:
            _report.failure("telling the application's metric readers what is measured here", error)
    if is_sent:
        _report.once(
            "own metrics exporter",
            "the application's OTLP exporter sends to the same server: its metrics go there once, by that",
        )
        return
    reader = _make_reader(sdk)
    _register(provider, reader)

    def begin_anew() -> None:
        _register(provider, reader)
        _core.expect_metrics()

    os.register_at_fork(after_in_child=begin_anew)

    def opentelemetry() -> None:
        reader.collect()

    metrics.add_source(opentelemetry)
    _core.expect_metrics()
