"""The framework part of bench_agent.py: requests on Flask, Django and FastAPI with a query and an outgoing call each,
beside the OpenTelemetry SDK with contrib, ddtrace and sentry-sdk.

All contestants live at once, each in a process of its own, and take turns of a few milliseconds: what disturbs the
machine disturbs all of them alike. A figure is the median, over all turns, of the difference to the process without
an agent in the same turn.

The peers that are not needed by any test (requirements-peers.txt) are installed into a folder of their own:
one of them would bring a plugin into every run of pytest."""

from __future__ import annotations

import io
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".cache" / "bench-peers"
CONTRIB = ROOT / ".cache" / "contrib"  # what tools/setup --test puts there
CONTESTANTS = ("bare", "varan", "otel", "ddtrace", "sentry")


def install_peers() -> None:
    """Once for each content of the requirements."""
    wanted = (Path(__file__).parent / "requirements-peers.txt").read_text()
    stamp = PEERS / "stamp"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(PEERS, ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(PEERS), "-r",
         str(Path(__file__).parent / "requirements-peers.txt")],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    stamp.write_text(wanted)


def peer_version(name: str) -> str:
    from importlib.metadata import distributions

    return next(d.version for d in distributions(path=[str(PEERS)]) if d.metadata["Name"] == name)


# ---- the contestants: each starts before the frameworks are imported; returns its flush ----


def start_ddtrace(endpoint: str) -> Callable[[], None]:
    os.environ.update(
        DD_TRACE_AGENT_URL=endpoint, DD_INSTRUMENTATION_TELEMETRY_ENABLED="false", DD_REMOTE_CONFIGURATION_ENABLED="false",
        DD_SERVICE="bench", DD_TRACE_STARTUP_LOGS="false",
    )  # fmt: skip
    sys.path.append(str(PEERS))
    import ddtrace.auto  # noqa: F401
    from ddtrace.trace import tracer

    def flush() -> None:
        tracer.flush()

    return flush


def start_sentry(endpoint: str) -> Callable[[], None]:
    sys.path.append(str(PEERS))
    import sentry_sdk

    sentry_sdk.init(dsn=endpoint.replace("://", "://key@") + "/1", traces_sample_rate=1.0)

    def flush() -> None:
        sentry_sdk.flush(10)

    return flush


def instrument_otel(framework: str) -> None:
    sys.path.append(str(CONTRIB))
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

    SQLite3Instrumentor().instrument()
    (AioHttpClientInstrumentor if framework == "fastapi" else RequestsInstrumentor)().instrument()
    if framework == "flask":
        from opentelemetry.instrumentation.flask import FlaskInstrumentor

        FlaskInstrumentor().instrument()
    elif framework == "django":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()


# ---- the work: one request with a query and an outgoing call ----


def fill_database() -> Any:
    import sqlite3

    db = sqlite3.connect(":memory:", check_same_thread=False)
    db.cursor().execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
    db.cursor().execute("INSERT INTO items VALUES (1, 'tea'), (2, 'pot')")
    return db


def wsgi_runner(app: Any) -> Callable[[int], None]:
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/item/2", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost",
        "HTTP_USER_AGENT": "bench/1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.errors": sys.stderr,
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        assert status == "200 OK"

    def run(n: int) -> None:
        for _ in range(n):
            body = app({**environ, "wsgi.input": io.BytesIO()}, start_response)
            assert b"".join(body) == b"pot"
            if hasattr(body, "close"):
                body.close()

    return run


def work_flask(way: str, url: str, calls: bool) -> Callable[[int], None]:
    if way == "otel":
        instrument_otel("flask")
    import flask
    import requests

    db, session = fill_database(), requests.Session()
    app = flask.Flask("bench")

    @app.get("/item/<int:i>")
    def item(i: int) -> Any:
        cursor = db.cursor()
        cursor.execute("SELECT name FROM items WHERE id = ?", (i,))
        if calls:
            session.get(url)
        return cursor.fetchone()[0]

    return wsgi_runner(app)


def work_django(way: str, url: str, calls: bool) -> Callable[[int], None]:
    import types

    from django.conf import settings

    settings.configure(
        ROOT_URLCONF="bench_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None}},
        LOGGING_CONFIG=None,
    )  # fmt: skip
    if way == "otel":
        instrument_otel("django")
    import django
    import requests
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection
    from django.http import HttpResponse
    from django.urls import path

    session = requests.Session()

    def item(request: Any, i: int) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM items WHERE id = %s", [i])
            name = cursor.fetchone()[0]
        if calls:
            session.get(url)
        return HttpResponse(name)

    urls = types.ModuleType("bench_urls")
    urls.urlpatterns = [path("item/<int:i>", item)]  # type: ignore[attr-defined]
    sys.modules["bench_urls"] = urls
    django.setup()
    from django.core.signals import request_finished, request_started
    from django.db import close_old_connections

    for signal_ in (request_started, request_finished):  # or the database in memory is gone
        signal_.disconnect(close_old_connections)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        cursor.execute("INSERT INTO items VALUES (1, 'tea'), (2, 'pot')")
    return wsgi_runner(WSGIHandler())


def work_fastapi(way: str, url: str, calls: bool) -> Callable[[int], None]:
    import asyncio

    if way == "otel":
        instrument_otel("fastapi")
    import aiohttp
    import fastapi

    async def make_client() -> Any:
        return aiohttp.ClientSession()

    # Not httpx: under this ddtrace its connecting through AnyIO is cancelled.
    loop = asyncio.new_event_loop()
    db, client = fill_database(), loop.run_until_complete(make_client())
    app = fastapi.FastAPI()
    if way == "otel":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app)

    @app.get("/item/{i}")
    async def item(i: int) -> str:
        cursor = db.cursor()
        cursor.execute("SELECT name FROM items WHERE id = ?", (i,))
        if calls:
            async with client.get(url) as response:
                await response.read()
        return cursor.fetchone()[0]

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": "/item/2",
        "raw_path": b"/item/2", "query_string": b"", "scheme": "http", "root_path": "", "server": ("localhost", 80),
        "client": ("127.0.0.1", 5), "headers": [(b"host", b"localhost"), (b"user-agent", b"bench/1")],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        assert message.get("status", 200) == 200

    async def many(n: int) -> None:
        for _ in range(n):
            await app(dict(scope), receive, send)

    def run(n: int) -> None:
        loop.run_until_complete(many(n))

    return run


FRAMEWORKS = {"flask": work_flask, "django": work_django, "fastapi": work_fastapi}
TITLES = {"flask": "Flask", "django": "Django", "fastapi": "FastAPI"}
WORKS = {"query": "a query", "call": "a query and an outgoing call"}
CHUNK = 50
COUNTING = (
    "BENCH_COUNTING"  # set: nothing is sent between chunks, by the thread whose work is counted
)


# ---- the turns ----


def take_turns(run: Callable[[int], None], flush: Callable[[], None]) -> None:
    """The child's side: for each line on stdin one chunk; prints the microseconds of the working thread's CPU per
    request. What was recorded is sent outside the clock."""
    import gc

    run(CHUNK)
    flush()
    gc.collect()
    counting = os.environ.get(COUNTING) == "1"
    for _ in sys.stdin:
        started = time.thread_time()
        run(CHUNK)
        took = time.thread_time() - started
        if not counting:
            flush()
        print(took / CHUNK * 1e6, flush=True)


def match(
    endpoint: str, work: str, turns: int, contestants: tuple[str, ...] = CONTESTANTS
) -> dict[str, float]:
    """Microseconds: of the bare one, and what each of the others adds."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "VARAN_"))}
    script = str(Path(__file__).parent / "bench_agent.py")
    children = {
        way: subprocess.Popen(
            [sys.executable, script, "--child", work, way, endpoint],
            env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for way in contestants
    }  # fmt: skip
    found: dict[str, list[float]] = {way: [] for way in contestants}
    try:
        for turn in range(turns):
            first = turn % len(CONTESTANTS)  # each comes first as often
            for way in CONTESTANTS[first:] + CONTESTANTS[:first]:
                process = children[way]
                assert process.stdin and process.stdout
                process.stdin.write("\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{work}, {way}: ended with {process.wait()}")
                found[way].append(float(line))
    finally:
        for process in children.values():
            process.kill()
            process.communicate()
    bare = found.pop("bare")
    added = {
        way: statistics.median(a - b for a, b in zip(took, bare)) for way, took in found.items()
    }
    return {"bare": statistics.median(bare), **added}


def peers() -> tuple[tuple[str, str, str], ...]:
    """Contestant, name, version; once they are installed."""
    from importlib.metadata import version

    contrib = version("opentelemetry-instrumentation-flask")
    return (
        ("otel", "opentelemetry-sdk + contrib", f"{version('opentelemetry-sdk')} + {contrib}"),
        ("ddtrace", "ddtrace", peer_version("ddtrace")),
        ("sentry", "sentry-sdk", peer_version("sentry-sdk")),
    )


def rows(endpoint: str, row: Callable[..., Any], turns: int, only: str = "") -> list[Any]:
    install_peers()
    found = []
    for framework, title in TITLES.items():
        for work, text in WORKS.items():
            if only not in f"{framework}-{work}":
                continue
            m = match(endpoint, f"{framework}-{work}", turns)
            what = f"{title} request with {text}"
            found.append(row(f"{what}, bare", m["bare"], None, None, None, "µs"))
            found += [row(f"{what}, added", m["varan"], m[w], p, v, "µs") for w, p, v in peers()]
    return found
