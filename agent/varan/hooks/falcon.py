"""Falcon, WSGI and ASGI: the template that answered, and the exception behind a 500."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from .asgi import run_asgi

TRACER = _core.Tracer("varan.falcon", _core.version)
run_wsgi = _core.run_wsgi
set_route = _core.set_route


def _span_of(request: Any) -> Any:
    found = getattr(request, "env", None) or getattr(request, "scope", None)
    return found.get("varan.span") if found else None


def _fail(request: Any, error: BaseException) -> None:
    try:
        span = _span_of(request)
        if span is not None:
            span.fail(error)
    except Exception:
        pass


def _wrap_sync(app: Any) -> None:
    call, on_error, get_responder = app.__call__, app._python_error_handler, app._get_responder

    @functools.wraps(call)
    def __call__(self: Any, env: dict[str, Any], start_response: Any) -> Any:
        return run_wsgi(TRACER, functools.partial(call, self), env, start_response)

    @functools.wraps(on_error)
    def traced_error(self: Any, req: Any, resp: Any, error: Any, params: Any) -> Any:
        _fail(req, error)
        return on_error(self, req, resp, error, params)

    @functools.wraps(get_responder)
    def traced_get_responder(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        found = get_responder(self, req, *args, **kwargs)
        try:
            span = _span_of(req)
            if span is not None and found[3]:
                set_route(span, found[3])
        except Exception:
            pass
        return found

    app.__call__, app._python_error_handler = __call__, traced_error
    app._get_responder = traced_get_responder


def _wrap_async(app: Any) -> None:
    call, on_error = app.__call__, app._python_error_handler

    @functools.wraps(call)
    async def __call__(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await run_asgi(TRACER, call, scope, receive, send, self)

    @functools.wraps(on_error)
    async def traced_error(
        self: Any, req: Any, resp: Any, error: Any, params: Any, **kwargs: Any
    ) -> Any:
        _fail(req, error)
        return await on_error(self, req, resp, error, params, **kwargs)

    app.__call__, app._python_error_handler = __call__, traced_error


def install(module: Any) -> None:
    if module.__name__ == "falcon.asgi.app":
        _wrap_async(module.App)  # its _get_responder is the other's
    else:
        _wrap_sync(module.App)
