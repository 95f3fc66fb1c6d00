"""The OpenTelemetry tracing API on Varan, and the same calls on its own SDK: what arrives is equal, limits included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from collector import Collector, attributes

from conftest import OLD_SDK, Program

PROGRAM = """
    import os
    from opentelemetry import baggage, context, trace
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
    if os.environ.get("STOCK"):
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("shop", "1.2", None, "https://schema/1", {"team": "a"})
    far = SpanContext(0x0af7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331, True, TraceFlags(1),
                      TraceState([("a", "1"), ("b", "2")]))
    near = SpanContext(0x0af7651916cd43dd8448eb211c80319c, 0x1, False, TraceFlags(0))
    many = {f"k{i}": f"value {i}" for i in range(9)}
    with tracer.start_as_current_span("types", kind=SpanKind.CONSUMER, attributes={
            "s": "text ü", "i": 2**62, "n": -1, "f": 1.5, "b": False, "ls": ["a", "b"], "li": (1, 2),
            "lf": [1.0, 2.0], "lb": [True, False], "empty": [], "bytes": b"raw"}) as span:
        span.set_attribute("s", "again")
    with tracer.start_as_current_span("links", links=[Link(far, {"l": 1}), Link(near)]) as span:
        span.add_link(far, many)
    with tracer.start_as_current_span("events") as span:
        span.add_event("e", many, 10**18)
        for i in range(5):
            span.add_event(f"e{i}")
    tracer.start_span("many", attributes=many, start_time=10**18).end(10**18 + 5)
    with tracer.start_as_current_span("long", attributes={"t": "äöü" * 9, "l": ["x" * 50]}) as span:
        span.add_event("long", {"t": "ß" * 50})
    with tracer.start_as_current_span("remote", context=trace.set_span_in_context(trace.NonRecordingSpan(far))):
        with tracer.start_as_current_span("child"):
            pass
    span = tracer.start_span("status")
    span.set_status(Status(StatusCode.ERROR, "bad"))
    span.set_status(StatusCode.OK, "ignored")
    span.set_status(StatusCode.ERROR)
    span.end()
    try:
        with tracer.start_as_current_span("raises"):
            raise KeyError("k")
    except KeyError:
        pass
    with tracer.start_as_current_span("records") as span:
        span.record_exception(ValueError("v"), {"exception.message": "mine", "more": 1}, 10**18)
    token = context.attach(baggage.set_baggage("user", "ann"))
    assert baggage.get_baggage("user") == "ann"
    context.detach(token)
    trace.get_tracer_provider().force_flush()
    os._exit(0)
"""


def told(collector: Collector) -> dict[str, Any]:
    """What the spans say, without ids that are drawn, times of now, and what only one side tells."""
    names = {s.span_id: s.name for s in collector.spans}
    found: dict[str, Any] = {}
    for s in collector.spans:
        events = []
        for event in s.raw.events:
            a = {
                k: v
                for k, v in attributes(event.attributes).items()
                if not k.startswith("varan.")
                and k not in ("exception.escaped", "exception.stacktrace")
            }
            told_time = event.time_unix_nano if event.time_unix_nano < 1.1e18 else 0
            events.append([event.name, a, told_time, event.dropped_attributes_count])
        links = [
            [x.trace_id.hex(), x.span_id.hex(), attributes(x.attributes), x.dropped_attributes_count,
             x.flags & 0x300]
            for x in s.raw.links
        ]  # fmt: skip
        dropped = (
            s.raw.dropped_attributes_count,
            s.raw.dropped_events_count,
            s.raw.dropped_links_count,
        )
        a = {k: v for k, v in s.attributes.items() if k != "error.type"}
        found[s.name] = json.loads(
            json.dumps(
                [s.kind, names.get(s.parent_id, s.parent_id), a, events, links, dropped, s.status,
                 s.message, s.scope, s.scope_version, s.raw.flags & 0x300, s.raw.trace_state],
                # The old one makes text of bytes.
                default=lambda v: v.decode() if OLD_SDK else v.hex(),
            )
        )  # fmt: skip
    return found


LIMITS = {
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "4",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "3",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "2",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "5",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "6",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "20",
}


@pytest.mark.parametrize("limits", [{}, LIMITS], ids=["usual", "limits"])
def test_equal_to_the_sdk(program: Program, collector: Collector, limits: dict[str, str]) -> None:
    program.run(PROGRAM, **limits)
    ours = told(collector)
    assert limits or collector.named("types")[0].attributes["bytes"] == b"raw"
    collector.spans.clear()
    program.run(
        PROGRAM, STOCK="1", VARAN_DISABLED="1", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **limits
    )  # fmt: skip
    theirs = told(collector)
    assert len(theirs) == 10
    if limits:  # which of too many are kept differs: the SDK lets the oldest go
        for name in ("types", "many", "events", "links"):
            assert [len(ours[name][i]) for i in (2, 3, 4)] == [
                len(theirs[name][i]) for i in (2, 3, 4)
            ]
            mine, other = ours.pop(name), theirs.pop(name)
            assert mine[5] == other[5] or name == "types"  # "s" came again after it had gone
    for name, span in theirs.items():
        assert ours[name] == span, name
