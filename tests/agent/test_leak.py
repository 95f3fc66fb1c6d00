"""Many requests through the real hot path – a WSGI request with a query, spans of both APIs with events and links, log
records, metrics, an exception; an ASGI request with a command, of which some fail and some are given up – leave nothing
behind: memory is level after warming up. `make leak` does it a million times."""

from __future__ import annotations

import json
import os
import socket
import threading

from conftest import Program

REQUESTS = int(os.environ.get("VARAN_LEAK_REQUESTS", "30000"))

WORK = """
    import gc, io, json, logging, sqlite3, sys, varan
    from opentelemetry import baggage, trace
    from opentelemetry.trace import Link, SpanKind

    database = sqlite3.connect(":memory:")
    logger = logging.getLogger("shop")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    logger.setLevel(logging.INFO)
    tracer = trace.get_tracer("shop")
    counter, histogram, gauge = varan.counter("things"), varan.histogram("took"), varan.gauge("level")

    class Item:
        def __str__(self):
            return "item"

    def fail(i):
        secret, item = i, Item()
        raise LookupError(f"no thing {i}")

    def application(environ, start_response):
        i = int(environ["PATH_INFO"][1:])
        with varan.span("work", number=i, text="abc", ratio=i / 3, flag=True, item=Item(), parts=[1, "b", {"c": i}]) as span:
            span.add_event("step", {"n": i})
            with tracer.start_as_current_span("inner", kind=SpanKind.CLIENT, links=[Link(span.get_span_context(), {"l": 1})]) as inner:
                inner.set_attribute("long", "y" * 2000)
                inner.update_name("renamed")
                database.execute("select 1 where ? = 1", (i,)).fetchall()
            logger.info("paid %d", i, extra={"order": i})
            counter.add(1, {"shop": i % 50})
            histogram.record(i % 100, {"shop": i % 50})
            gauge.set(i)
            if i % 10 == 0:
                try:
                    try:
                        fail(i)
                    except LookupError as error:
                        raise ValueError("while looking") from error
                except ValueError as error:
                    span.record_exception(error)
                    logger.exception("failed")
                    del error
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    from varan.hooks import wsgi
    environ = {"REQUEST_METHOD": "GET", "SERVER_NAME": "x", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
               "wsgi.url_scheme": "http", "HTTP_BAGGAGE": "user=ann", "QUERY_STRING": "",
               "HTTP_TRACEPARENT": "00-" + "7" * 32 + "-" + "8" * 16 + "-01"}

    traced = wsgi.traced(application)

    from varan import _core
    from varan.hooks import asgi, redis

    class Client:
        def execute_command(self, *args):
            if args[1] % 100 == 2:
                raise ConnectionError("gone")
            return args

        execute_command = _core.CommandMethod(execute_command, redis._start)

    client = Client()

    class Pause:
        def __await__(self):
            yield

    async def send(message):
        await Pause()

    @asgi.traced
    async def asynchronous(scope, receive, send):
        client.execute_command("SET", scope["number"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    def serve(i):
        scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "query_string": b"",
                 "headers": [(b"host", b"h")], "number": i}
        steps = asynchronous(scope, None, send)
        try:
            steps.send(None)
            if i % 100 == 1:
                return steps.close()
            while True:
                steps.send(None)
        except (StopIteration, ConnectionError):
            pass

    def requests(n):
        for i in range(n):
            serve(i)
            body = traced({**environ, "PATH_INFO": f"/{i}", "wsgi.input": io.BytesIO(),
                           "wsgi.errors": sys.stderr}, lambda status, headers, info=None: None)
            assert b"".join(body) == b"ok"
            getattr(body, "close", lambda: None)()
            if i % 100 == 0:  # what waits for the server is not what is looked for
                assert varan.flush(60)

    def state():
        varan.flush(30)
        gc.collect()
        rss_kb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))
        return rss_kb, sys.getallocatedblocks(), len(gc.get_objects())

    total = int(sys.argv[1])
    requests(total // 5)
    before = state()
    requests(total - total // 5)
    after = state()
    print(json.dumps([before, after, varan.stats()]))
"""


def serve_sink(listener: socket.socket) -> None:
    """Takes requests and forgets them, so that the test's own work is small."""

    def serve(connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while True:
            length = 0
            line = stream.readline()
            if not line:
                return
            while line != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
                line = stream.readline()
            stream.read(length)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def test_memory_is_level(program: Program) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve_sink, args=(listener,), daemon=True).start()
    done = program.run(
        WORK, str(REQUESTS), timeout=3600,
        VARAN_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}",
    )  # fmt: skip
    listener.close()
    before, after, stats = json.loads(done.stdout)
    print(f"{REQUESTS} requests: memory (KiB), blocks, objects before {before}, after {after}")
    assert stats["spans_finished"] == stats["spans_exported"] >= 6 * REQUESTS
    assert stats["logs_exported"] >= REQUESTS
    assert after[0] - before[0] < 2048, "KiB of memory"
    assert after[1] - before[1] < 2000, "blocks of Python's allocator"
    assert after[2] - before[2] < 200, "objects"
