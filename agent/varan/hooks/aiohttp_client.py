"""aiohttp's client: a client span per request until the headers of its last response are here, redirects included."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.aiohttp", _core.version)
start_client = _core.start_client
http_status = _core.http_status
inject = _core.inject


_headers: Any = None  # a copy of a caller's headers


def _start(session: Any, method: Any, url: Any, kwargs: dict[str, Any]) -> Any:
    try:
        span = start_client(TRACER, str(method).upper(), str(session._build_url(url)))
        if span is not None:
            given = kwargs.get("headers")
            headers = _headers(given) if given else {}
            inject(span, headers)
            kwargs["headers"] = headers
        return span
    except Exception:
        return None


def install(module: Any) -> None:
    global _headers
    from multidict import CIMultiDict

    _headers = CIMultiDict
    session = module.ClientSession
    request = session._request

    @functools.wraps(request)
    async def traced_request(self: Any, method: Any, str_or_url: Any, **kwargs: Any) -> Any:
        span = _start(self, method, str_or_url, kwargs)
        if span is None:
            return await request(self, method, str_or_url, **kwargs)
        span.activate()
        try:
            response = await request(self, method, str_or_url, **kwargs)
            http_status(span, response.status)
            return response
        except Exception as error:
            span.fail(error)
            http_status(span, getattr(error, "status", 0))  # raise_for_status
            raise
        finally:
            span.finish()

    session._request = traced_request
