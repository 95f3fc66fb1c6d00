"""A small OTLP/HTTP collector for the tests: real sockets, real protobuf, and faults on request."""

from __future__ import annotations

import gzip
import os
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


def plain(value: Any) -> Any:
    """An AnyValue as a Python value."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: plain(kv.value) for kv in value.kvlist_value.values}
    return getattr(value, kind)


def attributes(pairs: Any) -> dict[str, Any]:
    keys = [kv.key for kv in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return {kv.key: plain(kv.value) for kv in pairs}


class Span:
    def __init__(self, span: Any, scope: Any, resource: dict[str, Any]) -> None:
        self.raw = span
        self.name = span.name
        self.kind = span.kind
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        self.parent_id = span.parent_span_id.hex()
        self.attributes = attributes(span.attributes)
        self.events = [(e.name, attributes(e.attributes)) for e in span.events]
        self.status = span.status.code
        self.message = span.status.message
        self.scope = scope.name
        self.scope_version = scope.version
        self.resource = resource
        self.duration_ns = span.end_time_unix_nano - span.start_time_unix_nano

    def __repr__(self) -> str:
        return f"<{self.name} {self.trace_id[:6]}/{self.span_id[:6]} < {self.parent_id[:6]} {self.attributes}>"


class Log:
    def __init__(self, record: Any, scope: Any, resource: dict[str, Any]) -> None:
        self.raw = record
        self.body = plain(record.body)
        self.severity = record.severity_number
        self.severity_text = record.severity_text
        self.trace_id = record.trace_id.hex()
        self.span_id = record.span_id.hex()
        self.attributes = attributes(record.attributes)
        self.scope = scope.name
        self.resource = resource

    def __repr__(self) -> str:
        return f"<{self.severity_text} {self.body!r} {self.attributes}>"


class Point:
    """One data point of a metric, with what its metric says."""

    def __init__(self, metric: Any, point: Any, scope: Any, resource: dict[str, Any]) -> None:
        self.raw = point
        self.metric = metric
        self.name = metric.name
        self.unit = metric.unit
        self.description = metric.description
        self.kind = metric.WhichOneof("data")
        data = getattr(metric, self.kind)
        self.temporality = getattr(data, "aggregation_temporality", 0)
        self.monotonic = getattr(data, "is_monotonic", False)
        self.attributes = attributes(point.attributes)
        self.scope = scope.name
        self.resource = resource
        self.value: Any = None
        if self.kind in ("gauge", "sum"):
            self.value = getattr(point, point.WhichOneof("value"))

    def __repr__(self) -> str:
        return f"<{self.name} {self.attributes} {self.value}>"


def end_ns(span: Span) -> int:
    return int(span.raw.end_time_unix_nano)


def observed_ns(log: Log) -> int:
    return int(log.raw.observed_time_unix_nano)


def merge(kept: list[Any], more: list[Any], time_ns: Callable[[Any], int]) -> None:
    """Of two requests on their way at the same time either comes first: the order is that of what they tell."""
    late = kept and more and time_ns(more[0]) < time_ns(kept[-1])
    kept += more
    if late:
        kept[:] = sorted(kept, key=time_ns)  # not kept.sort(): who looks meanwhile would see none


class Collector:
    """Listens on a free port (or a Unix socket) until close(). `answer(path, count)` may return (status, headers, body)
    to be sent instead of 200; such requests are not kept."""

    def __init__(self, unix_path: str | None = None, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.logs: list[Log] = []
        self.profiles: list[bytes] = []  # encoded requests
        self.points: list[Point] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answer: Callable[[str, int], tuple[int, dict[str, str], bytes] | None] | None = None
        self.delay: float = 0.0
        self.open: list[Any] = []
        self.changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = unix_path is None

            def log_message(self, *args: Any) -> None:
                pass

            def setup(self) -> None:
                collector.open.append(self.request)
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self, body)

        if unix_path is None:
            self.server: Any = type("Server", (ThreadingHTTPServer,), {"request_queue_size": 128})(
                ("127.0.0.1", port), Handler
            )
            self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        else:

            class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
                daemon_threads = True

            Handler.address_string = lambda self: "unix"  # type: ignore[method-assign]
            self.server = UnixServer(unix_path, Handler)
            self.endpoint = f"unix:{unix_path}"
        self.server.daemon_threads = True
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self.thread.start()

    def take(self, handler: Any, body: bytes) -> None:
        headers = {k.lower(): v for k, v in handler.headers.items()}
        with self.changed:
            self.requests.append((handler.path, headers))
            count = len(self.requests)
        if self.delay:
            time.sleep(self.delay)
        reply = self.answer(handler.path, count) if self.answer else None
        status, extra, content = reply or (200, {}, b"")
        if 200 <= status < 300:
            self.keep(
                handler.path,
                gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body,
            )
        try:
            handler.send_response(status)
            for key, value in extra.items():
                handler.send_header(key, value)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            pass

    def keep(self, path: str, body: bytes) -> None:
        spans, logs = [], []
        if path.endswith("/v1/traces"):
            traces = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            for r in traces.resource_spans:
                resource = attributes(r.resource.attributes)
                spans += [Span(s, g.scope, resource) for g in r.scope_spans for s in g.spans]
            spans.sort(key=end_ns)  # scopes come in no order
        elif path.endswith("/v1/metrics"):
            self.keep_metrics(body)
        elif path.endswith("/profiles"):
            with self.changed:
                self.profiles.append(body)
                self.changed.notify_all()
        else:
            request = logs_service_pb2.ExportLogsServiceRequest.FromString(body)
            for r in request.resource_logs:
                resource = attributes(r.resource.attributes)
                logs += [Log(x, g.scope, resource) for g in r.scope_logs for x in g.log_records]
            logs.sort(key=observed_ns)
        with self.changed:
            merge(self.spans, spans, end_ns)
            merge(self.logs, logs, observed_ns)
            self.changed.notify_all()

    def keep_metrics(self, body: bytes) -> None:
        points = []
        request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(body)
        for r in request.resource_metrics:
            resource = attributes(r.resource.attributes)
            for g in r.scope_metrics:
                for m in g.metrics:
                    data = getattr(m, m.WhichOneof("data"))
                    points += [Point(m, p, g.scope, resource) for p in data.data_points]
        with self.changed:
            self.points += points
            self.changed.notify_all()

    def wait(self, good: Callable[[], Any], timeout: float = 60.0) -> Any:
        """Waits until good() is true; returns its value."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                value = good()
                if value:
                    return value
                left = deadline - time.monotonic()
                assert left > 0, (
                    f"not in time: {len(self.spans)} spans {self.spans[:20]}, {len(self.logs)} logs"
                )
                self.changed.wait(min(left, 0.2))

    def wait_spans(self, n: int, timeout: float = 60.0) -> list[Span]:
        self.wait(lambda: len(self.spans) >= n, timeout)
        return self.spans

    def metric(self, name: str) -> list[Point]:
        return [p for p in self.points if p.name == name]

    def named(self, name: str) -> list[Span]:
        return [s for s in self.spans if s.name == name]

    def hang_up(self) -> None:
        """Ends the connections that are open, as the death of the process does."""
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        if self.endpoint.startswith("unix:"):
            os.unlink(self.endpoint[5:])
