"""Requests of bare ASGI applications: however one ends, its span does, and what the application sees is what it would
see without the agent. Needs no framework."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
from typing import Any

import pytest

import varan
from conftest import Sent
from varan.hooks import asgi

SCOPE = {
    "type": "http", "method": "GET", "path": "/", "scheme": "http", "query_string": b"",
    "headers": [(b"host", b"h"), (b"x-thing", b"7")],
}  # fmt: skip
START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


class Server:
    """A send() that notes what it was sent."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def __call__(self, message: Any) -> str:
        await asyncio.sleep(0)
        self.messages.append(message)
        return "sent"


def serve(application: Any, **more: Any) -> Server:
    server = Server()
    asyncio.run(asgi.traced(application)({**SCOPE, **more}, receive, server))
    assert varan.current_span() is None
    return server


def test_request(sent: Sent) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        assert scope["varan.span"] is varan.current_span()
        assert await send(START) == "sent"
        assert await send({**BODY, "more_body": True}) == "sent"
        last = send(BODY)
        assert isinstance(last, collections.abc.Coroutine)
        assert await asyncio.create_task(last) == "sent"
        with varan.span("afterwards"):
            await asyncio.sleep(0.01)

    server = serve(application)
    assert [m["type"] for m in server.messages] == [START["type"], BODY["type"], BODY["type"]]
    span, after = sent.span("GET"), sent.span("afterwards")
    assert span.attributes["http.response.status_code"] == 200
    assert after.parent_id == span.span_id
    raw, raw_after = span.raw, after.raw  # work behind the last part is not the client's wait
    assert raw.end_time_unix_nano < raw_after.end_time_unix_nano


class Odd(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [ValueError("no"), Odd("no"), StopAsyncIteration(), KeyboardInterrupt()]
)
@pytest.mark.parametrize("late", [False, True])
def test_failures(sent: Sent, error: BaseException, late: bool) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if late:
            await send({**START, "status": 503})
        raise error

    with pytest.raises(type(error)) as raised:
        serve(application)
    assert raised.value is error
    span = sent.span("GET")
    assert span.attributes.get("error.type") == (
        type(error).__name__ if isinstance(error, Exception) else "503" if late else None
    )
    assert (span.attributes.get("http.request.header.x-thing") == ["7"]) == (
        late or isinstance(error, Exception)
    )


def test_no_coroutine_at_all(sent: Sent) -> None:
    def raises(scope: Any, receive: Any, send: Any) -> Any:
        raise ValueError("at once")

    def nothing(scope: Any, receive: Any, send: Any) -> Any:
        return None

    def future(scope: Any, receive: Any, send: Any) -> Any:
        loop = asyncio.get_running_loop()
        found = loop.create_future()
        loop.call_soon(found.set_result, 5)
        return found

    class Awaitable:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            with varan.span("inside"):
                return (1, 2)

    with pytest.raises(ValueError, match="at once"):
        serve(raises)
    with pytest.raises(TypeError, match="await"):
        serve(nothing)
    serve(future)
    serve(lambda scope, receive, send: Awaitable())
    spans = sent.spans()
    assert [s.name for s in spans].count("GET") == 4
    assert sent.span("inside").parent_id in {s.span_id for s in spans}


def test_cancelled_and_thrown(sent: Sent) -> None:
    seen: list[str] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)  # clearing up takes steps of its own
            if scope["path"] == "/stays":
                return
            raise

    async def cancel(path: str) -> None:
        task = asyncio.ensure_future(
            asgi.traced(application)({**SCOPE, "path": path}, receive, Server())
        )
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled() == (path == "/goes")

    asyncio.run(cancel("/goes"))
    asyncio.run(cancel("/stays"))
    assert seen == ["cancelled"] * 2
    spans = sent.spans()
    assert [s.name for s in spans] == ["GET"] * 2
    assert not any("error.type" in s.attributes for s in spans)


def test_given_up(sent: Sent) -> None:
    """Not awaited, or not to its end."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def give_up() -> None:
        steps = asgi.run_asgi(asgi.TRACER, application, dict(SCOPE), receive, Server())
        steps.send(None)
        steps.close()
        steps.close()
        never = asgi.run_asgi(asgi.TRACER, application, dict(SCOPE), receive, Server())
        del never
        gc.collect()
        assert varan.current_span() is None

    with pytest.warns(RuntimeWarning, match="never awaited"):
        asyncio.run(give_up())
    assert [s.name for s in sent.spans()] == ["GET"] * 2


def test_steps_by_hand(sent: Sent) -> None:
    """What drives it may be anything: values go in, results and exceptions come out."""

    class Suspended:
        def __await__(self) -> Any:
            return (yield "out")

    async def application(scope: Any, receive: Any, send: Any) -> Any:
        try:
            return await Suspended(), await Suspended()
        except LookupError as error:
            return error

    def run() -> Any:
        return asgi.run_asgi(asgi.TRACER, application, dict(SCOPE), receive, Server())

    steps = run()
    assert steps.send(None) == "out"
    assert steps.send(1) == "out"
    with pytest.raises(StopIteration) as stop:
        steps.send((2, 3))
    assert stop.value.value == (1, (2, 3))
    steps = run()
    assert next(steps) == "out"
    error = LookupError("thrown")
    with pytest.raises(StopIteration) as stop:
        steps.throw(error)
    assert stop.value.value is error
    steps = run()
    next(steps)
    with pytest.raises(ZeroDivisionError):
        steps.throw(ZeroDivisionError())
    assert varan.current_span() is None
    assert [s.attributes.get("error.type") for s in sent.spans()] == [
        None,
        None,
        "ZeroDivisionError",
    ]


@pytest.mark.parametrize(
    "message",
    [
        None, 5, {}, {"type": 5}, {"type": None}, {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200"}, {"type": "http.response.start", "status": 10**30},
        {"type": "http.response.body", "more_body": "yes"}, {"type": "x"},
    ],
)  # fmt: skip
def test_odd_messages(sent: Sent, message: Any) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        with pytest.raises(TypeError):
            await send(message, 1)
        with pytest.raises(TypeError):
            await send()

    assert serve(application).messages == [message]
    sent.span("GET")


def test_a_send_that_fails(sent: Sent) -> None:
    async def gone(message: Any) -> None:
        raise OSError("gone")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(OSError, match="gone"):
            await send(BODY)

    asyncio.run(asgi.traced(application)(dict(SCOPE), receive, gone))
    sent.span("GET")


def test_inside_another(sent: Sent) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)

    serve(asgi.traced(lambda *args: asgi.traced(application)(*args)))
    sent.span("GET")
    serve(application, type="lifespan")
    sent.span("GET")
