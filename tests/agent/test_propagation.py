"""W3C trace context and baggage, in and out, through WSGI; what is malformed is ignored."""

from __future__ import annotations

from typing import Any

import pytest

import varan
from conftest import Sent
from varan import _core

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACER = _core.Tracer("test")


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
