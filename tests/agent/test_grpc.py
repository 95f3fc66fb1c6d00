"""grpc, threads and asyncio: both ends of every kind of call, its status, one trace."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from typing import Any

import grpc
import grpc.aio
import pytest

import varan
from conftest import Sent

NAMES = ("unary_unary", "unary_stream", "stream_unary", "stream_stream", "fails", "aborts")
ECHO: Any = {"request_deserializer": None, "response_serializer": None}


def single(request: Any, context: Any) -> bytes:
    with varan.span("inside"):
        return request if isinstance(request, bytes) else b"".join(request)


def stream(request: Any, context: Any) -> Any:
    assert len(request if isinstance(request, bytes) else list(request)) == 2
    with varan.span("inside"):
        yield b"a"
        yield b"b"


def fails(request: Any, context: Any) -> bytes:
    raise LookupError("no")


def aborts(request: Any, context: Any) -> bytes:
    context.abort(grpc.StatusCode.NOT_FOUND, "not here")
    return b""


async def async_aborts(request: Any, context: Any) -> bytes:
    await context.abort(grpc.StatusCode.NOT_FOUND, "not here")
    return b""


async def async_single(request: Any, context: Any) -> bytes:
    parts = [request] if isinstance(request, bytes) else [p async for p in request]
    with varan.span("inside"):
        return b"".join(parts)


async def async_stream(request: Any, context: Any) -> Any:
    if not isinstance(request, bytes):
        assert len([part async for part in request]) == 2
    with varan.span("inside"):
        yield b"a"
        yield b"b"


async def async_writes(request: Any, context: Any) -> None:
    with varan.span("inside"):
        await context.write(b"ab")


def handlers(*behaviors: Any) -> Any:
    kinds = [*NAMES[:4], "unary_unary", "unary_unary"]
    return grpc.method_handlers_generic_handler(
        "test.Echo",
        {
            name: getattr(grpc, f"{kind}_rpc_method_handler")(behavior)
            for name, kind, behavior in zip(NAMES, kinds, behaviors)
        },
    )


def settled(sent: Sent, name: str, n: int) -> list[Any]:
    """Calls end in threads of grpc's own: a moment after their result is here."""
    deadline = time.monotonic() + 60
    while len(found := [s for s in sent.spans() if s.name == name]) < n:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    assert len(found) == n
    return found


def outcome(sent: Sent, name: str) -> tuple[Any, Any]:
    found = settled(sent, f"test.Echo/{name}", 2)
    client, server = sorted(found, key=lambda s: -s.kind)
    assert (client.kind, server.kind) == (3, 2)
    assert (server.trace_id, server.parent_id) == (client.trace_id, client.span_id)
    assert client.parent_id == sent.span("outer").span_id
    for span in (client, server):
        assert span.attributes["rpc.system"] == "grpc"
        assert span.attributes["rpc.service"] == "test.Echo"
        assert span.attributes["rpc.method"] == name
    inside = sent.collector.named("inside")
    assert all(s.parent_id == server.span_id for s in inside) and len(inside) == (name in NAMES[:4])
    return client, server


def check(sent: Sent, name: str, port: int) -> None:
    client, server = outcome(sent, name)
    code = {"fails": 2, "aborts": 5}.get(name, 0)
    assert (
        client.attributes["rpc.grpc.status_code"]
        == code
        == server.attributes["rpc.grpc.status_code"]
    )
    assert client.status == (2 if code else 0) and server.status == (2 if code == 2 else 0)
    assert server.attributes.get("error.type", "") == ("LookupError" if code == 2 else "")
    assert client.attributes["server.port"] == port


@pytest.mark.parametrize("name", NAMES)
def test_threads(sent: Sent, name: str) -> None:
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((handlers(single, stream, single, stream, fails, aborts),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, varan.span("outer"):
        kind = name if name in NAMES[:4] else "unary_unary"
        call = getattr(channel, kind)(f"/test.Echo/{name}")
        request: Any = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
        if name in ("fails", "aborts"):
            with pytest.raises(grpc.RpcError):
                call(request, metadata=(("own", "1"),))
        else:
            result = call(request)
            assert (b"".join(result) if kind.endswith("stream") else result) == b"ab"
    check(sent, name, port)
    server.stop(None).wait()


@pytest.mark.parametrize("name", [*NAMES, "writes"])
def test_asyncio(sent: Sent, name: str) -> None:
    streams = async_writes if name == "writes" else async_stream
    name = "unary_stream" if name == "writes" else name

    async def main() -> int:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (handlers(async_single, streams, async_single, async_stream, fails, async_aborts),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with varan.span("outer"):
                kind = name if name in NAMES[:4] else "unary_unary"
                call = getattr(channel, kind)(f"/test.Echo/{name}")
                request: Any = iter([b"a", b"b"]) if kind.startswith("stream") else b"ab"
                if name in ("fails", "aborts"):
                    with pytest.raises(grpc.RpcError):
                        await call(request)
                elif kind.endswith("stream"):
                    assert b"".join([part async for part in call(request)]) == b"ab"
                else:
                    assert await call(request) == b"ab"
        await server.stop(None)
        return port

    check(sent, name, asyncio.run(main()))


def test_no_such_method_and_no_server(sent: Sent) -> None:
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.RpcError):
        channel.unary_unary("/test.Echo/x")(b"", timeout=60)
    (span,) = settled(sent, "test.Echo/x", 1)
    assert span.attributes["rpc.grpc.status_code"] == 14 and span.status == 2
    assert span.attributes["error.type"] == "UNAVAILABLE"
