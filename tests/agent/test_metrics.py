"""Metrics: the instruments of varan and of the OpenTelemetry API, their limits, threads and forks."""

from __future__ import annotations

import gc
import math
import threading
import time
from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program, Sent


def test_counter_counts_by_attributes(sent: Sent) -> None:
    orders = varan.counter("test.orders", "{order}", "Orders taken.")
    orders.add(1)
    orders.add(2, {"shop": "Graz", "paid": True})
    orders.add(3, paid=True, shop="Graz")
    orders.add(0.5, attributes={"shop": "Linz"})
    orders.bind(shop="Graz", paid=True).add(4)
    point = sent.point("test.orders")
    assert point.value == 1 and point.raw.WhichOneof("value") == "as_int"
    assert (point.kind, point.monotonic, point.temporality) == ("sum", True, 2)
    assert (point.unit, point.description, point.scope) == ("{order}", "Orders taken.", "varan")
    assert sent.point("test.orders", shop="Graz", paid=True).value == 9
    assert sent.point("test.orders", shop="Linz").value == 0.5
    orders.add(1)
    assert sent.point("test.orders").value == 2, "cumulative"


def test_up_down_counter_and_gauge(sent: Sent) -> None:
    queue = varan.up_down_counter("test.queue")
    queue.add(5)
    queue.add(-7)
    room = varan.gauge("test.room", "Cel")
    room.set(20, room="a")
    room.set(21.5, room="a")
    assert sent.point("test.queue").value == -2 and not sent.point("test.queue").monotonic
    assert sent.point("test.room", room="a").value == 21.5


def test_histogram_has_buckets(sent: Sent) -> None:
    basket = varan.histogram("test.basket", "EUR", bounds=[1, 10, 100])
    for value in (1, 1.5, 10, 99, 1000, 0):
        basket.record(value)
    raw = sent.point("test.basket").raw
    assert list(raw.explicit_bounds) == [1, 10, 100]
    assert list(raw.bucket_counts) == [2, 2, 1, 1]
    assert (raw.count, raw.sum, raw.min, raw.max) == (6, 1111.5, 0, 1000)


def test_same_instrument_is_one(sent: Sent) -> None:
    varan.counter("test.same").add(1)
    varan.counter("test.same").add(1)
    assert sent.point("test.same").value == 2


def test_hostile_values_do_no_harm(sent: Sent) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no")

        __repr__ = __str__

    counter = varan.counter("test.hostile")
    for amount in (-1, math.nan, math.inf, "text", None, Bad(), []):
        counter.add(amount)
    counter.add(1, {"bad": Bad(), "list": [1, [2]], "n": None, 5: "x", "": "y", "s": "\ud800"})
    counter.add(1, {"big": 10**40, "nan": math.nan, "bytes": b"\0"})
    counter.add(10**30, {"huge": 1})
    with pytest.raises(TypeError):
        counter.add()
    found = {str(sorted(p.attributes)): p.value for p in sent.points("test.hostile")}
    assert found == {
        "['bad', 'list', 's']": 1,
        "['big', 'bytes', 'nan']": 1,
        "['huge']": 1e30,
    }


def test_attributes_that_change_while_read(sent: Sent) -> None:
    attributes: dict[str, Any] = {}

    class Nasty:
        def __str__(self) -> str:
            attributes.clear()
            attributes.update({str(i): i for i in range(100)})
            return "nasty"

    attributes.update({"a": Nasty(), "b": "kept"})
    varan.counter("test.changing").add(1, attributes)
    assert sent.point("test.changing", a="nasty", b="kept").value == 1


def test_equal_values_of_different_types_are_different(sent: Sent) -> None:
    counter = varan.counter("test.types")
    for value in (1, True, 1.0, "1"):
        counter.add(1, {"v": value})
    assert len(sent.points("test.types")) == 4


def test_sets_that_come_again(sent: Sent) -> None:
    """Sets of the same objects are found without looking at them: never for one that only looks the same, or did."""
    counter = varan.counter("test.again")
    given: dict[str, Any] = {"shop": "Graz", "n": 1}
    for turn in range(60):
        given["n"] = (1, True, 1.0, "1", [1], None)[turn % 6]
        counter.add(1, given)
        counter.add(1, shop="Graz", n=given["n"])
        counter.add(1, {"n": given["n"], "shop": "".join(["Gr", "az"])})
    wide = {f"k{i}": i % 3 for i in range(12)}
    for _ in range(5):
        counter.add(1, wide)
        counter.add(1, wide, k0="other")
        counter.add(1, {**wide, "k11": "other"})
    values = [(type(p.attributes.get("n")).__name__, p.value) for p in sent.points("test.again") if "shop" in p.attributes]  # fmt: skip
    assert sorted(values) == [(kind, 30) for kind in ("NoneType", "bool", "float", "int", "list", "str")]  # fmt: skip
    assert sent.point("test.again", **wide).value == 10
    assert sent.point("test.again", **{**wide, "k11": "other"}).value == 5


def test_too_many_attribute_sets_overflow(sent: Sent) -> None:
    counter = varan.counter("test.cardinality")
    for i in range(2500):
        counter.add(1, user=i)
    points = sent.points("test.cardinality")
    assert len(points) == 2000
    overflow = [p for p in points if p.attributes == {"otel.metric.overflow": True}]
    assert overflow[0].value == 2500 - 1999
    assert sum(p.value for p in points) == 2500


def test_threads_lose_nothing(sent: Sent) -> None:
    counter = varan.counter("test.threads")
    histogram = varan.histogram("test.threads.h", bounds=[5])

    def work() -> None:
        for i in range(20000):
            counter.add(1, kind=i % 3)
            histogram.record(i % 10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        varan.flush(1)
    assert sum(p.value for p in sent.points("test.threads")) == 80000
    raw = sent.point("test.threads.h").raw
    assert raw.count == 80000 == sum(raw.bucket_counts)


def test_exemplars_point_to_the_span(sent: Sent) -> None:
    histogram = varan.histogram("test.exemplar", bounds=[1, 2])
    histogram.record(0.5)
    with varan.span("measured") as span:
        for _ in range(40):  # one outside of a span makes the instrument look less often
            histogram.record(1.5)
    (exemplar,) = sent.point("test.exemplar").raw.exemplars
    assert exemplar.trace_id.hex() == span.trace_id and exemplar.span_id.hex() == span.span_id
    assert exemplar.as_double == 1.5 and exemplar.time_unix_nano > 10**18


def test_gauge_of_a_function(sent: Sent) -> None:
    rooms = {"a": 1, "b": 2}
    varan.gauge("test.asked", function=lambda: 42)
    varan.gauge("test.asked.rooms", function=lambda: [(n, {"room": r}) for r, n in rooms.items()])
    varan.gauge("test.asked.bad", function=lambda: 1 / 0)
    assert sent.point("test.asked").value == 42
    assert {p.attributes["room"]: p.value for p in sent.points("test.asked.rooms")} == rooms
    sent.collector.points.clear()
    del rooms["a"]
    assert [p.attributes for p in sent.points("test.asked.rooms")] == [{"room": "b"}]


def test_garbage_collection_is_counted(sent: Sent) -> None:
    gc.collect()
    point = [
        p for p in sent.points("cpython.gc.collections") if p.attributes == {"cpython.gc.generation": 2}
    ]  # fmt: skip
    assert point[0].value >= 1
    assert any(p.raw.count for p in sent.points("varan.gc.pause"))


def test_process_metrics(program: Program, collector: Collector) -> None:
    began = time.monotonic()
    program.run(
        """
        import time, varan
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and varan.stats()["metrics_exported"] == 0:
            time.sleep(0.02)
        """,
        OTEL_METRIC_EXPORT_INTERVAL="100",
    )
    names = {p.name for p in collector.points}
    assert names >= {
        "process.cpu.time", "process.memory.usage", "process.memory.virtual", "process.thread.count",
        "process.open_file_descriptor.count", "process.context_switches", "process.paging.faults",
        "process.uptime",
    }  # fmt: skip
    memory = collector.metric("process.memory.usage")[-1].value
    assert 5e6 < memory < 5e8
    assert collector.metric("process.thread.count")[-1].value >= 2
    modes = {p.attributes["cpu.mode"] for p in collector.metric("process.cpu.time")}
    assert modes == {"user", "system"}
    assert 0 < collector.metric("process.uptime")[-1].value < time.monotonic() - began + 1


def test_forked_children_begin_at_zero(program: Program, collector: Collector) -> None:
    program.run(
        """
        import os, varan
        counter = varan.counter("jobs")
        bound = counter.bind(kind="a")
        gauge = varan.gauge("told", function=lambda: os.getpid())
        counter.add(100)
        bound.add(100)
        for i in range(3):
            if os.fork() == 0:
                for _ in range(7):
                    counter.add(1)
                bound.add(1)
                os._exit(0)
        for i in range(3):
            os.wait()
        """
    )
    by_process: dict[str, list[Any]] = {}
    for point in collector.metric("jobs"):
        by_process.setdefault(point.resource["service.instance.id"], []).append(point.value)
    assert sorted(map(sorted, by_process.values())) == [[1, 7], [1, 7], [1, 7], [100, 100]]
    told = {p.resource["process.pid"]: p.value for p in collector.metric("told")}
    assert len(told) == 4 and all(pid == value for pid, value in told.items())


def test_delta_temporality(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        c, u, h = varan.counter("c"), varan.up_down_counter("u"), varan.histogram("h", bounds=[1])
        for n in (3, 4, 0):
            c.add(n)
            u.add(n)
            for _ in range(n):
                h.record(n)
            assert varan.flush(60)
        """,
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )
    c = collector.metric("c")
    assert [p.value for p in c] == [3, 4] and c[0].temporality == 1
    assert c[1].raw.start_time_unix_nano == c[0].raw.time_unix_nano
    assert [p.value for p in collector.metric("u")][:3] == [3, 7, 7]
    h = collector.metric("h")
    assert [(p.raw.count, p.raw.sum, p.raw.min, p.raw.max) for p in h] == [
        (3, 9, 3, 3),
        (4, 16, 4, 4),
    ]


def test_exponential_histograms(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        h = varan.histogram("h")
        for i in range(1, 5001):
            h.record(i / 7)
        h.record(0)
        h.record(-8)
        h.record(1e-300)
        h.record(1e300)
        """,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )
    raw = collector.metric("h")[-1].raw
    assert raw.count == 5004 and raw.zero_count == 1 and raw.min == -8 and raw.max == 1e300
    assert sum(raw.positive.bucket_counts) == 5002 and sum(raw.negative.bucket_counts) == 1
    assert len(raw.positive.bucket_counts) <= 160
    # Each value lies in the bucket that the specification names.
    base = 2 ** (2**-raw.scale)
    low = math.log(1e-300) / math.log(base)
    assert abs(raw.positive.offset + 1 - math.ceil(low)) <= 1


def test_exponential_scale_is_fine_for_close_values(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        h = varan.histogram("h")
        for i in range(1000):
            h.record(100.05 + i / 10)
        """,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="base2_exponential_bucket_histogram",
    )
    raw = collector.metric("h")[-1].raw
    base = 2 ** (2**-raw.scale)
    assert raw.scale == 7 and sum(raw.positive.bucket_counts) == 1000
    values = [100.05 + i / 10 for i in range(1000)]
    for i, count in enumerate(raw.positive.bucket_counts):
        lower = base ** (raw.positive.offset + i)
        assert count == sum(lower < v <= lower * base for v in values)


def test_metrics_off(program: Program, collector: Collector) -> None:
    program.run("import varan; varan.counter('c').add(1)", OTEL_METRICS_EXPORTER="none")
    assert not collector.points
