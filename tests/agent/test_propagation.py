"""W3C trace context and baggage, in and out, through WSGI; what is malformed is ignored."""

from __future__ import annotations

from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program, Sent
from varan import _core

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACER = _core.Tracer("test")


OWN = """
    from opentelemetry import trace
    from opentelemetry.propagators.textmap import TextMapPropagator, default_getter, default_setter

    class Own(TextMapPropagator):
        def extract(self, carrier, context=None, getter=default_getter):
            found = getter.get(carrier, "X-Own-Trace")
            if not found:
                return context
            if found[0] == "bad":
                raise ValueError("bad")
            trace_id, span_id = found[0].split("/")
            parent = trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(1))
            return trace.set_span_in_context(trace.NonRecordingSpan(parent), context)

        def inject(self, carrier, context=None, setter=default_setter):
            here = trace.get_current_span(context).get_span_context()
            setter.set(carrier, "X-Own-Trace", f"{here.trace_id:x}/{here.span_id:x}")

        @property
        def fields(self):
            return {"X-Own-Trace"}
"""


def test_propagator_by_entry_point(program: Program, collector: Collector) -> None:
    """A name of OTEL_PROPAGATORS that is an installed package's: in and out of the native hooks, of both interfaces."""
    folder = program.folder / "own_propagator-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-propagator\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[opentelemetry_propagator]\nown = own_propagator:Own\n"
    )
    program.write("own_propagator.py", OWN)
    program.env["PYTHONPATH"] += f":{program.folder}"
    done = program.run(
        f"""
        import asyncio
        from varan import _core
        from varan.hooks import asgi
        tracer = _core.Tracer("test")
        def call():
            headers = {{}}
            span = _core.start_client(tracer, "GET", "http://other/")
            _core.inject(span, headers)
            span.end()
            assert headers == {{"X-Own-Trace": f"{{int(span.trace_id, 16):x}}/{{int(span.span_id, 16):x}}"}}, headers
        def application(environ, start_response):
            call()
            return []
        async def api(scope, receive, send):
            call()
        _core.run_wsgi(tracer, application, {{"REQUEST_METHOD": "GET", "HTTP_X_OWN_TRACE": "{TRACE}/{SPAN}"}}, print)
        scope = {{"type": "http", "method": "GET", "path": "/", "headers": [(b"x-own-trace", b"{TRACE}/{SPAN}")]}}
        asyncio.run(asgi.traced(api)(scope, None, None))
        from varan.hooks import _messages
        for headers in ({{"X-Own-Trace": "{TRACE}/{SPAN}", "n": 5}}, [("x-own-trace", b"{TRACE}/{SPAN}")], [("other", b"")]):
            _messages.start_processing(tracer, "kafka", "orders", headers).end()
        _core.run_wsgi(tracer, application, {{"REQUEST_METHOD": "GET", "HTTP_X_OWN_TRACE": "bad"}}, print)
        """,
        OTEL_PROPAGATORS="own,missing",
    )
    servers = [s for s in collector.spans if s.kind == 2]
    assert [(s.trace_id == TRACE, s.parent_id) for s in servers] == [(True, SPAN), (True, SPAN), (False, "")]  # fmt: skip
    processed = [s.parent_id for s in collector.spans if s.kind == 5]
    assert processed == [SPAN, SPAN, ""]
    assert "no propagator named 'missing'" in done.stderr
    assert "the propagator Own is off: ValueError" in done.stderr


def serve(environ: dict[str, Any]) -> dict[str, str]:
    """One WSGI request; returns the headers that a call inside it would carry."""
    headers: dict[str, str] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        span = _core.start_client(TRACER, "GET", "http://other/")
        _core.inject(span, headers)
        span.end()
        start_response("200 OK", [])
        return [b""]

    _core.run_wsgi(TRACER, application, {"REQUEST_METHOD": "GET", **environ}, lambda *args: None)
    return headers


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-03",
        f" 00-{TRACE}-{SPAN}-01 ",
        f"cc-{TRACE}-{SPAN}-01-what",
    ],
)
def test_good(sent: Sent, header: str) -> None:
    out = serve(
        {"HTTP_TRACEPARENT": header, "HTTP_TRACESTATE": "a=1,b=2", "HTTP_BAGGAGE": "user=5"}
    )
    server = next(s for s in sent.spans() if s.kind == 2)
    client = next(s for s in sent.spans() if s.kind == 3)
    assert (server.trace_id, server.parent_id) == (TRACE, SPAN)
    assert server.raw.flags == 0x301 and client.raw.flags == 0x101
    assert server.raw.trace_state == client.raw.trace_state == "a=1,b=2"
    assert out == {
        "traceparent": f"00-{TRACE}-{client.span_id}-01",
        "tracestate": "a=1,b=2",
        "baggage": "user=5",
    }


@pytest.mark.parametrize(
    "header",
    [
        "", "x", f"00-{TRACE}-{SPAN}", f"00-{TRACE}-{SPAN}-0", f"00-{TRACE}-{SPAN}-01-", f"00-{TRACE}-{SPAN}-01-x",
        f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{SPAN}-01",
        f"00_{TRACE}-{SPAN}-01", f"0g-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-0\xe9", f"cc-{TRACE}-{SPAN}-01.x",
        "00-" + "☃" * 52, f"00-{TRACE}-{SPAN}-01" * 1000,
    ],
)  # fmt: skip
def test_bad(sent: Sent, header: str) -> None:
    out = serve({"HTTP_TRACEPARENT": header, "HTTP_TRACESTATE": "a=1"})
    server = next(s for s in sent.spans() if s.kind == 2)
    assert server.trace_id != TRACE and server.parent_id == "" and server.raw.trace_state == ""
    assert "tracestate" not in out


def test_baggage_does_not_stay(sent: Sent) -> None:
    """Threads serve one request after another: the next one must not carry the baggage of the last."""
    assert "baggage" in serve({"HTTP_BAGGAGE": "a=1"})
    assert "baggage" not in serve({})
    assert "baggage" not in serve({"HTTP_BAGGAGE": "x" * 9000})


def test_long_tracestate_is_dropped(sent: Sent) -> None:
    out = serve({"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01", "HTTP_TRACESTATE": "a=" + "x" * 600})
    assert out["traceparent"].startswith(f"00-{TRACE}") and "tracestate" not in out


def test_current_span_is_the_parent_without_a_header(sent: Sent) -> None:
    with varan.span("outer") as outer:
        serve({})
    assert next(s for s in sent.spans() if s.kind == 2).parent_id == outer.span_id


@pytest.fixture
def formats() -> Any:
    yield _core.set_propagation
    _core.set_propagation(3)


@pytest.mark.parametrize(
    "environ, sampled",
    [
        ({"HTTP_B3": f"{TRACE}-{SPAN}-1"}, True),
        ({"HTTP_B3": f"{TRACE}-{SPAN}-d-{SPAN}"}, True),
        ({"HTTP_X_B3_TRACEID": TRACE, "HTTP_X_B3_SPANID": SPAN, "HTTP_X_B3_SAMPLED": "1"}, True),
        ({"HTTP_X_B3_TRACEID": TRACE, "HTTP_X_B3_SPANID": SPAN, "HTTP_X_B3_FLAGS": "1"}, True),
        ({"HTTP_X_B3_TRACEID": TRACE, "HTTP_X_B3_SPANID": SPAN, "HTTP_X_B3_SAMPLED": "0"}, False),
        ({"HTTP_UBER_TRACE_ID": f"{TRACE}:{SPAN}:0:1"}, True),
        ({"HTTP_UBER_TRACE_ID": f"{TRACE.lstrip('0')}:{SPAN}:0:0"}, False),
    ],
)
def test_other_formats(sent: Sent, formats: Any, environ: dict[str, str], sampled: bool) -> None:
    formats(4 | 8 | 16)
    out = serve(environ)
    trace, span, flag = out["b3"].split("-")
    assert trace == TRACE and flag == str(int(sampled))
    assert (out["x-b3-traceid"], out["x-b3-spanid"], out["x-b3-sampled"]) == (trace, span, flag)
    assert out["uber-trace-id"] == f"{trace}:{span}:0:{flag}"
    assert "traceparent" not in out and "baggage" not in out
    if sampled:
        assert next(s for s in sent.spans() if s.kind == 2).parent_id == SPAN


@pytest.mark.parametrize(
    "environ",
    [
        {"HTTP_B3": "0"}, {"HTTP_B3": "-"}, {"HTTP_B3": f"{TRACE}-"}, {"HTTP_B3": f"{TRACE}-{'0' * 16}-1"},
        {"HTTP_B3": f"{TRACE[:20]}-{SPAN}-1"}, {"HTTP_X_B3_TRACEID": "zz" * 16, "HTTP_X_B3_SPANID": SPAN},
        {"HTTP_X_B3_TRACEID": TRACE}, {"HTTP_UBER_TRACE_ID": ":::"}, {"HTTP_UBER_TRACE_ID": f"{TRACE}:{SPAN}:0"},
        {"HTTP_UBER_TRACE_ID": f"{TRACE}0:{SPAN}:0:1"},
    ],
)  # fmt: skip
def test_other_formats_malformed(sent: Sent, formats: Any, environ: dict[str, str]) -> None:
    formats(4 | 8 | 16)
    out = serve(environ)
    assert out["x-b3-traceid"] != TRACE
    assert next(s for s in sent.spans() if s.kind == 2).parent_id == ""


def test_short_b3_trace_id(sent: Sent, formats: Any) -> None:
    formats(4)
    assert serve({"HTTP_B3": f"{SPAN}-{SPAN}-1"})["b3"].startswith("0" * 16 + SPAN)


def test_nothing_is_carried(sent: Sent, formats: Any) -> None:
    formats(0)
    assert serve({"HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}) == {}
    assert next(s for s in sent.spans() if s.kind == 2).parent_id == ""


def test_baggage_is_the_apis(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        from opentelemetry import baggage, context, trace
        from varan import _core
        tracer = _core.Tracer("test")

        def application(environ, start_response):
            print(baggage.get_all()["user"])
            for more in (False, True):
                if more:
                    context.attach(baggage.set_baggage("more", "c d"))
                headers = {}
                span = _core.start_client(tracer, "GET", "http://other/")
                _core.inject(span, headers)
                span.end()
                print(headers["baggage"])
            start_response("200 OK", [])
            return [b""]

        environ = {"REQUEST_METHOD": "GET", "HTTP_BAGGAGE": "user=five%205"}
        _core.run_wsgi(tracer, application, environ, lambda *args: None)
        """
    )
    assert done.stdout.splitlines() == ["five 5", "user=five+5", "user=five+5,more=c+d"]
