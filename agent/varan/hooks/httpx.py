"""httpx: a client span per request that goes out, redirects included; both clients."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.httpx", _core.version)
start_client = _core.start_client
http_status = _core.http_status
inject = _core.inject


def _start(request: Any) -> Any:
    try:
        span = start_client(TRACER, request.method, str(request.url))
        if span is not None:
            inject(span, request.headers)
            span.activate()
        return span
    except Exception:
        return None


def install(module: Any) -> None:
    client = module.Client
    client._send_single_request = _core.ClientMethod(TRACER, client._send_single_request, False)
    _wrap_async(module.AsyncClient)


def _wrap_async(client: Any) -> None:
    send = client._send_single_request

    @functools.wraps(send)
    async def traced_send(self: Any, request: Any) -> Any:
        span = _start(request)
        if span is None:
            return await send(self, request)
        try:
            response = await send(self, request)
            http_status(span, response.status_code)
            return response
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    client._send_single_request = traced_send
