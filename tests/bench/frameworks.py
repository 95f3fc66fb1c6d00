"""The framework part of bench_agent.py: requests on Flask, Django and FastAPI with a query and an outgoing call each,
beside the OpenTelemetry SDK with contrib, ddtrace and sentry-sdk. A figure is the median, over all turns, of the
difference to the process without an agent in the same turn."""

from __future__ import annotations

import io
import statistics
import sys
from typing import Any, Callable

import turns
from contestants import CONTESTANTS, install_peers, instrument_otel, instrument_otel_app, peers

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
        instrument_otel_app("fastapi", app)

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
TURNS = 12  # of each start


def added(
    endpoint: str, work: str, starts: int, n_turns: int = TURNS, ways: tuple[str, ...] = CONTESTANTS
) -> dict[str, float]:
    """Microseconds: of the bare one, and what each of the others adds. Started several times: how objects happen to lie
    in a process's memory decides on collisions in the interpreter's caches, and with them on a tenth of a figure."""
    bare: list[float] = []
    more: dict[str, list[float]] = {way: [] for way in ways if way != "bare"}
    for _ in range(starts):
        found = turns.match(endpoint, work, n_turns, ways)
        bare += found["bare"]
        for way, differences in more.items():
            differences += [a - b for a, b in zip(found[way], found["bare"])]
    return {
        "bare": statistics.median(bare),
        **{way: statistics.median(d) for way, d in more.items()},
    }


def rows(endpoint: str, row: Callable[..., Any], starts: int, only: str = "") -> list[Any]:
    install_peers()
    found = []
    for framework, title in TITLES.items():
        for work, text in WORKS.items():
            if only not in f"{framework}-{work}":
                continue
            print(f"  {title}, {text}", file=sys.stderr, flush=True)
            m = added(endpoint, f"{framework}-{work}", starts)
            what = f"{title} request with {text}"
            found.append(row(f"{what}, bare", m["bare"], None, None, None, "µs"))
            found += [row(f"{what}, added", m["varan"], m[w], p, v, "µs") for w, p, v in peers()]
    return found
