"""The OpenTelemetry metrics API on Varan, beside the same calls on its own SDK."""

from __future__ import annotations

import json
from typing import Any

import pytest
from collector import Collector

from conftest import OLD_SDK, Program

PROGRAM = """
    from opentelemetry import metrics
    from opentelemetry.metrics import Observation, CallbackOptions
    early = metrics.get_meter("early").create_counter("before", "1", "Made before the provider.")
    {provider}
    early.add(1)
    meter = metrics.get_meter("shop", "1.2", None, "https://example.com/schema", {{"team": "a"}})
    c = meter.create_counter("c", "{{thing}}", "Things.")
    c.add(1, {{"k": "v"}})
    c.add(2.5, {{"k": "v"}})
    c.add(4, {{"k": {sequence}, "b": True, "i": 3}})
    u = meter.create_up_down_counter("u")
    u.add(-3, attributes={{"k": "v"}})
    h = meter.create_histogram("h", "s", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    h.record(1.5, {{"k": "v"}})
    d = meter.create_histogram("d")
    d.record(77)
    g = meter.create_gauge("g")
    g.set(5)
    g.set(6, {{"k": "v"}})
    def observe(options: CallbackOptions):
        yield Observation(10, {{"n": 1}})
        yield Observation(20.5)
    def generator():
        options = yield
        while True:
            options = yield [Observation(7)]
    meter.create_observable_counter("oc", [observe], "By")
    meter.create_observable_up_down_counter("ou", [observe])
    meter.create_observable_gauge("og", [observe, generator()])
    def broken(options):
        raise ValueError("no")
    meter.create_observable_gauge("broken", [broken])
    assert isinstance(c, metrics.Counter) and isinstance(h, metrics.Histogram)
    assert isinstance(u, metrics.UpDownCounter)
    metrics.get_meter_provider().force_flush()
    print("done")
    import os
    os._exit(0)
"""

SDK = """
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
"""


OURS = {"provider": "", "sequence": "[1, 2]"}
THEIRS = {
    "provider": SDK,
    "sequence": "(1, 2)" if OLD_SDK else "[1, 2]",
}  # the old one takes no lists


def told(collector: Collector) -> dict[str, Any]:
    """What the points say, without times."""
    found: dict[str, Any] = {}
    for p in collector.points:
        if p.scope not in ("early", "shop"):
            continue
        raw = p.raw
        value: Any = p.value
        if value is None:
            bounds = list(raw.explicit_bounds)
            value = [raw.count, raw.sum, raw.min, raw.max, bounds, list(raw.bucket_counts)]
        key = json.dumps([p.name, p.attributes], sort_keys=True)
        found[key] = [p.scope, p.kind, p.unit, p.description, p.monotonic, p.temporality, value]
    return found


@pytest.mark.parametrize("temporality", ["cumulative", "delta", "lowmemory"])
def test_equal_to_the_sdk(program: Program, collector: Collector, temporality: str) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": temporality,
        "VARAN_DISABLED_HOOKS": "prometheus",
    }
    program.run(PROGRAM.format(**OURS), **env)
    ours = told(collector)
    collector.points.clear()
    env["VARAN_DISABLED"] = "1"
    env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.endpoint
    program.run(PROGRAM.format(**THEIRS), **env)
    theirs = told(collector)
    assert ours == theirs
    assert len(ours) >= 11


def test_the_applications_own_provider_wins(program: Program, collector: Collector) -> None:
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    program.run(PROGRAM.format(**THEIRS), **env)
    assert {p.resource["telemetry.sdk.name"] for p in collector.metric("c")} == {"opentelemetry"}
