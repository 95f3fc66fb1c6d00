"""Varan as the SDK of the OpenTelemetry API: its tracer provider, its spans, and one current span for both."""

from __future__ import annotations

import sys
from typing import Any

from . import _core, _report, otel_watch
from .imports import installed

# Instrumentations that do what our hooks do; their spans would come twice.
TWINS = {
    f"opentelemetry.instrumentation.{name}": hook
    for name, hook in (
        ("wsgi", "wsgi"), ("asgi", "asgi"), ("flask", "flask"), ("fastapi", "starlette"), ("starlette", "starlette"),
        ("sqlite3", "sqlite3"), ("sqlalchemy", "sqlalchemy"), ("requests", "requests"), ("urllib3", "urllib3"),
        ("httpx", "httpx"), ("httpx2", "httpx"), ("psycopg2", "psycopg2"), ("psycopg", "psycopg"), ("asyncpg", "asyncpg"),
        ("pymysql", "pymysql"), ("mysqlclient", "mysqlclient"), ("pymongo", "pymongo"), ("redis", "redis"),
        ("django", "django_handlers"), ("aiohttp_client", "aiohttp_client"),
        ("aiohttp_server", "aiohttp_server"), ("tornado", "tornado"), ("urllib", "http_client"), ("celery", "celery"),
        ("kafka", "kafka_python"), ("aiokafka", "aiokafka"), ("confluent_kafka", "confluent_kafka"), ("pika", "pika"),
        ("botocore", "botocore"), ("grpc", "grpc"), ("openai_v2", "model_clients"), ("anthropic", "model_clients"),
    )
}  # fmt: skip
TWINS["com.anthropic.sdk.python"] = "model_clients"  # the package's own spans

_provider: Any = None
_adopted: Any = None  # the application's own provider, which is a face of ours
target: Any = None  # where spans go


def _bind_baggage() -> None:
    """Baggage that comes with a request is the API's; what the application sets there goes out."""
    from urllib.parse import quote_plus

    from opentelemetry.baggage import _BAGGAGE_KEY, get_all
    from opentelemetry.baggage.propagation import W3CBaggagePropagator

    propagator = W3CBaggagePropagator()

    def parse(text: str) -> Any:
        from opentelemetry.context import Context

        return dict(get_all(propagator.extract({"baggage": text}, Context())))

    def format(mapping: Any) -> str:
        return ",".join(f"{key}={quote_plus(str(value))}" for key, value in mapping.items())

    _core.bind_baggage(_BAGGAGE_KEY, parse, format)


def _bind_suppression(context: Any) -> None:
    """What exporters and applications suppress while they work, hooks do not see either: an exporter's own requests would
    make spans without end."""
    everything = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    http = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
    _core.bind_suppression(everything, "suppress_instrumentation", http)


def _read(span: Any, name: str) -> Any:
    """What the SDK's spans have beyond the API's: for processors that look at a span while it starts."""
    from . import otel_slow

    return otel_slow.read(span, name)


def _bind_context(trace: Any) -> None:
    """Shares the API's context variable, so that each side sees the other's current span."""
    from opentelemetry import context
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
    from opentelemetry.trace.propagation import _SPAN_KEY

    runtime = getattr(context, "_RUNTIME_CONTEXT", None)
    if not isinstance(runtime, ContextVarsRuntimeContext):
        raise RuntimeError("a runtime context other than contextvars")

    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.span import TraceState

    flags = (TraceFlags(0), TraceFlags(1))
    empty = TraceState()

    def span_context(
        trace_id: int, span_id: int, remote: bool, sampled: int, state: str | None
    ) -> Any:
        return SpanContext(
            trace_id,
            span_id,
            remote,
            flags[sampled & 1],
            TraceState.from_header([state]) if state else empty,
        )

    kinds = (
        SpanKind.INTERNAL,
        SpanKind.SERVER,
        SpanKind.CLIENT,
        SpanKind.PRODUCER,
        SpanKind.CONSUMER,
    )
    _core.bind_api(runtime._current_context, context.Context, _SPAN_KEY, span_context, kinds)
    _bind_suppression(context)
    _bind_baggage()


def _make_provider_type(trace: Any) -> type:
    class TracerProvider(trace.TracerProvider):  # type: ignore[misc, name-defined]
        """Hands out tracers that are written in C."""

        @property
        def resource(self) -> Any:
            from types import SimpleNamespace

            from . import resource

            return SimpleNamespace(attributes=dict(resource.current), schema_url="")

        def get_tracer(
            self,
            instrumenting_module_name: str,
            instrumenting_library_version: str | None = None,
            schema_url: str | None = None,
            attributes: Any = None,
            **_: Any,
        ) -> Any:
            if TWINS.get(instrumenting_module_name, "") in installed:
                return trace.NoOpTracer()
            return _core.Tracer(
                instrumenting_module_name or "",
                instrumenting_library_version,
                schema_url,
                dict(attributes) if attributes else None,
            )

        def add_span_processor(self, processor: Any) -> None:
            from . import otel_slow

            otel_slow.add_processor(processor)

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            slow = sys.modules.get("varan.otel_slow")
            good = slow is None or slow.flush(int(timeout_millis))
            return _core.flush(int(timeout_millis)) == 0 and good

        def shutdown(self) -> None:
            slow = sys.modules.get("varan.otel_slow")
            if slow is not None:
                slow.shutdown()
            _core.flush(2000)

    return TracerProvider


def is_ours() -> bool:
    """Do spans of the API's global provider come to us?"""
    trace = sys.modules.get("opentelemetry.trace")
    return (
        trace is not None
        and _provider is not None
        and getattr(trace, "_TRACER_PROVIDER", None) in (_provider, _adopted)
    )


def make_tracer_provider() -> Any:
    """The entry point `opentelemetry_tracer_provider`."""
    global _provider
    if _provider is None:
        from opentelemetry import trace

        bind(trace)
    return _provider


def _adopt(provider: Any) -> None:
    """An SDK's provider that the application sets; those of other makers replace ours."""
    global _adopted
    try:
        from . import otel_adopt

        if _adopted is None and otel_adopt.is_of_sdk(provider):
            otel_adopt.adopt(provider, _provider, target)
            _adopted = provider
    except Exception as error:
        _report.failure("honouring the application's TracerProvider", error)


def bind(trace: Any) -> None:
    """Makes Varan the provider, also behind one of the SDK's that the application sets. Others replace ours."""
    global _provider
    if _provider is not None or not _core.native:
        return
    trace.Span.register(_core.Span)
    trace.Tracer.register(_core.Tracer)
    _core.set_span_reader(_read)
    try:
        _bind_context(trace)
    except Exception as error:
        _report.failure("sharing the current span with OpenTelemetry", error)
    _provider = _make_provider_type(trace)()
    otel_watch.for_providers((trace,), "set_tracer_provider", "_TRACER_PROVIDER", _adopt)
    if getattr(trace, "_TRACER_PROVIDER", None) is None:
        trace._TRACER_PROVIDER = _provider
    else:
        _adopt(trace._TRACER_PROVIDER)
