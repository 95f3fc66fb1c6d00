"""Starlette and FastAPI: an exception that a handler of the application turns into a 5xx answer is recorded."""

from __future__ import annotations

import functools
import inspect
from typing import Any


def _note(request: Any, error: Any, response: Any) -> None:
    try:
        if hasattr(error, "status_code"):
            return  # HTTPException: an answer
        span = request.scope.get("varan.span")
        if span is not None and getattr(response, "status_code", 0) >= 500:
            span.fail(error)
    except Exception:
        pass


def _traced(handler: Any) -> Any:
    if getattr(handler, "_varan", False):
        return handler
    if inspect.iscoroutinefunction(handler) or (
        not inspect.isroutine(handler) and inspect.iscoroutinefunction(type(handler).__call__)
    ):

        @functools.wraps(handler)
        async def traced(request: Any, error: Any) -> Any:
            response = await handler(request, error)
            _note(request, error, response)
            return response

    else:

        @functools.wraps(handler)
        def traced(request: Any, error: Any) -> Any:
            response = handler(request, error)
            _note(request, error, response)
            return response

    traced._varan = True  # type: ignore[attr-defined]
    return traced


def install(module: Any) -> None:
    middleware = module.__dict__.get("ExceptionMiddleware")
    if middleware is None:
        return  # up to 0.20 it is in starlette.exceptions
    begin, add = middleware.__init__, middleware.add_exception_handler

    @functools.wraps(begin)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        for handlers in (self._status_handlers, self._exception_handlers):
            for key, handler in handlers.items():
                handlers[key] = _traced(handler)

    @functools.wraps(add)
    def add_exception_handler(self: Any, key: Any, handler: Any) -> None:
        add(self, key, _traced(handler))

    middleware.__init__ = __init__
    middleware.add_exception_handler = add_exception_handler
