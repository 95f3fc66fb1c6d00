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


def _parent(span: Any) -> Any:
    from opentelemetry.trace import SpanContext

    if not span.parent_ids:
        return None
    context = span.get_span_context()
    return SpanContext(*span.parent_ids, context.trace_flags, context.trace_state)


def _links(span: Any) -> list[Any]:
    from opentelemetry.trace import Link, SpanContext, TraceFlags
    from opentelemetry.trace.span import TraceState

    return [
        Link(
            SpanContext(
                trace_id, span_id, remote, TraceFlags(flags), TraceState.from_header([state or ""])
            ),
            attributes,
        )
        for trace_id, span_id, attributes, remote, flags, state in span.link_list
    ]


def read(span: Any, name: str) -> Any:
    """One of the attributes that spans have in the SDK, and not in the API. The SDK is asked for only where its types
    are needed."""
    if name == "parent":
        return _parent(span)
    if name == "links":
        return _links(span)
    if name == "status":
        from opentelemetry.trace import Status, StatusCode

        codes = (StatusCode.UNSET, StatusCode.OK, StatusCode.ERROR)
        return Status(codes[span.status_code], span.status_message)
    if name == "events":
        return [_sdk().Event(name, attributes, time) for time, name, attributes in span.event_list]
    if name == "resource":
        from opentelemetry.sdk.resources import Resource

        return Resource(own_resource.current)
    if name == "instrumentation_scope":
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        return InstrumentationScope(_core.scope_name(span.scope))
    raise AttributeError(name)


def readable(span: Any) -> Any:
    """A copy of a finished span as the SDK's ReadableSpan (the SDK is there: processors are made for it)."""
    parts = ("parent", "resource", "events", "links", "instrumentation_scope", "status")
    return _sdk().ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        attributes=span.attributes,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        **{part: read(span, part) for part in parts},
    )


def _started(span: Any) -> None:
    for processor in _processors:
        try:
            processor.on_start(span, span.parent_context)
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


def _sample(span: Any) -> tuple[int, str | None] | None:
    """Asks the application's sampler; None: it has no answer."""
    try:
        from opentelemetry.context import Context
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        parent = _parent(span)
        around = span.parent_context
        if parent is not None:
            around = set_span_in_context(NonRecordingSpan(parent), around)
        result = _sampler.should_sample(
            Context() if around is None else around,
            span.get_span_context().trace_id,
            span.name,
            span.kind,
            span.attributes,
            _links(span),
        )
        decision = result.decision
        sampled, recorded = decision.is_sampled(), decision.is_recording()
        if recorded and result.attributes:
            span.set_attributes(result.attributes)
        state = result.trace_state.to_header() if result.trace_state else None
        return 2 if sampled else 1 if recorded else 0, state
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


def entry_point(group: str, name: str) -> Any:
    from importlib.metadata import entry_points

    found: Any = entry_points()
    points = found.select(group=group) if hasattr(found, "select") else found.get(group, ())
    for point in points:
        if point.name == name:
            return point.load()
    return None


def named(variable: str, kind: str, group: str, name: str) -> Any:
    """What the variable's name stands for, or None, which is said."""
    found = entry_point(group, name)
    if found is None:
        _report.once(f"{kind} {name}", f"{variable}: no {kind} named {name!r}")
    return found


def start(exporters: Sequence[str], sampler: str, argument: str) -> None:
    """Exporters by OTEL_TRACES_EXPORTER beside our own, and a sampler of OTEL_TRACES_SAMPLER that C does not have."""
    for name in exporters:
        try:
            factory = named(
                "OTEL_TRACES_EXPORTER", "exporter", "opentelemetry_traces_exporter", name
            )
            if factory is None:
                continue
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

            kind = SimpleSpanProcessor if name == "console" else BatchSpanProcessor
            add_processor(kind(factory()))
        except Exception as error:
            _report.failure(f"the exporter {name}", error)
    if sampler:
        try:
            factory = named(
                "OTEL_TRACES_SAMPLER", "sampler", "opentelemetry_traces_sampler", sampler
            )
            if factory is not None:
                set_sampler(factory(argument))
        except Exception as error:
            _report.failure(f"the sampler {sampler}", error)
