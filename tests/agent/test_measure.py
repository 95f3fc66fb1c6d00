"""Durations of requests, calls and statements as metrics, by OpenTelemetry's conventions."""

from __future__ import annotations

import pytest
from collector import Collector, Point

from conftest import Program

APPLICATION = """
    import http.server, sqlite3, threading, requests, flask, varan

    class Peer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(404 if "missing" in self.path else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        def log_message(self, *args):
            pass

    peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    threading.Thread(target=peer.serve_forever, daemon=True).start()
    there = f"http://127.0.0.1:{peer.server_port}"
    app = flask.Flask("shop")
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("CREATE TABLE items (id INTEGER)")

    @app.get("/items/<int:item>")
    def item(item):
        database.execute("SELECT id FROM items WHERE id = ?", (item,)).fetchall()
        requests.get(there + ("/missing" if item == 2 else "/"))
        if item == 3:
            raise KeyError(item)
        return "ok"

    client = app.test_client()
    for n in range(40):
        client.get(f"/items/{n % 4}").close()
    client.get("/nowhere").close()
    peer.shutdown()
"""


def one(points: list[Point], **wanted: object) -> Point:
    names = {key.replace("__", "."): value for key, value in wanted.items()}
    found = [p for p in points if names.items() <= p.attributes.items()]
    assert len(found) == 1, [p.attributes for p in points]
    return found[0]


@pytest.mark.parametrize("sampled", [True, False])
def test_requests_calls_and_statements(
    program: Program, collector: Collector, sampled: bool
) -> None:
    program.run(APPLICATION, OTEL_TRACES_SAMPLER="always_on" if sampled else "always_off")
    assert bool(collector.spans) == sampled
    requests = collector.metric("http.server.request.duration")
    good = one(requests, http__response__status_code=200)
    assert good.attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "http.route": "/items/<int:item>",
        "http.response.status_code": 200,
    }
    assert good.unit == "s" and good.raw.count == 30 and 0 < good.raw.sum < 60
    assert good.raw.explicit_bounds[0] == 0.005 and good.raw.explicit_bounds[-1] == 10
    bad = one(requests, http__response__status_code=500)
    assert bad.raw.count == 10 and bad.attributes["error.type"] == "KeyError"
    missing = one(requests, http__response__status_code=404)
    assert missing.raw.count == 1 and "http.route" not in missing.attributes
    assert len(requests) == 3
    calls = collector.metric("http.client.request.duration")
    assert one(calls, http__response__status_code=200).raw.count == 30
    failed = one(calls, http__response__status_code=404)
    assert failed.raw.count == 10 and failed.attributes["error.type"] == "404"
    assert failed.attributes["server.address"] == "127.0.0.1" and "server.port" in failed.attributes
    statements = collector.metric("db.client.operation.duration")
    selects = one(statements, db__operation__name="SELECT")
    assert selects.raw.count == 40 and selects.attributes["db.collection.name"] == "items"
    assert selects.attributes["db.system.name"] == "sqlite"
    (active,) = collector.metric("http.server.active_requests")
    assert active.value == 0 and not active.monotonic
    assert active.attributes == {"http.request.method": "GET", "url.scheme": "http"}
    exemplars = {e.trace_id.hex() for p in requests for e in p.raw.exemplars}
    if sampled:
        assert exemplars and exemplars <= {s.trace_id for s in collector.spans}
    else:
        assert not exemplars


def test_a_frameworks_own_metrics_do_not_come_twice(program: Program, collector: Collector) -> None:
    program.run(
        """
        import fastapi, opentelemetry.metrics
        from fastapi.testclient import TestClient
        app = fastapi.FastAPI()

        @app.get("/a/{n}")
        async def a(n: int):
            return n

        client = TestClient(app)
        for n in range(5):
            client.get(f"/a/{n}")
        """
    )
    (requests,) = collector.metric("http.server.request.duration")
    assert requests.raw.count == 5 and requests.attributes["http.route"] == "/a/{n}"


def test_without_metrics_nothing_is_measured(program: Program, collector: Collector) -> None:
    program.run(APPLICATION, OTEL_METRICS_EXPORTER="none")
    assert collector.spans and not collector.metric("http.server.request.duration")


def test_a_cell_for_each_is_too_many(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        from varan import _core
        tracer = _core.Tracer("t", "1")
        for n in range(3000):
            span = _core.start_asgi(tracer, {"type": "http", "method": "GET", "path": "/", "headers": []})
            _core.set_route(span, f"/{n}")
            span.end()
        """
    )
    points = collector.metric("http.server.request.duration")
    assert sum(p.raw.count for p in points) == 3000 and len(points) <= 2000
    assert one(points, otel__metric__overflow=True).raw.count > 1000


def test_an_exception_on_its_way_stays(program: Program, collector: Collector) -> None:
    """Whatever is looked up at a span's end: the choice of traces, exemplars."""
    program.run(
        """
        from varan.hooks.wsgi import traced

        def application(environ, start_response):
            raise LookupError(environ["PATH_INFO"])

        seen = 0
        for n in range(200):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"/{n}", "wsgi.url_scheme": "http"}
            try:
                traced(application)(environ, print)
            except LookupError:
                seen += 1
        assert seen == 200, seen
        """,
        VARAN_TRACES="tail:0.1",
    )
    (requests,) = collector.metric("http.server.request.duration")
    assert requests.raw.count == 200 and requests.attributes["error.type"] == "LookupError"
