"""Span processors, exporters and samplers that an application brings along, written for OpenTelemetry's SDK. They are
honoured at their own cost: each span is then shown to Python code at its start and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _core, _report
from . import resource as own_resource

_processors: list[Any] = []
_sampler: Any = None


def _sdk() -> Any:
    from opentelemetry.sdk import trace

    return trace


def readable(span: Any) -> Any:
    """A copy of a finished span as the SDK's ReadableSpan (the SDK is there: processors are made for it)."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

    sdk = _sdk()
    context = span.get_span_context()
    parent = None
    if span.parent_ids:
        trace_id, span_id, remote = span.parent_ids
        parent = SpanContext(trace_id, span_id, remote, context.trace_flags, context.trace_state)
    codes = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)
    return sdk.ReadableSpan(
        name=span.name,
        context=context,
        parent=parent,
        resource=Resource(own_resource.current),
        attributes=span.attributes,
        events=[sdk.Event(name, attributes, time) for time, name, attributes in span.event_list],
        links=[
            Link(SpanContext(trace_id, span_id, False, TraceFlags(1)), attributes)
            for trace_id, span_id, attributes in span.link_list
        ],
        kind=span.kind,
        instrumentation_scope=InstrumentationScope(_core.scope_name(span.scope)),
        status=Status(codes[span.status_code], span.status_message),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _started(span: Any) -> None:
    for processor in _processors:
        try:
            processor.on_start(span, None)
        except Exception as error:
            _report.failure(f"the span processor {type(processor).__name__}", error)


def _ended(span: Any) -> None:
    try:
        copy = readable(span)
    except Exception as error:
        _report.failure("showing spans to processors", error)
        return
    for processor in _processors:
        try:
            processor.on_end(copy)
        except Exception as error:
            _report.failure(f"the span processor {type(processor).__name__}", error)


def _sample(span: Any) -> bool | None:
    """Asks the application's sampler; None: it has no answer."""
    try:
        from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

        context = span.get_span_context()
        parent = None
        if span.parent_ids:
            trace_id, span_id, remote = span.parent_ids
            parent = set_span_in_context(
                NonRecordingSpan(
                    SpanContext(trace_id, span_id, remote, context.trace_flags, context.trace_state)
                )
            )
        result = _sampler.should_sample(
            parent, context.trace_id, span.name, span.kind, span.attributes, None
        )
        if result.attributes:
            span.set_attributes(result.attributes)
        return bool(result.decision.is_sampled())
    except Exception as error:
        _report.failure(f"the sampler {type(_sampler).__name__}", error)
        return None


def _watch() -> None:
    _core.watch_spans(
        _sample if _sampler is not None else None,
        _started if _processors else None,
        _ended if _processors else None,
    )


def add_processor(processor: Any) -> None:
    _processors.append(processor)
    _watch()


def set_sampler(sampler: Any) -> None:
    global _sampler
    _sampler = sampler
    _watch()


def flush(timeout_millis: int) -> bool:
    good = True
    for processor in _processors:
        try:
            good = processor.force_flush(timeout_millis) is not False and good
        except Exception as error:
            _report.failure(f"the span processor {type(processor).__name__}", error)
    return good


def shutdown() -> None:
    for processor in _processors:
        try:
            processor.shutdown()
        except Exception as error:
            _report.failure(f"the span processor {type(processor).__name__}", error)


def _entry_point(group: str, name: str) -> Any:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    points = found.select(group=group) if hasattr(found, "select") else found.get(group, ())
    for point in points:
        if point.name == name:
            return point.load()
    return None


def start(exporters: Sequence[str], sampler: str, argument: str) -> None:
    """Exporters by OTEL_TRACES_EXPORTER beside our own, and a sampler of OTEL_TRACES_SAMPLER that C does not have."""
    for name in exporters:
        try:
            factory = _entry_point("opentelemetry_traces_exporter", name)
            if factory is None:
                _report.once(
                    f"exporter {name}", f"OTEL_TRACES_EXPORTER: no exporter named {name!r}"
                )
                continue
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

            kind = SimpleSpanProcessor if name == "console" else BatchSpanProcessor
            add_processor(kind(factory()))
        except Exception as error:
            _report.failure(f"the exporter {name}", error)
    if sampler:
        try:
            factory = _entry_point("opentelemetry_traces_sampler", sampler)
            if factory is None:
                _report.once("sampler", f"OTEL_TRACES_SAMPLER: no sampler named {sampler!r}")
            else:
                set_sampler(factory(argument))
        except Exception as error:
            _report.failure(f"the sampler {sampler}", error)
