"""Bodies of Flask's responses: whatever of the application's runs while one is sent or closed runs inside the request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import pytest
import werkzeug.wsgi
from flask.wrappers import Response
from test_web import call, server_span

import varan
from conftest import Sent
from varan.hooks import wsgi


class OwnResponse(Response):
    def close(self) -> None:
        with varan.span("inside"):
            super().close()


def _inside() -> None:
    with varan.span("inside"):
        pass


def make_app() -> flask.Flask:
    app = flask.Flask("bodies")

    @app.get("/plain")
    def plain() -> Any:
        return "text"

    @app.get("/callback")
    def callback() -> Any:
        response = flask.make_response("text")
        response.call_on_close(_inside)
        return response

    @app.get("/late")
    def late() -> Any:
        @flask.after_this_request
        def change(response: Any) -> Any:
            response.call_on_close(_inside)
            return response

        return "text"

    @app.get("/stream")
    def stream() -> Any:
        def body() -> Iterator[str]:
            yield "te"
            _inside()
            yield "xt"

        return body()

    @app.get("/own")
    def own() -> Any:
        return OwnResponse("text")

    @app.get("/json")
    def json() -> Any:
        return ["text"]

    @app.get("/closed")
    def closed() -> Any:
        class Body(list):  # type: ignore[type-arg]
            def close(self) -> None:
                _inside()

        return Response(Body([b"te", b"xt"]))

    return app


class Middleware:
    """Wraps every body, and has something to do at its end."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return werkzeug.wsgi.ClosingIterator(self.application(environ, start_response), _inside)


@pytest.mark.parametrize("path", ["plain", "callback", "late", "stream", "own", "json", "closed"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_bodies(sent: Sent, path: str, wrapped: bool) -> None:
    app = make_app()
    if wrapped:
        app.wsgi_app = Middleware(app.wsgi_app)  # type: ignore[method-assign]
    serve = wsgi.traced(app) if wrapped else app
    status, body = call(serve, PATH_INFO=f"/{path}")
    assert status == "200 OK"
    assert (b"text" in body) and varan.current_span() is None
    span = server_span(sent)
    assert span.name == f"GET /{path}"
    inside = [s for s in sent.spans() if s.name == "inside"]
    assert len(inside) == wrapped + (path not in ("plain", "json"))
    assert {s.parent_id for s in inside} <= {span.span_id}
