"""OpenTelemetry's contrib instrumentations on Varan make the spans that they make on OpenTelemetry's own SDK: the same
program once on each, compared attribute by attribute."""

from __future__ import annotations

import difflib
import json
import re
from typing import Any

import pytest
from collector import Collector

from conftest import Program
from varan.hooks import HOOKS

# On the stock SDK: the spans as JSON on the last line. On Varan: they go to the collector.
FRAME = """
import json, os, sys
stock = os.environ.get("STOCK") == "1"
if stock:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)

import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_address[1]}"

def main():
    PROGRAM

main()
if stock:
    def plain(v):
        return list(v) if isinstance(v, tuple) else v
    def attributes(a):
        return {k: plain(v) for k, v in (a or {}).items()}
    print(json.dumps([{
        "name": s.name, "kind": s.kind.value + 1, "id": f"{s.context.span_id:016x}", "trace": f"{s.context.trace_id:032x}",
        "parent": f"{s.parent.span_id:016x}" if s.parent else "", "status": s.status.status_code.value,
        "message": s.status.description or "", "attributes": attributes(s.attributes),
        "events": [[e.name, attributes(e.attributes)] for e in s.events], "links": len(s.links),
        "scope": [s.instrumentation_scope.name, s.instrumentation_scope.version],
    } for s in memory.get_finished_spans()]))
"""

PROGRAMS = {
    "flask": """
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    FlaskInstrumentor().instrument()
    app = flask.Flask("x")
    app.get("/item/<int:i>")(lambda i: str(i))
    app.get("/crash", endpoint="crash")(lambda: 1 / 0)
    client = app.test_client()
    for path in ("/item/5?q=1", "/crash", "/nothing"):
        client.get(path, headers={"traceparent": "00-" + "7" * 32 + "-" + "8" * 16 + "-01"})
    client.post("/item/6")
""",
    "django": """
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.urls import path
    settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[])
    import types
    urls = sys.modules["urls"] = types.ModuleType("urls")
    def crash(request):
        raise LookupError("no")
    urls.urlpatterns = [path("item/<int:i>", lambda request, i: HttpResponse(str(i))), path("crash", crash)]
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    DjangoInstrumentor().instrument()
    django.setup()
    from django.test import Client
    client = Client(raise_request_exception=False)
    for p in ("/item/5?q=1", "/crash", "/nothing"):
        client.get(p)
""",
    "fastapi": """
    from fastapi import FastAPI
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    app = FastAPI()
    @app.get("/item/{i}")
    async def item(i: int):
        return i
    @app.get("/crash")
    async def crash():
        raise LookupError("no")
    FastAPIInstrumentor.instrument_app(app)
    from starlette.testclient import TestClient
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/item/5?q=1", "/crash", "/nothing"):
        client.get(path)
""",
    "requests": """
    import requests
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    RequestsInstrumentor().instrument()
    requests.get(URL + "/200?q=1")
    requests.post(URL + "/404")
    requests.get(URL + "/500")
    try:
        requests.get("http://127.0.0.1:1/")
    except requests.ConnectionError:
        pass
""",
    "httpx": """
    import asyncio, httpx
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
    HTTPXClientInstrumentor().instrument()
    httpx.get(URL + "/200?q=1")
    httpx.get(URL + "/500")
    async def asynchronously():
        async with httpx.AsyncClient() as client:
            await client.get(URL + "/404")
    asyncio.run(asynchronously())
    try:
        httpx.get("http://127.0.0.1:1/")
    except httpx.ConnectError:
        pass
""",
    "sqlite3": """
    import sqlite3
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
    SQLite3Instrumentor().instrument()
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("create table t (a, b)")
    cursor.execute("insert into t values (?, ?)", (1, "x"))
    cursor.executemany("insert into t values (?, ?)", [(2, "y"), (3, "z")])
    cursor.execute("select * from t where a = 1")
    try:
        cursor.execute("select * from missing")
    except sqlite3.OperationalError:
        pass
""",
    "celery": """
    import celery
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    CeleryInstrumentor().instrument()
    app = celery.Celery("x", broker="memory://", backend="cache+memory://")
    app.conf.task_ignore_result = False
    @app.task(name="add")
    def add(a, b):
        return a + b
    @app.task(name="fails")
    def fails():
        raise LookupError("no")
    from celery.contrib.testing.worker import start_worker
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL"):
        assert add.delay(1, 2).get(timeout=20) == 3
        try:
            fails.delay().get(timeout=20)
        except LookupError:
            pass
""",
    "api": """
    from opentelemetry import trace
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
    tracer = trace.get_tracer("mine", "1.2", schema_url="https://schema/1")
    with tracer.start_as_current_span("a", kind=SpanKind.CONSUMER, attributes={"s": "x", "i": 1, "f": 1.5, "b": True,
                                      "l": ["a", "b"], "n": [1, 2], "none": None, "odd": object}) as a:
        a.set_attribute("later", "y")
        a.set_attribute("s", "replaced")
        a.add_event("event", {"k": [True, False]})
        with tracer.start_as_current_span("b", links=[Link(a.get_span_context(), {"why": "so"})]) as b:
            b.update_name("renamed")
            b.set_status(Status(StatusCode.ERROR, "bad"))
            b.set_status(Status(StatusCode.OK))
            b.set_status(Status(StatusCode.ERROR, "too late"))
        try:
            with tracer.start_as_current_span("c"):
                raise ValueError("no")
        except ValueError:
            pass
        try:
            with tracer.start_as_current_span("d", record_exception=False, set_status_on_exception=False):
                raise ValueError("no")
        except ValueError:
            pass
""",
}

# What differs between two runs of one program: ids, ports, times, where the stack was.
VARYING = {
    "net.peer.port", "server.port", "net.host.port", "client.port", "exception.stacktrace", "messaging.message.id",
    "messaging.message_id", "celery.hostname", "messaging.conversation_id", "thread.id", "celery.reply_to",
}  # fmt: skip

# What Varan adds (the class of the exception that ends a span, its details), and what the conventions have given up.
ADDED = {"error.type", "varan.exception.detail", "exception.escaped"}


def settle(attributes: dict[str, Any]) -> dict[str, Any]:
    found = {
        k: re.sub(r"0x[0-9a-f]+", "0x…", re.sub(r":\d{4,5}\b", ":PORT", v))
        if isinstance(v, str)
        else v
        for k, v in attributes.items()
    }
    kept = {k: v for k, v in found.items() if v is not None and k not in ADDED}
    return {k: "…" if k in VARYING else v for k, v in kept.items()}


def comparable(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {s["id"]: s["name"] for s in spans}
    out = [
        {
            **{k: s[k] for k in ("name", "kind", "status", "links", "scope")},
            # the class with its module, or without
            "message": re.sub(
                r"^[\w.]+\.(?=\w+: )", "", re.sub(r"0x[0-9a-f]+", "0x…", s["message"])
            ),
            "parent": names.get(s["parent"], "remote" if s["parent"] else ""),
            "attributes": settle(s["attributes"]),
            "events": [[name, settle(attributes)] for name, attributes in s["events"]],
        }
        for s in spans
    ]
    return sorted(out, key=lambda s: json.dumps(s, sort_keys=True, default=str))


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_spans(program: Program, collector: Collector, name: str) -> None:
    text = FRAME.replace("    PROGRAM", PROGRAMS[name])
    path = {"PYTHONPATH": program.env["PYTHONPATH"].split(":")[1]}
    stock = json.loads(program.run(text, STOCK="1", **path).stdout.splitlines()[-1])
    hooks = {hook for _, hook in HOOKS} - {"otel"}
    program.run(
        text, VARAN_DISABLED_HOOKS=",".join(hooks), OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="flask,django,fastapi,requests,"
        "httpx,sqlite3,celery,starlette,urllib3,redis,tornado,aiohttp-client,threading,dbapi",
    )  # fmt: skip
    ours = [
        {
            "name": s.name, "kind": s.kind, "id": s.span_id, "parent": s.parent_id, "message": s.message,
            # OTLP's numbers of the status are those of the API
            "status": s.status, "attributes": s.attributes, "events": [list(e) for e in s.events],
            "links": len(s.raw.links), "scope": [s.scope, s.scope_version],
        }
        for s in collector.spans
    ]  # fmt: skip
    assert len(stock) >= 2 and len({s["trace"] for s in stock}) >= 1
    lines = [
        [json.dumps(s, sort_keys=True, indent=1, default=str) for s in comparable(spans)]
        for spans in (stock, ours)
    ]
    differences = difflib.unified_diff(
        *("\n".join(x).splitlines() for x in lines), "stock", "varan", n=3
    )
    assert lines[0] == lines[1], "\n".join(differences)
