"""Any ASGI application: one server span per HTTP request or WebSocket."""

from __future__ import annotations

from types import CoroutineType
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.asgi", _core.version)
start_asgi = _core.start_asgi
http_status = _core.http_status
note_headers = _core.note_headers
Steps = _core.Steps  # times how long the request holds the event loop


async def run_asgi(
    tracer: Any, application: Any, scope: dict[str, Any], receive: Any, send: Any
) -> None:
    """Calls the application inside a server span, unless it is already inside one."""
    kind = scope["type"]
    if (kind != "http" and kind != "websocket") or "varan.span" in scope:
        return await application(scope, receive, send)
    span = start_asgi(tracer, scope)
    if span is None:
        return await application(scope, receive, send)
    scope["varan.span"] = span

    async def traced_send(message: dict[str, Any]) -> None:
        # The request is over when the last part of its body is out; work after that is not the client's wait.
        what = message["type"]
        if what == "http.response.start":
            status = message["status"]
            http_status(span, status)
            if status >= 500:
                note_headers(span, scope.get("headers", ()))
        await send(message)
        if what == "http.response.body" and not message.get("more_body"):
            span.mark_end()

    span.activate()
    try:
        call = application(scope, receive, traced_send)
        await (Steps(call, span) if type(call) is CoroutineType else call)
    except Exception as error:
        span.fail(error)
        note_headers(span, scope.get("headers", ()))
        raise
    finally:
        span.finish()


class Traced:
    """An ASGI application whose requests are spans. Attributes are those of the application."""

    def __init__(self, application: Any) -> None:
        self.__wrapped__ = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await run_asgi(TRACER, self.__wrapped__, scope, receive, send)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)


def traced(application: Any) -> Any:
    """Wraps an application, once."""
    if application is None or isinstance(application, Traced):
        return application
    return Traced(application)
