"""WSGI, Flask, ASGI, Starlette and FastAPI: one server span per request, with its route, its status and its exception."""

from __future__ import annotations

import asyncio
import threading
import time
import wsgiref.simple_server
from collections.abc import Iterator
from typing import Any

import fastapi
import flask
import pytest
import starlette.applications
import starlette.routing
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

import varan
from conftest import Sent
from varan import _core
from varan.hooks import asgi, wsgi


def call(application: Any, **environ: Any) -> tuple[str, bytes]:
    """A WSGI request as a strict server makes it."""
    statuses = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http", "SERVER_NAME": "h", "SERVER_PORT": "80",
        **environ,
    }  # fmt: skip
    body = application(environ, lambda status, headers, exc_info=None: statuses.append(status))
    try:
        content = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return statuses[-1], content


def server_span(sent: Sent) -> Any:
    (span,) = [s for s in sent.spans() if s.kind == 2]
    return span


@pytest.mark.parametrize("kind", [list, tuple])
def test_wsgi_bodies_that_are_ready(sent: Sent, kind: Any) -> None:
    """An iterator over a list is the application's body, its close() the application's code."""

    class Body:
        def __iter__(self) -> Any:
            return iter(kind([b"a", b"b"]))

        def close(self) -> None:
            with varan.span("closing"):
                pass

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body()

    assert call(wsgi.traced(application)) == ("200 OK", b"ab")
    # close() comes after the end of the body, which ends the request.
    request, closing = sent.spans()
    assert request.kind == 2 and closing.parent_id == request.span_id


def test_wsgi_attributes(sent: Sent) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"hello"]

    status, body = call(
        wsgi.traced(application), REQUEST_METHOD="POST", SCRIPT_NAME="/base", PATH_INFO="/p\xc3\xa4th", QUERY_STRING="a=1",
        HTTP_HOST="example.org:8080", REMOTE_ADDR="10.1.1.1", HTTP_USER_AGENT="test/1",
    )  # fmt: skip
    assert (status, body) == ("200 OK", b"hello")
    span = server_span(sent)
    assert span.name == "POST" and span.status == 0 and span.attributes == {
        "http.request.method": "POST", "url.path": "/base/päth", "url.query": "a=1", "url.scheme": "http",
        "server.address": "example.org", "server.port": 8080, "client.address": "10.1.1.1",
        "user_agent.original": "test/1", "http.response.status_code": 200,
    }  # fmt: skip


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "BREW"}, {"REQUEST_METHOD": ""}, {"PATH_INFO": "\xff\xfe"}, {"HTTP_HOST": "[::1]:x"},
        {"HTTP_HOST": ":::"}, {"HTTP_HOST": "["}, {"QUERY_STRING": "q" * 100000}, {"HTTP_USER_AGENT": "☃"},
        {"HTTP_HOST": "h:99999999999999999999"}, {"PATH_INFO": None}, {"REQUEST_METHOD": 5},
    ],
)  # fmt: skip
def test_wsgi_hostile(sent: Sent, environ: dict[str, Any]) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        start_response("299 Odd", [])
        return [b"x"]

    assert call(wsgi.traced(application), **environ) == ("299 Odd", b"x")
    span = server_span(sent)
    assert span.attributes["http.response.status_code"] == 299 and len(str(span.attributes)) < 4000


def test_wsgi_streaming(sent: Sent) -> None:
    """The span lives until the body is out, and is current while it is made."""
    closed = []

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])

        def body() -> Iterator[bytes]:
            try:
                for _ in range(3):
                    with varan.span("chunk"):
                        yield b"x"
            finally:
                closed.append(varan.current_span().name)

        return body()

    assert call(wsgi.traced(application))[1] == b"xxx"
    span = server_span(sent)
    assert {s.parent_id for s in sent.spans() if s.name == "chunk"} == {
        span.span_id
    } and closed == ["GET"]


def test_wsgi_errors(sent: Sent) -> None:
    def early(environ: Any, start_response: Any) -> Any:
        raise ValueError("early")

    def late(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])

        def body() -> Iterator[bytes]:
            yield b"x"
            raise ValueError("late")

        return body()

    for application in (early, late):
        with pytest.raises(ValueError):
            call(wsgi.traced(application))
        span = server_span(sent)
        assert (
            span.status == 2
            and span.attributes["error.type"] == "ValueError"
            and len(span.events) == 1
        )
        sent.collector.spans.clear()


def test_wsgi_file_wrapper_is_left_alone(sent: Sent) -> None:
    import io

    wrapper = wsgiref.simple_server.ServerHandler.wsgi_file_wrapper

    def application(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    result = wsgi.traced(application)(
        {"REQUEST_METHOD": "GET", "wsgi.file_wrapper": wrapper}, lambda *a: None
    )
    assert type(result) is wrapper
    assert server_span(sent)


def make_flask() -> flask.Flask:
    app = flask.Flask("shop")

    @app.get("/item/<int:i>")
    def item(i: int) -> Any:
        with varan.span("inside"):
            return {"i": i}

    @app.get("/crash")
    def crash() -> Any:
        raise LookupError("crash")

    @app.get("/handled")
    def handled() -> Any:
        raise KeyError("handled")

    @app.errorhandler(KeyError)
    def on_key_error(error: Any) -> Any:
        return "gone", 410

    @app.get("/made-500")
    def made() -> Any:
        secret = "x"  # noqa: F841
        raise ValueError("made")

    @app.errorhandler(ValueError)
    def on_value_error(error: Any) -> Any:
        return {"error": "sorry"}, 502

    @app.get("/abort")
    def abort() -> Any:
        flask.abort(503)

    blueprint = flask.Blueprint("b", "b")
    blueprint.get("/deep/<path:p>")(lambda p: p)
    app.register_blueprint(blueprint, url_prefix="/blue")

    @app.before_request
    def before() -> Any:
        return ("stopped", 403) if flask.request.args.get("stop") else None

    return app


@pytest.mark.parametrize(
    "path, name, status, failed",
    [
        ("/item/5", "GET /item/<int:i>", 200, ""), ("/crash", "GET /crash", 500, "LookupError"),
        ("/handled", "GET /handled", 410, ""), ("/abort", "GET /abort", 503, "503"), ("/nothing", "GET", 404, ""),
        ("/made-500", "GET /made-500", 502, "ValueError"),
        ("/blue/deep/a/b", "GET /blue/deep/<path:p>", 200, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("outer", [False, True], ids=["flask", "in-server"])
def test_flask(sent: Sent, path: str, name: str, status: int, failed: str, outer: bool) -> None:
    app: Any = make_flask()
    code, _ = call(wsgi.traced(app) if outer else app, PATH_INFO=path)
    assert code.startswith(str(status))
    span = server_span(sent)
    assert span.name == name and span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert span.attributes.get("http.route", "") == name[4:]
    assert len(span.events) == failed.endswith("Error")
    assert span.scope == ("varan.wsgi" if outer else "varan.flask")
    if path == "/item/5":
        assert sent.span("inside").parent_id == span.span_id


SENT_HEADERS = {
    "X-Request-Id": "r-1", "Authorization": "Bearer geheim", "Cookie": "s=geheim", "X-Api-Key": "geheim",
    "X-Other": "eyJhbGciOiJIUzI1NiJ9.geheim", "Accept": "a/b", "X-Long": "x" * 1000,
}  # fmt: skip
SEEN_HEADERS = {
    "x-request-id": ["r-1"], "authorization": ["***"], "cookie": ["***"], "x-api-key": ["***"], "x-other": ["***"],
    "accept": ["a/b"], "x-long": ["x" * 256],
}  # fmt: skip


def seen_headers(span: Any) -> dict[str, Any]:
    prefix = "http.request.header."
    return {k[len(prefix) :]: v for k, v in span.attributes.items() if k.startswith(prefix)}


@pytest.mark.parametrize("way", ["flask", "fastapi"])
@pytest.mark.parametrize("path", ["/crash", "/nothing"])
def test_headers_of_requests_that_fail(sent: Sent, way: str, path: str) -> None:
    if way == "flask":
        make_flask().test_client(use_cookies=False).get(path, headers=SENT_HEADERS, buffered=True)
    else:
        TestClient(make_fastapi(), raise_server_exceptions=False).get(path, headers=SENT_HEADERS)
    (span,) = [s for s in sent.spans() if s.kind == 2]
    seen = seen_headers(span)
    assert "geheim" not in str(span.attributes)
    if path == "/nothing":
        assert seen == {}
    else:
        assert {k: v for k, v in seen.items() if k in SEEN_HEADERS} == SEEN_HEADERS
        assert not {"host", "user-agent", "traceparent"} & set(seen)


def test_hostile_headers_of_requests_that_fail(sent: Sent) -> None:
    def application(environ: Any, start_response: Any) -> Any:
        raise OSError

    environ: dict[Any, Any] = {f"HTTP_X_{i}": "v" for i in range(100)}
    environ |= {"HTTP_": "x", "HTTP_" + "N" * 1000: "v", "HTTP_NUMBER": 5, "HTTP_B": b"b", 7: "x"}
    environ["HTTP_\xe4"] = "\xff\ud800"
    with pytest.raises(OSError):
        call(wsgi.traced(application), **{k: v for k, v in environ.items() if isinstance(k, str)})
    with pytest.raises(OSError):
        wsgi.traced(application)(environ, lambda *_: None)
    for span in sent.spans():
        assert len(seen_headers(span)) == 32
    for given in ([(b"a", b"\xff"), (b"b",), 5, (1, 2), ("c", "d")], 5, None, [(b"x" * 100, b"")]):
        with varan.span("holder") as holder:
            _core.note_headers(holder, given)


def test_flask_stopped_before_the_view(sent: Sent) -> None:
    assert call(make_flask(), PATH_INFO="/item/5", QUERY_STRING="stop=1")[0].startswith("403")
    assert server_span(sent).name == "GET /item/<int:i>"


def test_flask_testing_propagates(sent: Sent) -> None:
    app = make_flask()
    app.testing = True
    with pytest.raises(LookupError):
        app.test_client().get("/crash")
    span = server_span(sent)
    assert span.status == 2 and len(span.events) == 1


def test_name_given_by_the_application_stays(sent: Sent) -> None:
    app = flask.Flask("x")

    @app.before_request
    def rename() -> None:
        varan.current_span().update_name("mine")

    @app.get("/")
    def view() -> str:
        varan.current_span().set("user.id", 5)
        return "x"

    call(app)
    assert sent.span("mine").attributes["user.id"] == 5


def make_fastapi() -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter(prefix="/router")
    inner = fastapi.FastAPI()

    @app.get("/async/{i}")
    async def view(i: int) -> int:
        with varan.span("inside"):
            await asyncio.sleep(0)
            return i

    @app.get("/sync/{i}")
    def sync_view(i: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        with varan.span("inside"):
            return i

    @app.get("/crash")
    async def crash() -> None:
        raise LookupError("crash")

    @app.exception_handler(ValueError)
    async def on_value_error(request: Any, error: Any) -> Any:
        return PlainTextResponse("sorry", 502)

    @app.exception_handler(KeyError)
    def on_key_error(request: Any, error: Any) -> Any:
        return PlainTextResponse("gone", 410 if "gone" in str(error) else 503)

    @app.get("/made")
    async def made() -> None:
        raise ValueError("made")

    @app.get("/key/{what}")
    def key(what: str) -> None:
        raise KeyError(what)

    @app.get("/refused")
    async def refused() -> None:
        raise fastapi.HTTPException(418)

    @app.get("/streamed")
    async def streamed() -> Any:
        async def parts() -> Any:
            for _ in range(2):
                with varan.span("inside"):
                    yield b"x"

        return fastapi.responses.StreamingResponse(parts())

    @router.get("/r/{i}")
    async def routed(i: int) -> int:
        return i

    @inner.get("/in/{i}")
    async def mounted(i: int) -> int:
        return i

    app.include_router(router, prefix="/v1")
    app.mount("/mount", inner)
    return app


@pytest.mark.parametrize(
    "path, name, status, failed",
    [
        ("/async/5", "GET /async/{i}", 200, ""), ("/sync/5", "GET /sync/{i}", 200, ""),
        ("/crash", "GET /crash", 500, "LookupError"), ("/refused", "GET /refused", 418, ""), ("/nothing", "GET", 404, ""),
        ("/v1/router/r/5", "GET /v1/router/r/{i}", 200, ""), ("/mount/in/5", "GET /mount/in/{i}", 200, ""),
        ("/made", "GET /made", 502, "ValueError"), ("/key/gone", "GET /key/{what}", 410, ""),
        ("/key/x", "GET /key/{what}", 503, "KeyError"), ("/async/x", "GET /async/{i}", 422, ""), ("/streamed", "GET /streamed", 200, ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("outer", [False, True], ids=["fastapi", "in-server"])
def test_fastapi(sent: Sent, path: str, name: str, status: int, failed: str, outer: bool) -> None:
    app: Any = make_fastapi()
    client = TestClient(asgi.traced(app) if outer else app, raise_server_exceptions=False)
    assert client.get(path).status_code == status
    span = server_span(sent)
    assert span.name == name and span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert span.attributes["server.address"] == "testserver" and span.attributes["url.path"] == path
    assert span.scope == ("varan.asgi" if outer else "varan.starlette")
    assert len(span.events) == failed.endswith("Error")
    inside = [s for s in sent.spans() if s.name == "inside"]
    assert all(s.parent_id == span.span_id for s in inside)
    assert bool(inside) == (path in ("/async/5", "/sync/5", "/streamed"))


def test_fastapi_tells_nothing_twice(sent: Sent) -> None:
    """Newer versions have telemetry of their own: none of it comes to us beside what the hooks tell."""
    client = TestClient(make_fastapi(), raise_server_exceptions=False)
    assert [client.get(path).status_code for path in ("/async/5", "/crash")] == [200, 500]
    assert sorted(s.name for s in sent.spans() if s.kind == 2) == ["GET /async/{i}", "GET /crash"]
    assert not [x for x in (*sent.logs(), *sent.collector.points) if x.scope == "fastapi"]


def test_starlette_and_websocket(sent: Sent) -> None:
    async def hello(request: Any) -> Any:
        return PlainTextResponse("hello")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    app = starlette.applications.Starlette(
        routes=[
            starlette.routing.Route("/hello/{name}", hello),
            starlette.routing.Mount("/m", routes=[starlette.routing.Route("/{x}", hello)]),
            starlette.routing.WebSocketRoute("/ws/{room}", socket),
        ]
    )
    client = TestClient(app)
    client.get("/hello/you")
    client.get("/m/1")
    with client.websocket_connect("/ws/7") as ws:
        ws.send_text("ping")
        assert ws.receive_text() == "ping"
    names = sorted(s.name for s in sent.spans() if s.kind == 2)
    assert names == ["GET /hello/{name}", "GET /m/{x}", "GET /ws/{room}"]


@pytest.mark.parametrize(
    "scope",
    [
        {}, {"headers": None}, {"headers": [(b"host",)]}, {"headers": [("host", "x")]}, {"server": 5}, {"client": [None]},
        {"path": None}, {"method": None, "headers": [(b"host", b"\xff:\xff")]}, {"server": ("h", "x")},
        {"headers": [(b"traceparent", b"\xff" * 60)], "query_string": "no bytes"},
    ],
)  # fmt: skip
def test_asgi_hostile(sent: Sent, scope: dict[str, Any]) -> None:
    span = _core.start_asgi(asgi.TRACER, {"type": "http", **scope})
    span.end()
    assert len(sent.spans()) == 1


@pytest.mark.parametrize(
    "query, told",
    [
        ("a=1&token=abc&b=2", "a=1&token=REDACTED&b=2"), ("X-Amz-Signature=5&X-Amz-Date=7", "X-Amz-Signature=REDACTED&X-Amz-Date=7"),
        ("sig=%41;password=x", "sig=REDACTED;password=REDACTED"), ("token&=x&a", "token&=x&a"), ("API-Key=", "API-Key=REDACTED"),
        ("a=" + "ä" * 3000 + "&token=x", None), ("token=a&" * 2000, None), ("=&&==;#?", "=&&==;#?"), ("design=1", "design=1"),
    ],
)  # fmt: skip
def test_secrets_in_addresses(sent: Sent, query: str, told: str | None) -> None:
    environ = {"REQUEST_METHOD": "GET", "QUERY_STRING": query.encode().decode("latin-1")}
    _core.run_wsgi(asgi.TRACER, lambda environ, start: [], environ, None)
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": query.encode()}
    _core.start_asgi(asgi.TRACER, scope).end()
    _core.start_client(asgi.TRACER, "GET", f"http://me:pw@other:1/x?{query}").end()
    _core.start_client(asgi.TRACER, "GET", f"/relative?{query}").end()
    client, relative = (s.attributes["url.full"] for s in sent.spans() if s.kind == 3)
    servers = [s.attributes["url.query"] for s in sent.spans() if s.kind == 2]
    if told is None:
        for x in (client, relative, *servers):
            assert len(x.encode()) <= 2048 and "token=a" not in x
    else:
        assert servers == [told, told]
        assert (client, relative) == (f"http://other:1/x?{told}", f"/relative?{told}")


def test_background_work_is_not_the_clients_wait(sent: Sent) -> None:
    app = fastapi.FastAPI()
    began: list[int] = []

    def work() -> None:
        began.append(time.time_ns())

    @app.get("/")
    async def view(tasks: fastapi.BackgroundTasks) -> int:
        tasks.add_task(work)
        return 1

    TestClient(app).get("/")
    assert server_span(sent).raw.end_time_unix_nano <= began[0]


def test_blocked_event_loop(sent: Sent) -> None:
    """A blocking call in an async view is told by its request; waiting is not blocking."""
    app = fastapi.FastAPI()

    @app.get("/blocks")
    async def blocks() -> int:
        __import__("time").sleep(0.12)
        await asyncio.sleep(0.01)
        return 1

    @app.get("/waits")
    async def waits() -> int:
        await asyncio.sleep(0.12)
        return 1

    client = TestClient(app)
    client.get("/blocks")
    assert sent.span("GET /blocks").attributes["varan.loop.blocked_ms"] >= 119
    waited: list[Any] = []
    deadline = time.monotonic() + 60
    # On a busy machine some may have had to wait for a processor.
    while all("varan.loop.blocked_ms" in s.attributes for s in waited):
        assert time.monotonic() < deadline, waited
        client.get("/waits")
        waited = [s for s in sent.spans() if s.name == "GET /waits"]


def test_applications_that_are_cancelled_or_odd(sent: Sent) -> None:
    """Cancellation, exceptions and awaitables that are no coroutines pass through."""

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return 5

    def odd(scope: Any, receive: Any, send: Any) -> Any:
        return Awaitable()

    async def main() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asgi.traced(hangs)(dict(scope), None, None), 0.05)
        await asgi.traced(odd)(dict(scope), None, None)

    asyncio.run(main())
    assert [s.status for s in sent.spans()] == [0, 0]
