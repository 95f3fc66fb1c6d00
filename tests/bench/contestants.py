"""Who takes part in bench_agent.py: the application without an agent, Varan, and its peers; each starts in a process of
its own, before the frameworks are imported, and sends to the same local sink.

The peers that are not needed by any test (requirements-peers.txt) are installed into a folder of their own: one of them
would bring a plugin into every run of pytest."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".cache" / "bench-peers"
CONTRIB = ROOT / ".cache" / "contrib"  # what tools/setup --test puts there
CONTESTANTS = ("bare", "varan", "otel", "ddtrace", "sentry")

Flush = Callable[[], None]


def install_peers() -> None:
    """Once for each content of the requirements."""
    wanted = (Path(__file__).parent / "requirements-peers.txt").read_text()
    stamp = PEERS / "stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(PEERS, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(PEERS), "-r",
         str(Path(__file__).parent / "requirements-peers.txt")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stamp.write_text(wanted)


def peer_version(name: str) -> str:
    from importlib.metadata import distributions

    return next(d.version for d in distributions(path=[str(PEERS)]) if d.metadata["Name"] == name)


def peers() -> tuple[tuple[str, str, str], ...]:
    """Contestant, name, version of those that instrument frameworks; once they are installed."""
    from importlib.metadata import version

    contrib = version("opentelemetry-instrumentation-flask")
    return (
        ("otel", "opentelemetry-sdk + contrib", f"{version('opentelemetry-sdk')} + {contrib}"),
        ("ddtrace", "ddtrace", peer_version("ddtrace")),
        ("sentry", "sentry-sdk", peer_version("sentry-sdk")),
    )


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "VARAN_"))}


# ---- the sink: takes what all send and answers 200 ----


def serve_sink(listener: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.recv(1 << 20)
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            left = length - len(data)
            while left > 0:
                got = len(connection.recv(min(left, 1 << 20)))
                if not got:
                    return
                left -= got
            data = data[length:]
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
            )

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


# ---- the starts; each returns its flush ----


def start_bare(endpoint: str) -> Flush:
    return lambda: None


def start_varan(endpoint: str) -> Flush:
    import varan

    varan.start(service="bench", endpoint=endpoint)

    def flush() -> None:
        varan.flush(10)

    return flush


def start_otel(endpoint: str, delay_ms: int = 60000) -> Flush:
    """`delay_ms`: by itself nothing is sent while the clock runs, to the peer's advantage."""
    import logging

    from opentelemetry import trace
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "bench"})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint + "/v1/traces")
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=20000, schedule_delay_millis=delay_ms)
    )
    trace.set_tracer_provider(provider)
    logs = LoggerProvider(resource=resource)
    log_exporter = OTLPLogExporter(endpoint + "/v1/logs")
    logs.add_log_record_processor(
        BatchLogRecordProcessor(log_exporter, max_queue_size=20000, schedule_delay_millis=delay_ms)
    )
    set_logger_provider(logs)
    try:
        from opentelemetry.instrumentation.logging.handler import LoggingHandler  # type: ignore[import-not-found]
    except ImportError:
        from opentelemetry.sdk._logs import LoggingHandler
    logging.getLogger().addHandler(LoggingHandler(logger_provider=logs))

    def flush() -> None:
        provider.force_flush()
        logs.force_flush()

    return flush


def instrument_otel(framework: str) -> None:
    sys.path.append(str(CONTRIB))
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

    SQLite3Instrumentor().instrument()
    (AioHttpClientInstrumentor if framework == "fastapi" else RequestsInstrumentor)().instrument()
    if framework == "flask":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument()
    elif framework == "django":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()


def instrument_otel_app(framework: str, app: Any) -> None:
    if framework == "fastapi":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)


def start_ddtrace(endpoint: str) -> Flush:
    os.environ.update(
        DD_TRACE_AGENT_URL=endpoint, DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_SERVICE="bench", DD_TRACE_STARTUP_LOGS="false",
    )  # fmt: skip
    sys.path.append(str(PEERS))
    import ddtrace.auto  # type: ignore[import-not-found]  # noqa: F401
    from ddtrace.trace import tracer  # type: ignore[import-not-found]

    def flush() -> None:
        tracer.flush()

    return flush


def start_sentry(endpoint: str) -> Flush:
    sys.path.append(str(PEERS))
    import sentry_sdk  # type: ignore[import-not-found]

    sentry_sdk.init(dsn=endpoint.replace("://", "://key@") + "/1", traces_sample_rate=1.0)

    def flush() -> None:
        sentry_sdk.flush(10)

    return flush


def start_sentry_alone(endpoint: str) -> None:
    """Without the integrations that it finds by importing every library it knows: this environment has most of them, an
    application has a few."""
    sys.path.append(str(PEERS))
    import sentry_sdk

    dsn = endpoint.replace("://", "://key@") + "/1"
    sentry_sdk.init(dsn=dsn, traces_sample_rate=1.0, auto_enabling_integrations=False)


STARTERS: dict[str, Callable[[str], Flush]] = {
    "bare": start_bare,
    "prometheus": start_bare,
    "varan": start_varan,
    "varan-api": start_varan,
    "otel": start_otel,
    "ddtrace": start_ddtrace,
    "sentry": start_sentry,
}
