"""requests: a client span per request that goes out, redirects included."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.requests", _core.version)
start_client = _core.start_client
http_status = _core.http_status
inject = _core.inject


def install(module: Any) -> None:
    adapter = module.HTTPAdapter
    send = adapter.send

    @functools.wraps(send)
    def traced_send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = start_client(TRACER, request.method, request.url)
        except Exception:
            span = None
        if span is None:
            return send(self, request, *args, **kwargs)
        inject(span, request.headers)
        span.activate()
        try:
            response = send(self, request, *args, **kwargs)
            http_status(span, response.status_code)
            return response
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    adapter.send = traced_send
