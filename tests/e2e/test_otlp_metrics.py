"""OTLP metrics of every kind become the series that Prometheus makes of them; deltas go on after a restart."""

from __future__ import annotations

import time

import pytest
import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from conftest import Server, wait_until
from payloads import text

DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
TRACE = bytes(range(16))


def request(*metrics: Metric, **resource: str) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    of = made.resource_metrics.add()
    names = {"service.name": "till", "service.namespace": "shop", "service.instance.id": "i-1"}
    of.resource.attributes.extend(text(key, value) for key, value in (names | resource).items())
    of.scope_metrics.add().metrics.extend(metrics)
    return made


def post(server: Server, made: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse:
    answer = requests.post(
        server.otlp + "/v1/metrics",
        data=made.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return ExportMetricsServiceResponse.FromString(answer.content)


def point(points, at_ns: int, **attributes: str):
    one = points.add(start_time_unix_nano=at_ns - 10**10, time_unix_nano=at_ns)
    one.attributes.extend(text(key, value) for key, value in attributes.items())
    return one


def query(server: Server, expr: str) -> list[tuple[dict, str | dict]]:
    answer = requests.get(
        server.url + "/prometheus/api/v1/query", params={"query": expr}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    return [
        (s["metric"], s["histogram"][1] if "histogram" in s else s["value"][1])
        for s in answer.json()["data"]["result"]
    ]


def value(server: Server, expr: str) -> float | None:
    found = query(server, expr)
    assert len(found) <= 1, found
    return float(found[0][1]) if found else None


def every_kind(at: int) -> list[Metric]:
    gauge = Metric(name="room.temperature", unit="Cel", description="How warm it is.")
    point(gauge.gauge.data_points, at, room="hall").as_double = 21.5
    share = Metric(name="cache.hits", unit="1")
    point(share.gauge.data_points, at).as_double = 0.25
    total = Metric(name="http.requests", unit="{request}")
    total.sum.is_monotonic, total.sum.aggregation_temporality = True, CUMULATIVE
    one = point(total.sum.data_points, at, **{"http.route": "/pay"})
    one.as_int = 42
    one.exemplars.add(time_unix_nano=at, as_int=1, trace_id=TRACE, span_id=TRACE[:8])
    level = Metric(name="queue.size", unit="By")
    level.sum.aggregation_temporality = CUMULATIVE
    point(level.sum.data_points, at).as_int = -3
    took = Metric(name="took", unit="ms")
    took.histogram.aggregation_temporality = CUMULATIVE
    one = point(took.histogram.data_points, at)
    one.count, one.sum = 6, 99.5
    one.explicit_bounds.extend([10, 100])
    one.bucket_counts.extend([1, 2, 3])
    fine = Metric(name="fine", unit="s")
    fine.exponential_histogram.aggregation_temporality = CUMULATIVE
    one = point(fine.exponential_histogram.data_points, at)
    one.count, one.sum, one.scale, one.zero_count = 7, 8.5, 3, 1
    one.positive.offset = -2
    one.positive.bucket_counts.extend([2, 0, 4])
    size = Metric(name="size", unit="KiBy")
    one = point(size.summary.data_points, at)
    one.count, one.sum = 5, 50
    one.quantile_values.add(quantile=0.5, value=9)
    one.quantile_values.add(quantile=0.99, value=12)
    return [gauge, share, total, level, took, fine, size]


EXPECTED = {
    'room_temperature_celsius{room="hall"}': 21.5,
    "cache_hits_ratio": 0.25,
    'http_requests_total{http_route="/pay"}': 42,
    "queue_size_bytes": -3,
    'took_milliseconds_bucket{le="10"}': 1,
    'took_milliseconds_bucket{le="100"}': 3,
    'took_milliseconds_bucket{le="+Inf"}': 6,
    "took_milliseconds_count": 6,
    "took_milliseconds_sum": 99.5,
    "histogram_count(fine_seconds)": 7,
    "histogram_sum(fine_seconds)": 8.5,
    'size_kibibytes{quantile="0.5"}': 9,
    'size_kibibytes{quantile="0.99"}': 12,
    "size_kibibytes_count": 5,
    "size_kibibytes_sum": 50,
    'target_info{host_name="h1"}': 1,
}


def test_every_kind(server) -> None:
    at = time.time_ns()
    answer = post(server, request(*every_kind(at), **{"host.name": "h1"}))
    assert answer.partial_success.rejected_data_points == 0, answer
    for expr, expected in EXPECTED.items():
        assert value(server, expr) == expected, expr
    labels, _ = query(server, "queue_size_bytes")[0]
    assert labels == {"__name__": "queue_size_bytes", "job": "shop/till", "instance": "i-1"}
    _, fine = query(server, "fine_seconds")[0]
    # Bounds of scale 3 at index -2: 2^(-2/8), upper bounds included.
    first = next(b for b in fine["buckets"] if float(b[3]) == 2)
    assert float(first[1]) == pytest.approx(2 ** (-2 / 8))
    assert float(first[2]) == pytest.approx(2 ** (-1 / 8))
    found = requests.get(
        server.url + "/prometheus/api/v1/query_exemplars",
        params={"query": "http_requests_total", "start": at / 1e9 - 60, "end": at / 1e9 + 60},
        timeout=60,
    ).json()["data"]
    assert found[0]["exemplars"][0]["labels"]["trace_id"] == TRACE.hex()
    known = requests.get(server.url + "/prometheus/api/v1/metadata", timeout=60).json()["data"]
    assert known["room_temperature_celsius"][0]["type"] == "gauge"
    assert known["room_temperature_celsius"][0]["help"] == "How warm it is."
    assert known["http_requests_total"][0]["type"] == "counter"
    assert known["took_milliseconds"][0]["type"] == "histogram"


def test_a_mistake_is_named_and_the_rest_kept(server) -> None:
    at = time.time_ns()
    bad = Metric(name="contradiction", unit="s")
    bad.histogram.aggregation_temporality = CUMULATIVE
    one = point(bad.histogram.data_points, at)
    one.count = 1
    one.explicit_bounds.extend([1, 2])
    one.bucket_counts.append(1)
    good = Metric(name="beside")
    point(good.gauge.data_points, at).as_int = 5
    answer = post(server, request(bad, good)).partial_success
    assert answer.rejected_data_points == 1
    for words in ('job "shop/till"', 'instance "i-1"', 'metric "contradiction"', "2 bounds"):
        assert words in answer.error_message, answer.error_message
    assert value(server, "beside") == 5


def deltas(begin_ns: int, step: int) -> ExportMetricsServiceRequest:
    """The step's ten seconds: 5 requests, one observation of 0.5 and two of 1.5."""
    start, end = begin_ns + step * 10**10, begin_ns + (step + 1) * 10**10
    total = Metric(name="delta.requests")
    total.sum.is_monotonic, total.sum.aggregation_temporality = True, DELTA
    total.sum.data_points.add(start_time_unix_nano=start, time_unix_nano=end, as_int=5)
    took = Metric(name="delta.took", unit="s")
    took.histogram.aggregation_temporality = DELTA
    took.histogram.data_points.add(
        start_time_unix_nano=start,
        time_unix_nano=end,
        count=3,
        sum=3.5,
        explicit_bounds=[1.0],
        bucket_counts=[1, 2],
    )
    return request(total, took)


def test_deltas_go_on_after_a_restart(new_server) -> None:
    server = new_server().start()
    begin = (int(time.time()) - 60) * 10**9  # whole seconds: windows that are asked for end on one
    for step in range(2):
        post(server, deltas(begin, step))
    assert value(server, "delta_requests_total") == 10
    assert server.stop() == 0
    server.start()
    post(server, deltas(begin, 2))
    wait_until(lambda: value(server, "delta_requests_total") == 15, 60, "the sum going on")
    assert value(server, 'delta_took_seconds_bucket{le="1"}') == 3
    assert value(server, "delta_took_seconds_count") == 9
    assert value(server, "delta_took_seconds_sum") == 10.5
    server.kill()  # what was acknowledged is there, and the sums know it
    server.start()
    post(server, deltas(begin, 3))
    wait_until(lambda: value(server, "delta_requests_total") == 20, 60, "the sum going on")
    assert value(server, "resets(delta_requests_total[5m])") == 0
    # Neither a fall nor a leap: 5 requests in each of the 10 s, over both restarts.
    end = begin // 10**9 + 40
    assert value(server, f"rate(delta_requests_total[40s] @ {end}.999)") == pytest.approx(0.5)
    assert value(server, f"rate(delta_took_seconds_count[40s] @ {end}.999)") == pytest.approx(0.3)


def test_where_prometheus_takes_them(server) -> None:
    made = Metric(name="there")
    point(made.gauge.data_points, time.time_ns()).as_int = 1
    answer = requests.post(
        server.url + "/prometheus/api/v1/otlp/v1/metrics",
        data=request(made).SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert value(server, "there") == 1


def test_no_recorded_value_ends_a_series(server) -> None:
    at = time.time_ns()
    made = Metric(name="ends")
    point(made.gauge.data_points, at - 2 * 10**9).as_int = 1
    post(server, request(made))
    assert value(server, "ends") == 1
    made = Metric(name="ends")
    point(made.gauge.data_points, at - 10**9).flags = 1
    post(server, request(made))
    assert value(server, "ends") is None
