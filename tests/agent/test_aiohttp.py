"""aiohttp's server: routes, exceptions, answers that are exceptions, streams, WebSockets, keep-alive."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

import varan
from conftest import Sent


def make_app() -> web.Application:
    async def item(request: web.Request) -> web.Response:
        with varan.span("inside"):
            await asyncio.sleep(0)
        return web.json_response(request.match_info["i"])

    async def crash(request: web.Request) -> web.Response:
        raise LookupError("crash")

    async def gone(request: web.Request) -> web.Response:
        raise web.HTTPGone

    async def unavailable(request: web.Request) -> web.Response:
        return web.Response(status=503)

    async def streamed(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with varan.span("inside"):
            await response.write(b"x")
        return response

    async def socket(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
            break
        await ws.close()
        return ws

    @web.middleware
    async def stop(request: web.Request, handler: Any) -> Any:
        if "stop" in request.query:
            raise web.HTTPForbidden
        return await handler(request)

    app = web.Application(middlewares=[stop])
    inner = web.Application()
    inner.router.add_get("/{i}", item)
    app.add_subapp("/sub", inner)
    for path, handler in {
        "/item/{i:\\d+}": item, "/crash": crash, "/gone": gone, "/503": unavailable, "/streamed": streamed,
        "/ws/{room}": socket,
    }.items():  # fmt: skip
        app.router.add_get(path, handler)
    return app


async def serve(use: Any) -> None:
    runner = web.AppRunner(make_app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            await use(client)
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "path, route, status, failed",
    [
        ("/item/5", "/item/{i}", 200, ""), ("/crash", "/crash", 500, "LookupError"), ("/gone", "/gone", 410, ""),
        ("/503", "/503", 503, "503"), ("/nothing", "", 404, ""), ("/streamed", "/streamed", 200, ""),
        ("/sub/7", "/sub/{i}", 200, ""), ("/item/5?stop=1", "/item/{i}", 403, ""),
    ],
)  # fmt: skip
def test_requests(sent: Sent, path: str, route: str, status: int, failed: str) -> None:
    async def use(client: Any) -> None:
        async with client.get(path, headers={"User-Agent": "test/1"}) as response:
            assert response.status == status
            await response.read()

    asyncio.run(serve(use))
    (span,) = [s for s in sent.spans() if s.kind == 2]
    (client,) = [s for s in sent.spans() if s.kind == 3]
    assert (span.trace_id, span.parent_id) == (client.trace_id, client.span_id)
    assert span.name == f"GET {route}".strip() and span.scope == "varan.aiohttp"
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes.get("error.type", "") == failed and span.status == (2 if failed else 0)
    assert span.attributes["url.path"] == path.partition("?")[0]
    assert span.attributes["user_agent.original"] == "test/1"
    assert span.attributes["client.address"] == "127.0.0.1"
    assert span.attributes["server.port"] > 0
    assert all(s.parent_id == span.span_id for s in sent.spans() if s.name == "inside")


def test_websocket_and_keep_alive(sent: Sent) -> None:
    async def use(client: Any) -> None:
        async with client.ws_connect("/ws/7") as ws:
            await ws.send_str("ping")
            assert (await ws.receive()).data == "ping"
            await ws.receive()
        for i in range(5):
            async with client.get(f"/item/{i}") as response:
                await response.read()

    asyncio.run(serve(use))
    spans = [s for s in sent.spans() if s.kind == 2]
    assert sorted(s.name for s in spans) == ["GET /item/{i}"] * 5 + ["GET /ws/{room}"]
    assert len({s.trace_id for s in spans}) == 6


def test_cancelled(sent: Sent) -> None:
    """A client that goes away: the span ends, nothing stays current."""

    async def main() -> None:
        app = web.Application()
        began, ended = asyncio.Event(), asyncio.Event()

        async def hangs(request: web.Request) -> web.Response:
            began.set()
            try:
                await asyncio.sleep(600)
            finally:
                ended.set()
            return web.Response()

        app.router.add_get("/", hangs)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as client:
            asked = asyncio.ensure_future(client.get(f"http://127.0.0.1:{runner.addresses[0][1]}/"))
            await asyncio.wait_for(began.wait(), 60)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            await asyncio.wait_for(ended.wait(), 60)
        await runner.cleanup()

    asyncio.run(main())
    assert sorted(s.kind for s in sent.spans()) == [2, 3]
