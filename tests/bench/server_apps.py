"""The applications of app_servers.py, each for one process of a server: /item/2 is a query and nothing else, /page/2 what a
request usually is: a query, a call of another service that takes a few milliseconds, and some work on what came back.

Environment: BENCH_WAY is the contestant (Varan is started as `varan run` does, before this module), BENCH_ENDPOINT where
it sends, BENCH_UPSTREAM the other service."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import types
from typing import Any

WAY, ENDPOINT = os.environ["BENCH_WAY"], os.environ["BENCH_ENDPOINT"]
UPSTREAM = os.environ.get("BENCH_UPSTREAM", "")
QUERY = "SELECT name, price FROM items WHERE id >= ? LIMIT 50"
OTEL_DELAY_MS = 5000  # the peer's default


def start(framework: str) -> None:
    if WAY in ("bare", "varan"):
        return
    import contestants

    if WAY == "otel":
        contestants.start_otel(ENDPOINT, OTEL_DELAY_MS)
        contestants.instrument_otel(framework)
    else:
        contestants.STARTERS[WAY](ENDPOINT)


def fill(db: Any) -> None:
    db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
    for i in range(100):
        db.execute("INSERT INTO items VALUES (?, ?, ?)", (i, f"item {i}", 100 + i))


def page(rows: list[Any], answer: bytes) -> str:
    """The work: about a millisecond of it."""
    prices = json.loads(answer)
    text = []
    for _ in range(8):
        text = [
            f"<tr><td>{str(name).title():<20}</td><td>{price * prices['rate']:.2f}</td></tr>"
            for name, price in rows
        ]
    return "".join(text)


def make_flask() -> Any:
    start("flask")
    import flask
    import requests

    app, session = flask.Flask("bench"), requests.Session()
    db = sqlite3.connect(":memory:", check_same_thread=False)
    fill(db)

    @app.get("/item/<int:i>")
    def item(i: int) -> Any:
        return {"n": len(db.cursor().execute(QUERY, (i,)).fetchall())}

    @app.get("/page/<int:i>")
    def one(i: int) -> Any:
        rows = db.cursor().execute(QUERY, (i,)).fetchall()
        return page(rows, session.get(UPSTREAM).content)

    return app


def make_django() -> Any:
    from django.conf import settings

    settings.configure(
        ROOT_URLCONF="bench_urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x", LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_DATABASE"], "CONN_MAX_AGE": None}
        },
    )  # fmt: skip
    start("django")
    import django
    import requests
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection
    from django.http import HttpResponse, JsonResponse
    from django.urls import path

    session = requests.Session()

    def query(i: int) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(QUERY.replace("?", "%s"), [i])
            return cursor.fetchall()

    def item(request: Any, i: int) -> Any:
        return JsonResponse({"n": len(query(i))})

    def one(request: Any, i: int) -> Any:
        return HttpResponse(page(query(i), session.get(UPSTREAM).content))

    urls = types.ModuleType("bench_urls")
    urls.urlpatterns = [path("item/<int:i>", item), path("page/<int:i>", one)]  # type: ignore[attr-defined]
    sys.modules["bench_urls"] = urls
    django.setup()
    with connection.cursor() as cursor:
        fill(cursor)
    connection.close()
    return WSGIHandler()


def make_fastapi() -> Any:
    start("fastapi")
    import aiohttp
    import fastapi

    app, clients = fastapi.FastAPI(), []
    if WAY == "otel":
        from contestants import instrument_otel_app

        instrument_otel_app("fastapi", app)
    db = sqlite3.connect(":memory:", check_same_thread=False)
    fill(db)

    @app.get("/item/{i}")
    async def item(i: int) -> Any:
        return {"n": len(db.cursor().execute(QUERY, (i,)).fetchall())}

    @app.get("/page/{i}")
    async def one(i: int) -> Any:
        if not clients:
            clients.append(aiohttp.ClientSession())
        rows = db.cursor().execute(QUERY, (i,)).fetchall()
        async with clients[0].get(UPSTREAM) as response:
            return page(rows, await response.read())

    return app


app = {"flask": make_flask, "django": make_django, "fastapi": make_fastapi}[
    os.environ["BENCH_FRAMEWORK"]
]()
