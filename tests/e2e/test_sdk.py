"""The stock OpenTelemetry SDK's exporters: every row arrives, attributes intact."""

from __future__ import annotations

import json
import logging
import math

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from conftest import wait_until

ODD_NAMES = "größe ☃ 🦎 \u202e مرحبا"
ATTRIBUTES = {
    "text": ODD_NAMES,
    "empty": "",
    "int": 2**62,
    "negative": -7,
    "float": 0.1,
    "bool": True,
    "texts": ["a", "ß", ""],
    "ints": [1, 2, 2**53 + 1],
    "floats": [1.5, -2.25],
    "bools": [True, False],
    "long": "x" * 20000,
}


def exporters(server, kind: str):
    """They send again what was not answered in time, and then it is there twice: so they have time."""
    if kind == "grpc":
        return (
            GrpcSpans(endpoint=server.grpc, insecure=True, timeout=60),
            GrpcLogs(endpoint=server.grpc, insecure=True, timeout=60),
        )
    compression = Compression.Gzip if kind == "http-gzip" else Compression.NoCompression
    return (
        HttpSpans(endpoint=server.otlp + "/v1/traces", compression=compression, timeout=60),
        HttpLogs(endpoint=server.otlp + "/v1/logs", compression=compression, timeout=60),
    )


def send(server, kind: str, service: str):
    """3002 spans and a log line; returns the root span."""
    spans, logs = exporters(server, kind)
    resource = Resource.create(
        {"service.name": service, "service.version": "1.2.3", "list": ["x", "y"]}
    )
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(spans, max_queue_size=20000))
    tracer = provider.get_tracer("e2e.scope", "0.9")
    logger_provider = LoggerProvider(resource=resource)
    logger_provider.add_log_record_processor(BatchLogRecordProcessor(logs))
    log = logging.getLogger(f"e2e.{service}")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(LoggingHandler(logger_provider=logger_provider))

    with tracer.start_as_current_span("root", kind=SpanKind.SERVER, attributes=ATTRIBUTES) as root:
        root.add_event("checkpoint", {"step": 1, "name": ODD_NAMES})
        linked = root.get_span_context()
        log.error(
            "a line with %s", ODD_NAMES, extra={"order": 17, "nested": {"a": [1, {"b": None}]}}
        )
        for i in range(3000):
            with tracer.start_as_current_span(f"child {i % 7}", links=[Link(linked, {"n": i})]):
                pass
        try:
            with tracer.start_as_current_span("fails"):
                raise ValueError("deliberately " + ODD_NAMES)
        except ValueError:
            pass
        root.set_status(Status(StatusCode.ERROR, "it went wrong"))
    assert provider.force_flush(60000) and logger_provider.force_flush(60000)
    provider.shutdown()
    logger_provider.shutdown()
    return root


@pytest.mark.parametrize("kind", ["http", "http-gzip", "grpc"])
def test_every_row_arrives(server, kind):
    service = f"sdk-{kind}"
    root = send(server, kind, service)

    count = f"SELECT count(), uniqExact(span_id) FROM spans WHERE service = '{service}'"
    # Durable before the answer: no waiting is needed once the exporter has been answered.
    assert [[int(n) for n in row] for row in server.sql(count)] == [[3002, 3002]]

    trace = server.api(f"/traces/{root.get_span_context().trace_id:032x}")
    by_name = {span["name"]: span for span in trace["spans"]}
    got = {one["key"]: (one["type"], one["value"]) for one in by_name["root"]["attributes"]}
    for key, value in ATTRIBUTES.items():
        stored_type, stored = got[key]
        if isinstance(value, bool):
            assert (stored_type, stored) == ("bool", value)
        elif isinstance(value, int):
            assert stored_type == "int" and int(stored) == value
        elif isinstance(value, float):
            assert stored_type == "double" and math.isclose(float(stored), value, rel_tol=0)
        elif isinstance(value, str):
            assert (stored_type, stored) == ("string", value)
        else:
            assert stored_type == "array"
            assert [type(item)(one) for item, one in zip(value, stored)] == value
    assert by_name["root"]["status"] == 2 and by_name["root"]["status_message"] == "it went wrong"
    event = by_name["root"]["events"][0]
    assert event["name"] == "checkpoint"
    assert {one["key"]: one["value"] for one in event["attributes"]}["name"] == ODD_NAMES
    failing = by_name["fails"]["events"][0]
    fields = {one["key"]: one["value"] for one in failing["attributes"]}
    assert fields["exception.type"] == "ValueError" and ODD_NAMES in fields["exception.message"]
    assert by_name["child 3"]["links"][0]["span_id"] == by_name["root"]["span_id"]
    assert by_name["child 3"]["parent_span_id"] == by_name["root"]["span_id"]

    lines = server.api("/logs", filter=f"service={service}")["logs"]
    assert len(lines) == 1 and ODD_NAMES in lines[0]["body"]
    assert lines[0]["severity"] == "error"
    assert lines[0]["trace_id"] == trace["trace_id"]
    assert lines[0]["span_id"] == by_name["root"]["span_id"]
    log_fields = {one["key"]: one["value"] for one in lines[0]["attributes"]}
    assert int(log_fields["order"]) == 17


def test_derived_tables_follow(server):
    """What is counted on the way in equals what is stored."""
    service = "derived"
    send(server, "http", service)
    (spans,) = server.sql(f"SELECT count() FROM spans WHERE service = '{service}'")
    # A table of its own, which may be written a moment later.
    counted = f"SELECT sum(count) FROM red WHERE service = '{service}'"
    wait_until(lambda: server.sql(counted)[0][0] == spans[0], 60, "all spans being counted")
    services = server.api("/services", from_="now-15m")["services"]
    mine = next(one for one in services if one["name"] == service)
    assert mine["requests"] == 1 and mine["errors"]["value"] == 1


def test_visible_at_once(server):
    """A span is in the list right after the exporter's answer."""
    provider = TracerProvider(resource=Resource.create({"service.name": "quick"}))
    exporter, _ = exporters(server, "http")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("now", kind=SpanKind.SERVER) as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
    assert provider.force_flush(60000)
    found = server.api("/traces", filter="service=quick")["traces"]
    assert [one["trace_id"] for one in found] == [trace_id]
    provider.shutdown()


def test_bytes_and_nested_values(server):
    """What the SDK cannot send but the protocol can: bytes, maps, empty values, deep nesting."""
    import requests
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from payloads import traces

    request, _ = traces(1, service="nested")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    pairs = {"bytes": AnyValue(bytes_value=b"\x00\xff\x80"), "empty": AnyValue()}
    nested = AnyValue()
    nested.kvlist_value.values.add(key="k").value.array_value.values.add(int_value=2**60)
    nested.kvlist_value.values.add(key="n").value.double_value = math.nan
    pairs["map"] = nested
    for key, value in pairs.items():
        span.attributes.add(key=key).value.CopyFrom(value)
    answer = requests.post(
        server.otlp + "/v1/traces",
        data=request.SerializeToString(),
        headers={"content-type": "application/x-protobuf"},
        timeout=60,
    )
    assert answer.status_code == 200 and answer.content == b""
    trace = server.api(f"/traces/{span.trace_id.hex()}")
    got = {one["key"]: one for one in trace["spans"][0]["attributes"]}
    assert (got["bytes"]["type"], got["bytes"]["value"]) == ("bytes", "AP+A")
    assert got["empty"]["type"] == "empty"
    assert got["map"]["type"] == "map"
    assert str(2**60) in json.dumps(got["map"]["value"])
