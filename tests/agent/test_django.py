"""Django under WSGI and ASGI: routes, exceptions, queries, templates, caches, middleware."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from collector import Collector
from servers import free_port
from test_web import call

import varan
from conftest import Program, Sent

django = pytest.importorskip("django")

from django.conf import settings  # noqa: E402

with open(__file__) as source:
    LINE = next(i for i, text in enumerate(source, 1) if text.endswith("# LINE\n"))

TEMPLATES = {
    "page.html": "{% extends 'base.html' %}{% block body %}{% include 'part.html' %}{{ x }}{% endblock %}",
    "base.html": "<b>{% block body %}{% endblock %}</b>",
    "part.html": "part ",
}


@pytest.fixture(scope="module", autouse=True)
def _site() -> None:
    if settings.configured:
        return
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:dj?mode=memory&cache=shared"}},
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        TEMPLATES=[{
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", TEMPLATES)]},
        }],
    )  # fmt: skip
    django.setup()


def item(request: Any, i: int) -> Any:
    from django.http import HttpResponse

    with varan.span("inside"):
        return HttpResponse(str(i))


async def async_item(request: Any, i: int) -> Any:
    from django.http import HttpResponse

    await asyncio.sleep(0)
    with varan.span("inside"):
        return HttpResponse(str(i))


def crash(request: Any) -> Any:
    raise LookupError("crash")


async def async_crash(request: Any) -> Any:
    raise LookupError("crash")


def missing(request: Any) -> Any:
    from django.http import Http404

    raise Http404("no")


def query(request: Any) -> Any:
    from django.db import connection
    from django.http import HttpResponse

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s + 1", [4])  # LINE
        return HttpResponse(str(cursor.fetchone()[0]))


def page(request: Any) -> Any:
    from django.shortcuts import render

    return render(request, "page.html", {"x": 5})


def cached(request: Any) -> Any:
    from django.core.cache import cache
    from django.http import HttpResponse

    cache.clear()
    cache.get("user:1234:name")
    cache.set("user:1234:name", "x")
    cache.get("user:1234:name")
    cache.get_many(["a1", "b2"])
    return HttpResponse("ok")


def streamed(request: Any) -> Any:
    from django.http import StreamingHttpResponse

    def parts() -> Any:
        for _ in range(2):
            with varan.span("inside"):
                yield b"x"

    return StreamingHttpResponse(parts())


def __getattr__(name: str) -> Any:
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.urls import include, path, re_path

    return [
        path("item/<int:i>", item), path("async/<int:i>", async_item), path("crash", crash),
        path("async-crash", async_crash), path("missing", missing), path("query", query), path("page", page),
        path("cached", cached), path("streamed", streamed),
        re_path(r"^old/(?P<i>\d+)/(?:a|b)$", item), path("deep/", include([path("<int:i>", item)])),
    ]  # fmt: skip


def by_wsgi(path: str) -> int:
    import io

    from django.core.handlers.wsgi import WSGIHandler

    status, _ = call(WSGIHandler(), PATH_INFO=path, **{"wsgi.input": io.BytesIO()})
    return int(status[:3])


def by_asgi(path: str) -> int:
    from django.core.handlers.asgi import ASGIHandler

    statuses: list[int] = []
    asked = asyncio.Event()

    async def receive() -> Any:
        if asked.is_set():  # the client stays until it has its answer
            await asyncio.sleep(60)
        asked.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": [(b"host", b"h")],
        "query_string": b"",
    }
    asyncio.run(ASGIHandler()(scope, receive, send))
    return statuses[0]


@pytest.mark.parametrize("way", [by_wsgi, by_asgi])
@pytest.mark.parametrize(
    "path, route, status, failed",
    [
        ("/item/5", "/item/<int:i>", 200, ""), ("/async/5", "/async/<int:i>", 200, ""),
        ("/crash", "/crash", 500, "LookupError"), ("/async-crash", "/async-crash", 500, "LookupError"),
        ("/missing", "/missing", 404, ""), ("/nothing", "", 404, ""), ("/old/5/a", "/old/<i>/<var>", 200, ""),
        ("/deep/5", "/deep/<int:i>", 200, ""), ("/streamed", "/streamed", 200, ""),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_requests(sent: Sent, way: Any, path: str, route: str, status: int, failed: str) -> None:
    assert way(path) == status
    (span,) = [s for s in sent.spans() if s.kind == 2]
    assert span.name == f"GET {route}".strip() and span.scope == "varan.django"
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("http.route", "") == route
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert len(span.events) == bool(failed)
    inside = [s for s in sent.spans() if s.name == "inside"]
    assert all(s.parent_id == span.span_id for s in inside)
    assert bool(inside) == (status == 200)


def test_query_and_its_line(sent: Sent) -> None:
    assert by_wsgi("/query") == 200
    (span,) = [s for s in sent.spans() if s.attributes.get("code.line.number", 0) == LINE]
    assert span.attributes["db.system.name"] == "sqlite"
    assert span.attributes["db.query.text"] == "SELECT %s + ?"
    assert span.attributes["code.file.path"] == __file__
    assert span.parent_id == sent.span("GET /query").span_id


def test_templates(sent: Sent) -> None:
    """One span per page: what is included or extended is part of it."""
    assert by_wsgi("/page") == 200
    rendered = [s for s in sent.spans() if s.name.startswith("render")]
    assert [s.name for s in rendered] == ["render page.html"]
    assert rendered[0].attributes == {"template.name": "page.html"}


def test_cache(sent: Sent) -> None:
    assert by_wsgi("/cached") == 200
    found = [s for s in sent.spans() if s.name.startswith("cache")]
    assert [s.attributes["cache.operation"] for s in found] == [
        "clear", "get", "set", "get", "get_many",
    ]  # fmt: skip
    assert [s.attributes.get("cache.hit") for s in found] == [None, False, None, True, False]
    assert found[1].attributes["cache.key"] == "user:?:name"
    assert {s.parent_id for s in found} == {sent.span("GET /cached").span_id}


def test_nothing_outside_a_trace(sent: Sent) -> None:
    from django.core.cache import cache
    from django.template.loader import render_to_string

    cache.set("a", 1)
    render_to_string("page.html", {"x": 1})
    assert sent.spans() == []


SITE = """
import sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

class Plain:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        return self.get_response(request)
    def process_view(self, request, view, args, kwargs):
        return HttpResponse("stopped") if "stop" in request.GET else None

settings.configure(ROOT_URLCONF="site_", ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False,
    MIDDLEWARE=["site_.Plain", "django.middleware.common.CommonMiddleware"])
urlpatterns = [path("hello/<name>", lambda request, name: HttpResponse(name))]
import django
django.setup()
"""


def test_middleware_on_request(program: Program, collector: Collector) -> None:
    program.write("site_.py", SITE)
    program.run(
        """
        import site_
        from django.test import Client, AsyncClient
        import asyncio
        assert Client().get("/hello/you").content == b"you"
        assert Client().get("/hello/you?stop").content == b"stopped"
        async def main():
            assert (await AsyncClient().get("/hello/you")).content == b"you"
        asyncio.run(main())
        """,
        VARAN_DJANGO_MIDDLEWARE="1", PYTHONPATH=program.env["PYTHONPATH"] + ":" + str(program.folder),
    )  # fmt: skip
    names = [s.name for s in collector.spans if s.name.startswith("middleware")]
    assert sorted(names) == ["middleware CommonMiddleware"] * 3 + ["middleware Plain"] * 3


def test_runserver(program: Program, collector: Collector) -> None:
    """manage.py runserver: a span per request, from the process that serves."""
    import urllib.request

    program.write("site_.py", SITE)
    program.write("manage.py", "import sys, site_\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n")  # fmt: skip
    port = free_port()
    server = program.start(sys.executable, "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}")  # fmt: skip
    try:
        import time

        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/you").read()
                break
            except OSError:
                assert time.monotonic() < deadline and server.poll() is None, program.output()
                time.sleep(0.05)
        collector.wait(lambda: [s for s in collector.spans if s.name == "GET /hello/<name>"])
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
