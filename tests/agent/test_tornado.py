"""Tornado: server spans with the route's pattern, client spans of AsyncHTTPClient."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import tornado.httpclient
import tornado.httpserver
import tornado.netutil
import tornado.web

import varan
from conftest import Sent


class Item(tornado.web.RequestHandler):
    async def get(self, i: str) -> None:
        with varan.span("inside"):
            await asyncio.sleep(0)
        self.write(i)


class Crash(tornado.web.RequestHandler):
    def get(self) -> None:
        raise LookupError("crash")


class Gone(tornado.web.RequestHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(410)


class Unavailable(tornado.web.RequestHandler):
    def get(self) -> None:
        self.set_status(503)


def serve(use: Any) -> None:
    async def main() -> None:
        app = tornado.web.Application(
            [(r"/item/(?P<i>\d+)", Item), (r"/crash", Crash), (r"/gone", Gone)]
            + [(r"/503", Unavailable)]
        )  # fmt: skip
        (socket,) = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server = tornado.httpserver.HTTPServer(app)
        server.add_socket(socket)
        try:
            await use(f"http://127.0.0.1:{socket.getsockname()[1]}")
        finally:
            server.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    "path, route, status, failed",
    [
        ("/item/5", "/item/<i>", 200, ""), ("/crash", "/crash", 500, "LookupError"), ("/gone", "/gone", 410, ""),
        ("/503", "/503", 503, "503"), ("/nothing", "", 404, ""),
    ],
)  # fmt: skip
def test_requests(sent: Sent, path: str, route: str, status: int, failed: str) -> None:
    async def use(url: str) -> None:
        client = tornado.httpclient.AsyncHTTPClient()
        with varan.span("outer"):
            response = await client.fetch(
                url + path + "?q=1", raise_error=False, user_agent="test/1"
            )
            assert response.code == status

    serve(use)
    (span,) = [s for s in sent.spans() if s.kind == 2]
    (client,) = [s for s in sent.spans() if s.kind == 3]
    assert (span.trace_id, span.parent_id) == (client.trace_id, client.span_id)
    assert client.parent_id == sent.span("outer").span_id
    assert client.attributes["http.response.status_code"] == status
    assert span.name == f"GET {route}".strip() and span.scope == "varan.tornado"
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert span.attributes["url.query"] == "q=1"
    assert span.attributes["user_agent.original"] == "test/1"
    assert all(s.parent_id == span.span_id for s in sent.spans() if s.name == "inside")


def test_client_errors(sent: Sent) -> None:
    async def use(url: str) -> None:
        client = tornado.httpclient.AsyncHTTPClient()
        with pytest.raises(tornado.httpclient.HTTPClientError):
            await client.fetch(url + "/gone")
        with pytest.raises(OSError):
            await client.fetch("http://127.0.0.1:1/")
        with pytest.raises(TypeError):
            await client.fetch(url, unknown=1)
        request = tornado.httpclient.HTTPRequest(url + "/item/1")
        assert (await client.fetch(request)).body == b"1"
        with pytest.raises(ValueError):
            await client.fetch(request, unknown=1)

    serve(use)
    gone, refused, good = [s for s in sent.spans() if s.kind == 3][:3]
    assert gone.attributes["http.response.status_code"] == 410 and gone.status == 2
    assert refused.attributes["error.type"] == "ConnectionRefusedError"
    assert good.attributes["http.response.status_code"] == 200
