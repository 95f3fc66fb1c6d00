"""What our hooks and instruments have measured, for the readers of a MeterProvider that the application configures in
its code: they get it with each collection, as metrics of one scope more."""

from __future__ import annotations

import time
from typing import Any, Callable

from . import _core, _report

COUNTER, UP_DOWN, HISTOGRAM, GAUGE, OBSERVED_COUNTER, OBSERVED_UP_DOWN, OBSERVED_GAUGE = range(
    7
)  # of a snapshot

# Of the process, the interpreter and the agent: other libraries of the application may tell the same.
NOT_SHARED = ("process.", "cpython.", "varan.gc.")


class _Share:
    """Makes the SDK's metrics for one reader. Where it wants differences, the last values are kept."""

    def __init__(self, sdk: Any, reader: Any) -> None:
        self.sdk = sdk
        self.is_delta = {
            COUNTER: self._wants_delta(reader, "Counter"),
            HISTOGRAM: self._wants_delta(reader, "Histogram"),
            OBSERVED_COUNTER: self._wants_delta(reader, "ObservableCounter"),
        }
        self.told: dict[Any, tuple[int, Any]] = {}  # time and value

    def _wants_delta(self, reader: Any, name: str) -> bool:
        wanted = getattr(reader, "_instrument_class_temporality", None) or {}
        by_name = {kind.__name__.lstrip("_"): temporality for kind, temporality in wanted.items()}
        return by_name.get(name) == self.sdk.AggregationTemporality.DELTA  # type: ignore[no-any-return]

    def _since(self, kind: int, key: Any, value: Any, begin: int, now: int) -> tuple[int, Any]:
        """Beginning and value of a point: all of it, or what is new."""
        if not self.is_delta.get(kind):
            return begin, value
        before = self.told.get(key)
        self.told[key] = (now, value)
        if before is None or before[0] < begin:  # a forked child's begin anew
            return begin, value
        if kind != HISTOGRAM:
            return before[0], value - before[1]
        old = before[1]
        counts = [n - o for n, o in zip(value[4], old[4])]
        return before[0], (value[0] - old[0], value[1] - old[1], value[2], value[3], counts, *value[5:])  # fmt: skip

    def _numbers(self, kind: int, name: str, points: Any, now: int) -> Any:
        made = []
        for attributes, value, begin in points:
            key = (name, str(sorted(attributes.items())))
            begin, value = self._since(kind, key, value, begin, now)
            made.append(self.sdk.NumberDataPoint(attributes, begin, now, value))
        if kind in (GAUGE, OBSERVED_GAUGE):
            return self.sdk.Gauge(made)
        monotonic = kind in (COUNTER, OBSERVED_COUNTER)
        return self.sdk.Sum(made, self._temporality(kind), monotonic)

    def _temporality(self, kind: int) -> Any:
        t = self.sdk.AggregationTemporality
        return t.DELTA if self.is_delta.get(kind) else t.CUMULATIVE

    def _histogram(self, name: str, bounds: list[float], points: Any, now: int) -> Any:
        made = []
        for attributes, value, begin in points:
            key = (name, str(sorted(attributes.items())))
            begin, v = self._since(HISTOGRAM, key, value, begin, now)
            if v[0]:
                made.append(
                    self.sdk.HistogramDataPoint(attributes, begin, now, v[0], v[1], v[4], bounds, v[2], v[3])
                )  # fmt: skip
        return self.sdk.Histogram(made, self._temporality(HISTOGRAM))

    def _exponential(self, points: Any, now: int) -> Any:
        """Always all of it, and it says so: scales differ from one time to the next."""
        buckets = self.sdk.Buckets
        made = [
            self.sdk.ExponentialHistogramDataPoint(
                attributes, begin, now, v[0], v[1], v[5], v[6], buckets(v[7], v[8]), buckets(v[9], v[10]), 0, v[2], v[3]
            )
            for attributes, v, begin in points
        ]  # fmt: skip
        return self.sdk.ExponentialHistogram(made, self.sdk.AggregationTemporality.CUMULATIVE)

    def metrics(self) -> list[Any]:
        now, made = time.time_ns(), []
        for name, unit, kind, bounds, points in _core.metrics_snapshot():
            if name.startswith(NOT_SHARED):
                continue
            if kind != HISTOGRAM:
                data = self._numbers(kind, name, points, now)
            elif bounds is None:
                data = self._exponential(points, now)
            else:
                data = self._histogram(name, bounds, points, now)
            if data.data_points:
                made.append(self.sdk.Metric(name, "", unit, data))
        return made


def _added(sdk: Any, resource: Any, told: Any, metrics: list[Any]) -> Any:
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    scope = sdk.ScopeMetrics(InstrumentationScope("varan", _core.version), metrics, "")
    of_resources = list(told.resource_metrics) if told is not None else []
    if of_resources:
        first = of_resources[0]
        of_resources[0] = sdk.ResourceMetrics(
            first.resource, [*first.scope_metrics, scope], first.schema_url
        )
    else:
        of_resources = [sdk.ResourceMetrics(resource, [scope], resource.schema_url)]
    return sdk.MetricsData(of_resources)


def share(provider: Any, reader: Any) -> None:
    """Has the reader get ours from now on."""
    import opentelemetry.sdk.metrics.export as sdk
    from opentelemetry.sdk.metrics._internal.point import Buckets

    types = {name: getattr(sdk, name) for name in dir(sdk) if name[0].isupper()}
    ours = _Share(type("Types", (), {**types, "Buckets": Buckets}), reader)
    storage = provider._measurement_consumer._reader_storages[reader]
    collect: Callable[..., Any] = storage.collect
    resource = provider._sdk_config.resource

    def collect_all(*args: Any, **kwargs: Any) -> Any:
        told = collect(*args, **kwargs)
        try:
            metrics = ours.metrics()
            return _added(sdk, resource, told, metrics) if metrics else told
        except Exception as error:
            _report.failure("telling the application's metric readers what is measured here", error)
            return told

    storage.collect = collect_all
