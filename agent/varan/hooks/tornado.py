"""Tornado: a server span per request with the pattern of its route, and a client span per AsyncHTTPClient.fetch()."""

from __future__ import annotations

import functools
from types import CoroutineType
from typing import Any

from .. import _core
from ._request import start
from ._routes import plain_route

TRACER = _core.Tracer("varan.tornado", _core.version)
start_client = _core.start_client
set_route = _core.set_route
http_status = _core.http_status
note_headers = _core.note_headers
inject = _core.inject
Steps = _core.Steps
ROUTES_MAX = 5000
CLIENT_ERRORS = range(400, 500)

_routes: dict[str, str] = {}


def _wrap_match(matches: Any) -> None:
    """The last pattern that matches is the request's."""
    match = matches.match

    @functools.wraps(match)
    def traced_match(self: Any, request: Any) -> Any:
        found = match(self, request)
        if found is not None:
            request._varan_pattern = self.regex.pattern
        return found

    matches.match = traced_match


def _start(handler: Any) -> Any:
    try:
        request = handler.request
        span = start(
            TRACER, request.method, request.protocol, request.path, request.query or "", request.headers,
            request.remote_ip,
        )  # fmt: skip
        pattern = getattr(request, "_varan_pattern", None)
        if span is not None and pattern is not None and pattern != ".*$":
            route = _routes.get(pattern)
            if route is None:
                route = plain_route(pattern)
                if len(_routes) < ROUTES_MAX:
                    _routes[pattern] = route
            set_route(span, route)
        return span
    except Exception:
        return None


def _wrap_handler(handler: Any) -> None:
    execute, log_exception = handler._execute, handler.log_exception

    @functools.wraps(execute)
    async def traced_execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = _start(self)
        if span is None:
            return await execute(self, *args, **kwargs)
        self._varan_span = span
        span.activate()
        try:
            call = execute(self, *args, **kwargs)
            return await (Steps(call, span) if type(call) is CoroutineType else call)
        finally:
            status = self.get_status()
            http_status(span, status)
            if status >= 500:
                note_headers(span, self.request.headers.get_all())
            span.finish()

    @functools.wraps(log_exception)
    def traced_log_exception(self: Any, kind: Any, error: Any, trace: Any) -> Any:
        try:
            span = getattr(self, "_varan_span", None)
            # HTTPErrors of the client's doing are answers.
            if span is not None and getattr(error, "status_code", 500) not in CLIENT_ERRORS:
                span.fail(error)
        except Exception:
            pass
        return log_exception(self, kind, error, trace)

    handler._execute = traced_execute
    handler.log_exception = traced_log_exception


def _finish(span: Any, future: Any) -> None:
    try:
        if not future.cancelled():
            error = future.exception()
            if error is None:
                http_status(span, future.result().code)
            elif getattr(error, "response", None) is not None:
                http_status(span, error.code)
            else:
                span.fail(error)
    finally:
        span.end()


def _wrap_fetch(module: Any) -> None:
    client, request_type = module.AsyncHTTPClient, module.HTTPRequest
    fetch = client.fetch

    @functools.wraps(fetch)
    def traced_fetch(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        span = None
        try:
            if not isinstance(request, request_type):
                raise_error = kwargs.pop("raise_error", True) if not args else args[0]
                request = request_type(url=request, **kwargs)
                args, kwargs = (raise_error,), {}
            span = start_client(TRACER, request.method, request.url)
            if span is not None:
                inject(span, request.headers)
        except Exception:
            pass  # fetch() finds out
        try:
            future = fetch(self, request, *args, **kwargs)
        except Exception as error:
            if span is not None:
                span.fail(error)
                span.end()
            raise
        if span is not None:
            future.add_done_callback(functools.partial(_finish, span))
        return future

    client.fetch = traced_fetch


def install(module: Any) -> None:
    if module.__name__ == "tornado.routing":
        _wrap_match(module.PathMatches)
    elif module.__name__ == "tornado.web":
        _wrap_handler(module.RequestHandler)
    else:
        _wrap_fetch(module)
