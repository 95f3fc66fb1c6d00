"""aiohttp's server: one server span per request, with the resource that answered as its route."""

from __future__ import annotations

import functools
from types import CoroutineType
from typing import Any

from .. import _core
from ._request import start

TRACER = _core.Tracer("varan.aiohttp", _core.version)
set_route = _core.set_route
http_status = _core.http_status
note_headers = _core.note_headers
Steps = _core.Steps


def _start(request: Any) -> Any:
    try:
        url = request.rel_url
        return start(
            TRACER, request.method, request.scheme, url.path, url.raw_query_string, request.headers,
            request.remote,
        )  # fmt: skip
    except Exception:
        return None


def _note_route(span: Any, request: Any) -> None:
    try:
        resource = request.match_info.route.resource
        if resource is not None:
            set_route(span, resource.canonical)
    except Exception:
        pass


def install(module: Any) -> None:
    application = module.Application
    handle = application._handle

    @functools.wraps(handle)
    async def traced_handle(self: Any, request: Any) -> Any:
        span = _start(request)
        if span is None:
            return await handle(self, request)
        span.activate()
        try:
            call = handle(self, request)
            response = await (Steps(call, span) if type(call) is CoroutineType else call)
            _note_route(span, request)
            http_status(span, response.status)
            if response.status >= 500:
                note_headers(span, request.raw_headers)
            return response
        except Exception as error:
            _note_route(span, request)
            # aiohttp's HTTP exceptions are answers.
            status = getattr(error, "status", None)
            if not isinstance(status, int) or not hasattr(error, "prepare"):
                status = 500
                span.fail(error)
            http_status(span, status)
            if status >= 500:
                note_headers(span, request.raw_headers)
            raise
        finally:
            span.finish()

    application._handle = traced_handle
