"""Pyramid: the pattern of the route that answered, and the exception behind a 500."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.pyramid", _core.version)
run_wsgi = _core.run_wsgi
set_route = _core.set_route


def install(module: Any) -> None:
    router = module.Router
    call, invoke = router.__call__, router.invoke_request

    @functools.wraps(call)
    def __call__(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        return run_wsgi(TRACER, functools.partial(call, self), environ, start_response)

    @functools.wraps(invoke)
    def traced_invoke(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            response = invoke(self, request, *args, **kwargs)
        finally:
            _note(request)
        try:
            span, error = request.environ.get("varan.span"), getattr(request, "exception", None)
            if span is not None and isinstance(error, Exception) and response.status_code >= 500:
                span.fail(error)
        except Exception:
            pass
        return response

    router.__call__ = __call__
    router.invoke_request = traced_invoke


def _note(request: Any) -> None:
    try:
        span, route = request.environ.get("varan.span"), getattr(request, "matched_route", None)
        if span is not None and route is not None:
            set_route(span, route.pattern)
    except Exception:
        pass
