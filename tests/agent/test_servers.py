"""Every server an application runs under, with a small load: each request is one span, each query one below it, from
the process that did the work. (gunicorn's own workers and uvicorn's are in test_fork.py.)"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from collector import Collector
from test_fork import SHOP, free_port, load, once, wait_for

from conftest import Program

PLAIN = """
    import sqlite3
    def app(environ, start_response):
        db = sqlite3.connect(":memory:")
        db.execute("select ? + 1", (1,)).fetchall()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
"""

API = """
    import asyncio, sqlite3
    from fastapi import FastAPI
    app = FastAPI()
    @app.get("/item/{i}")
    async def item(i: int):
        await asyncio.sleep(0)
        sqlite3.connect(":memory:").execute("select ? + 1", (i,)).fetchall()
        return i
"""

GEVENT = """
    from gevent import monkey
    monkey.patch_all()
    import sys
    from gevent.pywsgi import WSGIServer
    from shop import app
    import gevent, signal
    server = WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None)
    gevent.signal_handler(signal.SIGTERM, server.stop)
    server.serve_forever()
"""

EVENTLET = """
    import eventlet
    eventlet.monkey_patch()
    import sys
    from eventlet import wsgi
    from shop import app
    wsgi.server(eventlet.listen(("127.0.0.1", int(sys.argv[1]))), app, log_output=False)
"""

PY = [sys.executable, "-m"]
UWSGI = [
    str(Path(sys.executable).with_name("uwsgi")),
    "--master",
    "--die-on-term",
    "--need-app",
    "--module",
    "shop:app",
]

GUNICORN = [*PY, "gunicorn", "--timeout", "120"]  # a worker that is slow to start is not a dead one

WSGI_ROUTE, ASGI_ROUTE = "GET /item/<int:i>", "GET /item/{i}"

# name → (application, command with PORT in it, name of the span)
SERVERS: dict[str, tuple[str, list[str], str]] = {
    "uwsgi": (SHOP, [*UWSGI, "--processes", "2", "--http-socket", "127.0.0.1:PORT"], WSGI_ROUTE),
    "uwsgi-lazy": (SHOP, [*UWSGI, "--processes", "2", "--lazy-apps", "--http-socket", "127.0.0.1:PORT"], WSGI_ROUTE),
    "uwsgi-threads": (SHOP, [*UWSGI, "--processes", "2", "--threads", "4", "--http-socket", "127.0.0.1:PORT"], WSGI_ROUTE),
    "uwsgi-plain": (PLAIN, [*UWSGI, "--processes", "2", "--http-socket", "127.0.0.1:PORT"], "GET"),
    "uwsgi-mounted": (PLAIN, [UWSGI[0], *UWSGI[1:3], "--mount", "/=shop:app", "--manage-script-name", "--http-socket", "127.0.0.1:PORT"], "GET"),
    "uwsgi-file": (PLAIN, [*UWSGI[:-2], "--wsgi-file", "shop.py", "--callable", "app", "--processes", "2", "--http-socket", "127.0.0.1:PORT"], "GET"),
    "uwsgi-file-framework": (SHOP, [*UWSGI[:-2], "--wsgi-file", "shop.py", "--callable", "app", "--processes", "2", "--http-socket", "127.0.0.1:PORT"], WSGI_ROUTE),
    "waitress": (SHOP, [*PY, "waitress", "--listen=127.0.0.1:PORT", "shop:app"], WSGI_ROUTE),
    "waitress-plain": (PLAIN, [*PY, "waitress", "--listen=127.0.0.1:PORT", "shop:app"], "GET"),
    "hypercorn": (API, [*PY, "hypercorn", "-b", "127.0.0.1:PORT", "shop:app"], ASGI_ROUTE),
    "hypercorn-workers": (API, [*PY, "hypercorn", "-w", "2", "-b", "127.0.0.1:PORT", "shop:app"], ASGI_ROUTE),
    "hypercorn-wsgi": (SHOP, [*PY, "hypercorn", "-b", "127.0.0.1:PORT", "wsgi:shop:app"], WSGI_ROUTE),
    "uvicorn": (API, [*PY, "uvicorn", "--loop", "asyncio", "--port", "PORT", "--log-level", "warning", "shop:app"], ASGI_ROUTE),
    "uvicorn-uvloop": (API, [*PY, "uvicorn", "--loop", "uvloop", "--port", "PORT", "--log-level", "warning", "shop:app"], ASGI_ROUTE),
    "gunicorn-asgi": (API, [*GUNICORN, "-k", "asgi", "--graceful-timeout", "3", "-w", "2", "-b", "127.0.0.1:PORT", "shop:app"], ASGI_ROUTE),
    "gunicorn-uvicorn-preload": (API, [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "--preload", "-w", "2", "-b", "127.0.0.1:PORT", "shop:app"], ASGI_ROUTE),
    "gunicorn-recycled": (SHOP, [*GUNICORN, "-w", "2", "--max-requests", "15", "-b", "127.0.0.1:PORT", "shop:app"], WSGI_ROUTE),
    "hypercorn-uvloop": (API, [*PY, "hypercorn", "-k", "uvloop", "-b", "127.0.0.1:PORT", "shop:app"], ASGI_ROUTE),
    "uwsgi-gevent": (SHOP, [*UWSGI, "--processes", "2", "--gevent", "10", "--gevent-monkey-patch", "--http-socket", "127.0.0.1:PORT"], WSGI_ROUTE),
    "gunicorn-gevent": (SHOP, [*GUNICORN, "-k", "gevent", "-w", "2", "-b", "127.0.0.1:PORT", "shop:app"], WSGI_ROUTE),
    "gunicorn-gevent-preload": (SHOP, [*GUNICORN, "-k", "gevent", "--preload", "-w", "2", "-b", "127.0.0.1:PORT", "shop:app"], WSGI_ROUTE),
    "gevent": (SHOP, [sys.executable, "serve_gevent.py", "PORT"], WSGI_ROUTE),
    "eventlet": (SHOP, [sys.executable, "serve_eventlet.py", "PORT"], WSGI_ROUTE),
}  # fmt: skip


@pytest.mark.parametrize("name", SERVERS)
def test_server(program: Program, collector: Collector, name: str) -> None:
    application, command, route = SERVERS[name]
    program.write("shop.py", application)
    program.write("serve_gevent.py", GEVENT)
    program.write("serve_eventlet.py", EVENTLET)
    port = free_port()
    process = program.start(*[word.replace("PORT", str(port)) for word in command])
    try:
        wait_for(port, process, program)
        assert set(load(port, "/item", 5, 20)) == {200}, program.output()
        # eventlet's server knows no gentle end: what is finished is out after the interval.
        collector.wait(lambda: len(collector.named(route)) >= 100)
        process.send_signal(signal.SIGTERM)
        process.wait(90)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)
    requests = once(collector, route, 100)
    assert len({s.attributes["url.path"] for s in requests}) == 100
    queries = once(collector, "SELECT", 100)
    by_id: dict[str, Any] = {s.span_id: s for s in requests}
    assert {q.parent_id for q in queries} == set(by_id), "each query below its request"
    assert all(by_id[q.parent_id].trace_id == q.trace_id for q in queries)
    assert len({s.trace_id for s in requests}) == 100
    workers = {s.resource["service.instance.id"]: s.resource["process.pid"] for s in requests}
    assert len(workers) == len(set(workers.values()))
    assert len(workers) <= 2 or "recycled" in name, "an instance per process"


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_greenlets(program: Program, collector: Collector, library: str) -> None:
    """Each greenlet has a current span of its own: what was current when it was spawned stays its parent's business."""
    program.run(
        f"""
        import sys
        library = "{library}"
        if library == "gevent":
            from gevent import monkey, spawn, joinall, sleep
            monkey.patch_all()
        else:
            import eventlet
            eventlet.monkey_patch()
            from eventlet import spawn, sleep
            joinall = lambda greenlets: [g.wait() for g in greenlets]
        import threading, varan

        def work(i):
            with varan.span("outer", i=i) as outer:
                sleep(0.01 * (i % 3))
                with varan.span("inner", i=i):
                    sleep(0.005)
                assert varan.current_span() is outer

        joinall([spawn(work, i) for i in range(20)])
        with varan.span("starter"):
            thread = threading.Thread(target=work, args=(20,))
            thread.start()
            thread.join()
        assert varan.current_span() is None
        """
    )
    outer = {s.attributes["i"]: s for s in once(collector, "outer", 21)}
    for inner in once(collector, "inner", 21):
        assert inner.parent_id == outer[inner.attributes["i"]].span_id
    (starter,) = once(collector, "starter", 1)
    assert [s.attributes["i"] for s in outer.values() if s.parent_id] == [20]
    assert outer[20].parent_id == starter.span_id
