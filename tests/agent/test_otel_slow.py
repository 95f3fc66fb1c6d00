"""Span processors, exporters and samplers made for OpenTelemetry's SDK, on Varan's spans."""

from __future__ import annotations

import json

from collector import Collector

from conftest import Program


def test_processor_sees_spans_as_the_sdks(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import json
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor, ReadableSpan
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        class Marks(SpanProcessor):
            def on_start(self, span, parent_context=None):
                span.set_attribute("marked", True)
            def on_end(self, span):
                assert isinstance(span, ReadableSpan)

        class Breaks(SpanProcessor):
            def on_start(self, span, parent_context=None):
                raise ValueError("no")

        memory = InMemorySpanExporter()
        provider = trace.get_tracer_provider()
        for processor in (Breaks(), Marks(), SimpleSpanProcessor(memory)):
            provider.add_span_processor(processor)
        tracer = trace.get_tracer("shop")
        with tracer.start_as_current_span("outer") as outer:
            link = trace.Link(outer.get_span_context(), {"l": 1})
            try:
                with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT, links=[link],
                        attributes={"a": (1, 2), "b": "x"}) as inner:
                    inner.add_event("event", {"e": 1.5}, 10**18)
                    raise ValueError("bad")
            except ValueError:
                pass
        inner, outer = memory.get_finished_spans()
        print(inner.to_json(indent=None))
        assert inner.parent.span_id == outer.context.span_id and outer.parent is None
        assert inner.end_time > inner.start_time > 10**18
        assert provider.resource.attributes["service.name"] == "program"
        """
    )
    told = json.loads(done.stdout)
    assert told["name"] == "inner" and told["kind"] == "SpanKind.CLIENT"
    assert told["attributes"]["marked"] is True and told["attributes"]["a"] == [1, 2]
    assert told["status"]["status_code"] == "ERROR"
    assert [e["name"] for e in told["events"]] == ["event", "exception"]
    assert told["events"][0]["attributes"] == {"e": 1.5}
    assert told["links"][0]["attributes"] == {"l": 1}
    assert told["resource"]["attributes"]["service.name"] == "program"
    assert done.stderr.startswith("varan: the span processor Breaks is off: ValueError")
    inner = collector.named("inner")[0]
    assert inner.attributes["marked"] is True and len(inner.events) == 2


def test_console_exporter(program: Program, collector: Collector) -> None:
    done = program.run(
        "import varan\nwith varan.span('told', n=1): pass", OTEL_TRACES_EXPORTER="otlp,console"
    )
    assert json.loads(done.stdout)["name"] == "told"
    assert collector.named("told")


def test_sampler_by_entry_point(program: Program, collector: Collector) -> None:
    folder = program.folder / "even-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: even\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_traces_sampler]\neven = even_sampler:make\n"
    )
    program.write(
        "even_sampler.py",
        """
        from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

        class Even(Sampler):
            def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None,
                              links=None, trace_state=None):
                if name == "breaks":
                    raise ValueError("no")
                keep = attributes["i"] % 2 == 0
                return SamplingResult(Decision.RECORD_AND_SAMPLE if keep else Decision.DROP,
                                      {"by": "even"})
            def get_description(self):
                return "even"

        def make(argument):
            assert argument == "7"
            return Even()
        """,
    )
    program.env["PYTHONPATH"] += f":{program.folder}"
    done = program.run(
        """
        import varan
        for i in range(10):
            with varan.span("work", i=i):
                pass
        with varan.span("breaks"):
            pass
        """,
        OTEL_TRACES_SAMPLER="even",
        OTEL_TRACES_SAMPLER_ARG="7",
    )
    assert [s.attributes["i"] for s in collector.named("work")] == [0, 2, 4, 6, 8]
    assert collector.named("work")[0].attributes["by"] == "even"
    assert collector.named("breaks") and "the sampler Even is off: ValueError" in done.stderr


def test_unknown_names_are_told(program: Program, collector: Collector) -> None:
    done = program.run(
        "import varan\nwith varan.span('x'): pass",
        OTEL_TRACES_SAMPLER="nobody",
        OTEL_TRACES_EXPORTER="otlp,nothing",
    )
    assert "no sampler named 'nobody'" in done.stderr
    assert "no exporter named 'nothing'" in done.stderr
    assert collector.named("x")


def test_record_only_and_trace_state(program: Program, collector: Collector) -> None:
    """A sampler sees the parent, the links and the attributes; what it says of the trace state goes on; spans that are
    only recorded reach processors, not the server."""
    program.env["PYTHONPATH"] += f":{program.folder}"
    program.write(
        "made_sampler.py",
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

        class Made(Sampler):
            def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None,
                              links=None, trace_state=None):
                parent = trace.get_current_span(parent_context).get_span_context()
                told = {"parent": parent.is_valid, "links": len(links), "kind": str(kind)}
                kind = Decision.RECORD_ONLY if name == "local" else Decision.RECORD_AND_SAMPLE
                return SamplingResult(kind, told, trace.TraceState([("made", "here")]))
            def get_description(self):
                return "made"
        """,
    )
    done = program.run(
        """
        import varan
        from opentelemetry import baggage, trace
        from opentelemetry.sdk.trace import SpanProcessor
        from made_sampler import Made
        from varan import otel_slow

        class Reads(SpanProcessor):
            def on_start(self, span, parent_context=None):
                user = baggage.get_baggage("user", parent_context)
                if user:
                    span.set_attribute("user", user)
                print(span.name, span.parent is not None, len(span.links), span.context.is_valid,
                      span.resource.attributes["service.name"], span.instrumentation_scope.name)
            def on_end(self, span):
                print("ended", span.name, span.context.trace_flags.sampled)

        trace.get_tracer_provider().add_span_processor(Reads())
        otel_slow.set_sampler(Made())
        tracer = trace.get_tracer("t")
        with tracer.start_as_current_span("local") as local:
            assert local.is_recording() and not local.get_span_context().trace_flags.sampled
        with tracer.start_as_current_span("sent", context=baggage.set_baggage("user", "ann")) as sent:
            assert sent.get_span_context().trace_state["made"] == "here"
            with tracer.start_as_current_span("inner", links=[trace.Link(sent.get_span_context())]):
                pass
        """,
    )
    assert done.stdout.splitlines() == [
        "local False 0 True program t", "ended local False",
        "sent False 0 True program t", "inner True 1 True program t",
        "ended inner True", "ended sent True",
    ]  # fmt: skip
    assert done.stderr == ""
    assert sorted(s.name for s in collector.spans) == ["inner", "sent"]
    inner, sent = collector.named("inner")[0], collector.named("sent")[0]
    assert sent.attributes == {
        "user": "ann",
        "parent": False,
        "links": 0,
        "kind": "SpanKind.INTERNAL",
    }
    assert inner.attributes["parent"] and inner.attributes["links"] == 1
    assert sent.raw.trace_state == "made=here"


def test_an_exporters_own_requests_make_no_spans(program: Program, collector: Collector) -> None:
    """An exporter that sends by a library with a hook would otherwise export its own sending for ever."""
    done = program.run(
        """
        import http.client, sqlite3, varan
        from opentelemetry import trace
        from opentelemetry.instrumentation.utils import suppress_instrumentation
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
        import requests
        database = sqlite3.connect(":memory:")

        class Sends(SpanExporter):
            def export(self, spans):
                try:
                    requests.post("http://127.0.0.1:9/", timeout=0.1)
                except requests.RequestException:
                    pass
                database.execute("select 1")
                print(*[s.name for s in spans])
                return SpanExportResult.SUCCESS

        database.close(); database = sqlite3.connect(":memory:", check_same_thread=False)
        trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(Sends()))
        with varan.span("one"):
            database.execute("select 2")
            with suppress_instrumentation():
                database.execute("select 3")
        for i in range(3):
            trace.get_tracer_provider().force_flush()
        """
    )
    assert done.stdout.split() == ["SELECT", "one"]
    assert sorted(s.name for s in collector.spans) == ["SELECT", "one"]
