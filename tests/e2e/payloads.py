"""OTLP requests for tests, built with the protocol's own Python package."""

from __future__ import annotations

import os
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def traces(count: int, service: str = "e2e", name: str = "work", **attributes: str):
    """A request with `count` root spans; returns it and the hexadecimal span ids."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.append(text("service.name", service))
    scope_spans = resource_spans.scope_spans.add()
    ids, now = [], time.time_ns()
    for i in range(count):
        span = scope_spans.spans.add()
        span.trace_id, span.span_id = os.urandom(16), os.urandom(8)
        span.name, span.kind = name, 2
        span.start_time_unix_nano = now - 1_000_000 * (i + 1)
        span.end_time_unix_nano = now
        span.attributes.extend(text(key, value) for key, value in attributes.items())
        ids.append(span.span_id.hex())
    return request, ids


def logs(bodies: list[str], service: str = "e2e", severity: int = 9):
    """A request with one record per body."""
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    resource_logs.resource.attributes.append(text("service.name", service))
    scope_logs = resource_logs.scope_logs.add()
    for body in bodies:
        record = scope_logs.log_records.add()
        record.time_unix_nano = record.observed_time_unix_nano = time.time_ns()
        record.severity_number = severity
        record.body.string_value = body
    return request
