"""Varan as the SDK of the OpenTelemetry API: spans of both sides in one trace, contrib's twins silent, the application's
own SDK untouched."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from collector import Collector
from opentelemetry import context, trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

import varan
from conftest import Program, Sent
from varan import _core, otel


@pytest.fixture
def tracer(sent: Sent) -> Any:
    assert otel.is_ours()
    return trace.get_tracer("library", "1.2", schema_url="https://schema/1", attributes={"k": "v"})


def test_one_trace(sent: Sent, tracer: Any) -> None:
    with varan.span("ours") as ours:
        with tracer.start_as_current_span(
            "theirs", kind=SpanKind.PRODUCER, attributes={"a": 1}
        ) as theirs:
            assert trace.get_current_span() is theirs is varan.current_span()
            with varan.span("inner"):
                assert trace.get_current_span().get_span_context().trace_id == int(
                    ours.trace_id, 16
                )
        assert trace.get_current_span() is ours
    assert trace.get_current_span() is trace.INVALID_SPAN
    theirs = sent.span("theirs")
    assert (
        theirs.parent_id == sent.span("ours").span_id
        and sent.span("inner").parent_id == theirs.span_id
    )
    assert theirs.kind == 4 and theirs.attributes == {"a": 1}
    assert (theirs.scope, theirs.scope_version) == ("library", "1.2")


def test_span_interface(sent: Sent, tracer: Any) -> None:
    span = tracer.start_span("first", start_time=1_700_000_000_000_000_000)
    assert isinstance(span, trace.Span) and isinstance(tracer, trace.Tracer) and span.is_recording()
    span.set_attribute("a", 1)
    span.set_attribute(key="b", value="x")
    span.set_attributes({"c": [1, 2]})
    span.add_event("event", {"k": True}, timestamp=1_700_000_000_500_000_000)
    span.record_exception(ValueError("no"), attributes={"more": 1})
    span.set_status(Status(StatusCode.ERROR, "bad"))
    span.update_name("renamed")
    assert (
        span.name == "renamed" and span.kind is SpanKind.INTERNAL and span.attributes.get("a") == 1
    )
    span.end(end_time=1_700_000_001_000_000_000)
    found = sent.span("renamed")
    assert found.raw.start_time_unix_nano == 1_700_000_000_000_000_000
    assert found.raw.end_time_unix_nano == 1_700_000_001_000_000_000
    assert found.attributes == {"a": 1, "b": "x", "c": [1, 2]}
    assert (
        found.events[0] == ("event", {"k": True})
        and found.raw.events[0].time_unix_nano == 1_700_000_000_500_000_000
    )
    assert found.events[1][1]["more"] == 1
    assert found.status == 2 and found.message == "bad"


def test_status_ok_is_final(sent: Sent, tracer: Any) -> None:
    with tracer.start_as_current_span("status") as span:
        span.set_status(StatusCode.OK)
        span.set_status(StatusCode.ERROR, "late")
    assert sent.span("status").status == 1


def test_links_and_parents(sent: Sent, tracer: Any) -> None:
    remote = SpanContext(0x1234 << 64 | 5, 0x99, True, TraceFlags(1))
    parent = trace.set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span(
        "child", context=parent, links=[Link(remote, {"l": 1})]
    ) as span:
        assert (
            span.get_span_context().trace_id == remote.trace_id
            and not span.get_span_context().is_remote
        )
        span.add_link(remote)
    found = sent.span("child")
    assert found.trace_id == f"{remote.trace_id:032x}" and found.parent_id == f"{0x99:016x}"
    assert found.raw.flags == 0x301
    assert [link.span_id.hex() for link in found.raw.links] == [f"{0x99:016x}"] * 2
    with tracer.start_as_current_span("root", context=context.Context()):
        pass
    assert sent.span("root").parent_id == ""


def test_foreign_current_span(sent: Sent, tracer: Any) -> None:
    """A span that is not ours is current: ours go below it."""
    foreign = NonRecordingSpan(SpanContext(7, 8, False, TraceFlags(1)))
    with trace.use_span(foreign), varan.span("below"):
        pass
    unsampled = NonRecordingSpan(SpanContext(7, 8, False, TraceFlags(0)))
    with trace.use_span(unsampled), varan.span("unsampled") as span:
        assert not span.is_recording()
    assert sent.span("below").parent_id == f"{8:016x}"
    assert len(sent.spans()) == 1


def test_use_span_and_exceptions(sent: Sent, tracer: Any) -> None:
    span = tracer.start_span("used")
    with pytest.raises(ValueError), trace.use_span(span, end_on_exit=True):
        assert varan.current_span() is span
        raise ValueError("x")
    with (
        pytest.raises(ValueError),
        tracer.start_as_current_span(
            "quiet", record_exception=False, set_status_on_exception=False
        ),
    ):
        raise ValueError
    assert sent.span("used").status == 2 and len(sent.span("used").events) == 1
    assert sent.span("quiet").status == 0 and sent.span("quiet").events == []


def test_decorator_and_async(sent: Sent, tracer: Any) -> None:
    @tracer.start_as_current_span("sync")
    def sync() -> int:
        return 1

    @tracer.start_as_current_span("async")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        return 2

    assert sync() + sync() == 2 and asyncio.run(coroutine()) == 2
    assert sorted(s.name for s in sent.spans()) == ["async", "sync", "sync"]


def test_end_on_exit_false(sent: Sent, tracer: Any) -> None:
    with tracer.start_as_current_span("open", end_on_exit=False) as span:
        pass
    assert span.is_recording() and sent.spans() == []
    span.end()
    assert sent.span("open")


def test_propagators_of_the_api(sent: Sent, tracer: Any) -> None:
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    with varan.span("out") as span:
        propagate.inject(carrier)
    assert carrier["traceparent"] == span.traceparent()
    with tracer.start_as_current_span("in", context=propagate.extract(carrier)):
        pass
    assert sent.span("in").parent_id == sent.span("out").span_id


def test_odd_arguments(sent: Sent, tracer: Any) -> None:
    for kwargs in (
        {"attributes": {5: 1, "k": object}},
        {"links": 7},
        {"kind": 99},
        {"context": 5},
        {"start_time": "x"},
    ):
        with tracer.start_as_current_span("odd", **kwargs):
            pass
    assert len(sent.spans()) == 5
    with pytest.raises(TypeError):
        tracer.start_span()


def test_many_scopes(sent: Sent) -> None:
    for i in range(400):
        trace.get_tracer(f"scope{i}").start_span(f"s{i}").end()
    assert len(sent.spans()) == 400


CONTRIB = """
    import flask, sqlite3, varan
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
    FlaskInstrumentor().instrument()
    SQLite3Instrumentor().instrument()
    app = flask.Flask("x")
    @app.get("/a/<i>")
    def a(i):
        sqlite3.connect(":memory:").cursor().execute("select 1")
        return i
    with app.test_client() as c:
        assert c.get("/a/5").data == b"5"
    varan.flush(60)
"""


def test_contrib_twins_are_silent(program: Program, collector: Collector) -> None:
    program.run(CONTRIB)
    assert sorted((s.name, s.scope) for s in collector.spans) == [
        ("GET /a/<i>", "varan.flask"), ("SELECT", "varan.sqlite3"),
    ]  # fmt: skip
    query, request = sorted(collector.spans, key=lambda s: s.kind, reverse=True)
    assert query.parent_id == request.span_id


def test_contrib_speaks_when_the_hook_is_off(program: Program, collector: Collector) -> None:
    program.run(CONTRIB, VARAN_DISABLED_HOOKS="flask,sqlite3")
    scopes = sorted(s.scope for s in collector.spans)
    assert scopes == [
        "opentelemetry.instrumentation.flask",
        "opentelemetry.instrumentation.sqlite3",
    ]


def test_the_applications_own_provider(program: Program, collector: Collector) -> None:
    """An SDK configured in code: its processors see the hooks' spans, too, and its resource and sampler count."""
    done = program.run(
        """
        import sqlite3
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory, later = InMemorySpanExporter(), InMemorySpanExporter()
        provider = TracerProvider(resource=Resource.create({"service.name": "shop", "team": "a"}))
        provider.add_span_processor(SimpleSpanProcessor(memory))
        trace.set_tracer_provider(provider)
        assert trace.get_tracer_provider() is provider
        provider.add_span_processor(SimpleSpanProcessor(later))
        for tracer in (trace.get_tracer("t"), provider.get_tracer("t")):
            with tracer.start_as_current_span("theirs"):
                sqlite3.connect(":memory:").execute("select 1")
        assert provider.force_flush()
        for exporter in (memory, later):
            spans = exporter.get_finished_spans()
            assert [s.name for s in spans] == ["SELECT", "theirs"] * 2, spans
            assert spans[0].parent.span_id == spans[1].context.span_id
            assert spans[1].resource.attributes["team"] == "a"
        provider.shutdown()
        """,
        VARAN_SERVICE="",
    )
    assert done.stderr == ""
    assert sorted(s.name for s in collector.spans) == ["SELECT", "SELECT", "theirs", "theirs"]
    resource = collector.spans[0].resource
    assert (resource["service.name"], resource["team"]) == ("shop", "a")
    assert resource["telemetry.sdk.name"] == "varan"


@pytest.mark.parametrize(
    "sampler, kept",
    [
        ("ALWAYS_OFF", 0), ("ALWAYS_ON", 40), ("TraceIdRatioBased(0)", 0), ("ParentBased(ALWAYS_OFF)", 0),
        ("ParentBased(TraceIdRatioBased(1))", 40), ("ParentBased(ALWAYS_ON, local_parent_sampled=ALWAYS_OFF)", 20),
    ],
)  # fmt: skip
def test_the_applications_own_sampler(
    program: Program, collector: Collector, sampler: str, kept: int
) -> None:
    program.run(
        f"""
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import *
        trace.set_tracer_provider(TracerProvider(sampler={sampler}))
        tracer = trace.get_tracer("t")
        for i in range(20):
            with tracer.start_as_current_span("outer"):
                with tracer.start_as_current_span("inner"):
                    pass
        """
    )
    assert len(collector.spans) == kept


def test_its_exporter_to_the_same_server_is_left_out(
    program: Program, collector: Collector
) -> None:
    done = program.run(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        import os
        provider = TracerProvider()
        url = os.environ["VARAN_ENDPOINT"].replace("127.0.0.1", "localhost") + "/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url)))
        trace.set_tracer_provider(provider)
        provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(url)))
        with trace.get_tracer("t").start_as_current_span("once"):
            pass
        """
    )
    assert [s.name for s in collector.spans] == ["once"]
    assert "its spans go there once" in done.stderr and done.stderr.count("\n") == 1


def test_a_provider_of_another_maker_stays(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import varan
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        memory = InMemorySpanExporter()
        inner_provider = TracerProvider()
        inner_provider.add_span_processor(SimpleSpanProcessor(memory))
        class Provider(trace.TracerProvider):
            def get_tracer(self, *args, **kwargs):
                return inner_provider.get_tracer(*args, **kwargs)
        trace.set_tracer_provider(Provider())
        with trace.get_tracer("t").start_as_current_span("theirs") as theirs:
            with varan.span("ours") as ours:
                with trace.get_tracer("t").start_as_current_span("inner") as inner:
                    pass
        names = [s.name for s in memory.get_finished_spans()]
        assert names == ["inner", "theirs"], names
        assert inner.parent.span_id == int(ours.span_id, 16)
        assert inner.context.trace_id == theirs.context.trace_id == int(ours.trace_id, 16)
        """
    )
    assert done.stderr == ""
    assert [s.name for s in collector.spans] == ["ours"]


def test_api_imported_while_a_span_is_open(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        with varan.span("before") as before:
            from opentelemetry import trace
            with varan.span("after"):
                pass
            with trace.get_tracer("t").start_as_current_span("api"):
                pass
            assert varan.current_span() is before
        assert varan.current_span() is None
        """
    )
    parents = {s.name: s.parent_id for s in collector.spans}
    before = collector.named("before")[0].span_id
    assert parents == {"after": before, "api": before, "before": ""}


def test_provider_interface(sent: Sent) -> None:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, trace.TracerProvider)
    assert provider.force_flush(5000)  # type: ignore[attr-defined]
    assert _core.native
