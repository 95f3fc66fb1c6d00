"""OTLP requests for tests, built with the protocol's own Python package."""

from __future__ import annotations

import os
import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
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


class Profiles:
    """An OTLP profiles request of one process; frames are "function file:line", innermost last."""

    def __init__(
        self, service: str, version: str = "", start_ns: int | None = None, **resource: str
    ):
        self.request = ExportProfilesServiceRequest()
        self.start_ns = start_ns or time.time_ns()
        resource_profiles = self.request.resource_profiles.add()
        resource_profiles.resource.attributes.append(text("service.name", service))
        if version:
            resource_profiles.resource.attributes.append(text("service.version", version))
        for key, value in resource.items():
            resource_profiles.resource.attributes.append(text(key, value))
        self.scope = resource_profiles.scope_profiles.add()
        self.tables = self.request.dictionary
        for table in ("location", "function", "link", "attribute", "stack", "mapping"):
            getattr(self.tables, f"{table}_table").add()  # row 0 stands for nothing
        self.tables.string_table.append("")
        self.strings = {"": 0}
        self.known: dict = {}
        self.profiles: dict = {}

    def _string(self, value: str) -> int:
        if value not in self.strings:
            self.strings[value] = len(self.tables.string_table)
            self.tables.string_table.append(value)
        return self.strings[value]

    def _frame(self, frame: str) -> int:
        if frame not in self.known:
            name, _, place = frame.partition(" ")
            file, _, line = place.partition(":")
            function = self.tables.function_table.add()
            function.name_strindex, function.filename_strindex = (
                self._string(name),
                self._string(file),
            )
            location = self.tables.location_table.add()
            location.lines.add(
                function_index=len(self.tables.function_table) - 1, line=int(line or 0)
            )
            self.known[frame] = len(self.tables.location_table) - 1
        return self.known[frame]

    def _attribute(self, key: str, value: str) -> int:
        row = self.tables.attribute_table.add()
        row.key_strindex, row.value.string_value = self._string(key), value
        return len(self.tables.attribute_table) - 1

    def add(self, frames: list[str], value: int, kind: str = "cpu", **about: str) -> Profiles:
        """`about`: thread, endpoint, trace_id and span_id (hexadecimal)."""
        if kind not in self.profiles:
            profile = self.profiles[kind] = self.scope.profiles.add()
            profile.sample_type.type_strindex = self._string(kind)
            profile.sample_type.unit_strindex = self._string("nanoseconds")
            profile.time_unix_nano, profile.duration_nano = self.start_ns, 10 * 10**9
        stack = self.tables.stack_table.add()
        stack.location_indices.extend(self._frame(frame) for frame in reversed(frames))
        sample = self.profiles[kind].samples.add()
        sample.stack_index = len(self.tables.stack_table) - 1
        sample.values.append(value)
        for key, name in (("thread", "thread.name"), ("endpoint", "varan.endpoint")):
            if about.get(key):
                sample.attribute_indices.append(self._attribute(name, about[key]))
        if "span_id" in about:
            link = self.tables.link_table.add()
            link.trace_id = bytes.fromhex(about["trace_id"])
            link.span_id = bytes.fromhex(about["span_id"])
            sample.link_index = len(self.tables.link_table) - 1
        return self

    def source(self, frame: str, text: str, first_line: int) -> Profiles:
        """The text of the frame's function."""
        location = self.tables.location_table[self._frame(frame)]
        self.tables.function_table[location.lines[0].function_index].start_line = first_line
        location.attribute_indices.append(self._attribute("varan.source", text))
        return self

    def body(self) -> bytes:
        return self.request.SerializeToString()
