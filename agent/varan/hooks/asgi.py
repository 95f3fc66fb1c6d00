"""Any ASGI application: one server span per HTTP request or WebSocket."""

from __future__ import annotations

from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.asgi", _core.version)
# run_asgi(tracer, application, scope, receive, send[, self]) → what is to be awaited where the request runs
run_asgi = _core.run_asgi


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
