"""Providers of OpenTelemetry's SDK that an application configures in code: they stay the application's, and what goes
through them comes to us, too, once."""

from __future__ import annotations

import pytest
from collector import Collector

from conftest import Program


def test_limits_and_ids(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import varan
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider
        from opentelemetry.sdk.trace.id_generator import IdGenerator
        class Ids(IdGenerator):
            n = 0
            def generate_trace_id(self):
                return 0xabc << 64
            def generate_span_id(self):
                self.n += 1
                if self.n == 3:
                    raise ValueError("no more ids")
                return self.n
        limits = SpanLimits(max_span_attributes=2, max_events=1, max_span_attribute_length=5)
        trace.set_tracer_provider(TracerProvider(id_generator=Ids(), span_limits=limits))
        with trace.get_tracer("t").start_as_current_span("outer") as span:
            span.set_attributes({"a": "0123456789", "b": 1, "c": 2})
            span.add_event("first", {"k": 1})
            span.add_event("second")
            with varan.span("inner"):
                pass
        with varan.span("after"):
            pass
        """
    )
    spans = {s.name: s for s in collector.spans}
    outer, inner, after = spans["outer"], spans["inner"], spans["after"]
    assert (outer.trace_id, outer.span_id) == (f"{0xABC << 64:032x}", f"{1:016x}")
    assert (inner.trace_id, inner.span_id, inner.parent_id) == (outer.trace_id, f"{2:016x}", f"{1:016x}")  # fmt: skip
    assert after.span_id not in ("", f"{0:016x}"), "where the generator fails, ids are ours"
    assert outer.attributes == {"a": "01234", "b": 1} and len(outer.events) == 1
    assert done.stderr.count("the id generator Ids") == 1


def test_meter_provider(program: Program, collector: Collector) -> None:
    """Its readers and views are its own; we get what its views have made of the values, in each process its own."""
    done = program.run(
        """
        import os, varan
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.metrics.view import (
            DropAggregation, ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View,
        )
        early = metrics.get_meter("library").create_counter("early")
        early.add(1)
        memory = InMemoryMetricReader()
        provider = MeterProvider([memory], views=[
            View(instrument_name="renamed", name="shop.orders", attribute_keys={"shop"}),
            View(instrument_name="secret", aggregation=DropAggregation()),
            View(instrument_name="sizes", aggregation=ExplicitBucketHistogramAggregation([1, 10])),
            View(instrument_name="durations", aggregation=ExponentialBucketHistogramAggregation()),
        ])
        metrics.set_meter_provider(provider)
        assert metrics.get_meter_provider() is provider
        meter = metrics.get_meter("shop", "1.2")
        orders = meter.create_counter("renamed", "1", "Orders.")
        orders.add(2, {"shop": "Graz", "user": "x"})
        orders.add(3, {"shop": "Graz", "user": "y"})
        meter.create_counter("secret").add(1)
        meter.create_up_down_counter("open").add(-4)
        meter.create_observable_gauge("depth", [lambda options: [metrics.Observation(7)]])
        for v in (0.5, 5, 50):
            meter.create_histogram("sizes").record(v)
            meter.create_histogram("durations").record(v)
        varan.counter("ours").add(1)
        names = {m.name for r in memory.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
        assert names >= {"shop.orders", "open", "depth", "sizes", "durations", "ours"}, names
        assert not names & {"secret", "renamed"}, names
        assert varan.flush(60)
        if os.fork() == 0:
            orders.add(10, {"shop": "Graz"})
            assert varan.flush(60)
            os._exit(0)
        assert os.wait()[1] == 0
        """
    )
    assert done.stderr == ""
    points = collector.points
    orders = [p for p in points if p.name == "shop.orders"]
    assert {tuple(p.attributes.items()) for p in orders} == {(("shop", "Graz"),)}
    assert {p.value for p in orders} == {5, 10}, "the child's sums are its own"
    assert not [p for p in points if p.name in ("secret", "renamed")]
    by_name = {p.name: p for p in reversed(points)}
    assert by_name["open"].value == -4 and by_name["depth"].value == 7
    assert by_name["early"].value == 1 and by_name["ours"].value == 1
    first = points[0].resource["service.instance.id"]
    sizes, durations = (
        next(p.raw for p in points if p.name == name and p.resource["service.instance.id"] == first)
        for name in ("sizes", "durations")
    )
    assert (list(sizes.explicit_bounds), list(sizes.bucket_counts)) == ([1, 10], [1, 1, 1])
    assert (durations.count, durations.sum, sum(durations.bucket_counts)) == (3, 55.5, 3)
    for value in (0.5, 5, 50):
        at = sum(bound < value for bound in durations.explicit_bounds)
        assert durations.bucket_counts[at] == 1


@pytest.mark.parametrize("delta", [False, True])
def test_its_readers_get_what_hooks_measure(
    program: Program, collector: Collector, delta: bool
) -> None:
    done = program.run(
        """
        import sqlite3, sys, varan
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
        from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
        delta = sys.argv[1] == "True"
        wanted = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
        memory = InMemoryMetricReader(preferred_temporality={Counter: wanted, Histogram: wanted})
        metrics.set_meter_provider(MeterProvider([memory]))
        database = sqlite3.connect(":memory:")
        orders = varan.counter("orders")

        def round(n):
            for _ in range(n):
                database.execute("select 1").fetchall()
                orders.add(2, shop="Graz")
            varan.gauge("level").set(n)
            told = memory.get_metrics_data()
            return {
                m.name: (m.data, s.scope.name)
                for r in told.resource_metrics for s in r.scope_metrics for m in s.metrics
            }

        for n, total in ((3, 3), (2, 5)):
            found = round(n)
            assert not [name for name in found if name.startswith(("process.", "cpython."))], found
            seen = n if delta else total
            (sum, scope) = found["orders"]
            (point,) = sum.data_points
            assert scope == "varan" and sum.is_monotonic and sum.aggregation_temporality == wanted
            assert point.value == 2 * seen and dict(point.attributes) == {"shop": "Graz"}, point
            assert point.start_time_unix_nano < point.time_unix_nano
            durations, _ = found["db.client.operation.duration"]
            (point,) = durations.data_points
            assert durations.aggregation_temporality == wanted
            assert point.count == seen and len(point.bucket_counts) == len(point.explicit_bounds) + 1
            assert __import__("builtins").sum(point.bucket_counts) == seen and point.sum > 0
            assert point.attributes["db.system.name"] == "sqlite"
            assert found["level"][0].data_points[0].value == n
        if delta:
            found = round(0)
            assert found["orders"][0].data_points[0].value == 0
            assert "db.client.operation.duration" not in found
        """,
        str(delta),
    )
    assert done.stderr == ""


def test_logger_provider(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import logging, os, varan
        from opentelemetry._logs import SeverityNumber, get_logger, get_logger_provider, set_logger_provider
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
        memory = InMemoryLogRecordExporter()
        provider = LoggerProvider()
        provider.add_log_record_processor(SimpleLogRecordProcessor(memory))
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(os.environ["VARAN_ENDPOINT"] + "/v1/logs")))
        set_logger_provider(provider)
        assert get_logger_provider() is provider
        logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))
        with varan.span("request"):
            get_logger("events").emit(body="told", severity_number=SeverityNumber.WARN, event_name="e")
            logging.getLogger("shop").warning("logged")
        assert len(memory.get_finished_logs()) == 2
        """,
    )
    assert [(r.body, r.scope) for r in collector.logs if r.body in ("told", "logged")] == [
        ("told", "events"), ("logged", "shop"),
    ], done.stderr  # fmt: skip
    (span,) = collector.spans
    assert {r.span_id for r in collector.logs if r.body in ("told", "logged")} == {span.span_id}
    assert "its log records go there once" in done.stderr
