"""Bottle, Falcon and Pyramid: the route, the status, the exception."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from test_web import call, server_span

import varan
from conftest import Sent


def make_bottle() -> Any:
    import bottle

    app = bottle.Bottle()

    @app.get("/item/<i:int>")
    def item(i: int) -> str:
        with varan.span("inside"):
            return str(i)

    @app.get("/crash")
    def crash() -> None:
        raise LookupError("crash")

    @app.get("/gone")
    def gone() -> None:
        bottle.abort(410)

    return app


class Item:
    def on_get(self, req: Any, resp: Any, i: int) -> None:
        with varan.span("inside"):
            resp.text = str(i)


class AsyncItem:
    async def on_get(self, req: Any, resp: Any, i: int) -> None:
        with varan.span("inside"):
            resp.text = str(i)


def make_falcon(asynchronous: bool = False) -> Any:
    import falcon
    import falcon.asgi

    class Crash:
        def on_get(self, req: Any, resp: Any) -> None:
            raise LookupError("crash")

    class Gone:
        def on_get(self, req: Any, resp: Any) -> None:
            raise falcon.HTTPGone

    class AsyncCrash:
        async def on_get(self, req: Any, resp: Any) -> None:
            raise LookupError("crash")

    class AsyncGone:
        async def on_get(self, req: Any, resp: Any) -> None:
            raise falcon.HTTPGone

    app: Any = falcon.asgi.App() if asynchronous else falcon.App()
    app.add_route("/item/{i:int}", AsyncItem() if asynchronous else Item())
    app.add_route("/crash", AsyncCrash() if asynchronous else Crash())
    app.add_route("/gone", AsyncGone() if asynchronous else Gone())
    return app


def make_pyramid() -> Any:
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPGone
    from pyramid.response import Response

    def item(request: Any) -> Any:
        with varan.span("inside"):
            return Response(request.matchdict["i"])

    def crash(request: Any) -> Any:
        raise LookupError("crash")

    def gone(request: Any) -> Any:
        raise HTTPGone

    def failure(error: Any, request: Any) -> Any:
        return Response(status=500)

    with Configurator() as config:
        for name, path, view in (
            ("item", "/item/{i}", item),
            ("crash", "/crash", crash),
            ("gone", "/gone", gone),
        ):
            config.add_route(name, path)
            config.add_view(view, route_name=name)
        config.add_exception_view(failure, context=LookupError)
        return config.make_wsgi_app()


def by_wsgi(app: Any, path: str) -> int:
    import io
    import sys

    status, _ = call(app, PATH_INFO=path, **{"wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr})
    return int(status[:3])


def by_asgi(app: Any, path: str) -> int:
    return int(TestClient(app, raise_server_exceptions=False).get(path).status_code)


APPS = {
    "bottle": (make_bottle, by_wsgi, "/item/<i:int>"),
    "falcon": (make_falcon, by_wsgi, "/item/{i:int}"),
    "falcon-asgi": (lambda: make_falcon(True), by_asgi, "/item/{i:int}"),
    "pyramid": (make_pyramid, by_wsgi, "/item/{i}"),
}


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize(
    "path, status, failed",
    [
        ("/item/5", 200, ""),
        ("/crash", 500, "LookupError"),
        ("/gone", 410, ""),
        ("/nothing", 404, ""),
    ],
)
def test_requests(sent: Sent, name: str, path: str, status: int, failed: str) -> None:
    make, way, route = APPS[name]
    wanted = {"/item/5": route, "/nothing": ""}.get(path, path)
    assert way(make(), path) == status
    span = server_span(sent)
    assert span.name == f"GET {wanted}".strip() and span.scope == f"varan.{name.partition('-')[0]}"
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("http.route", "") == wanted
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert all(s.parent_id == span.span_id for s in sent.spans() if s.name == "inside")
