"""Django, of either kind: the route, the exception behind a 500 (signal got_request_exception), and on request
(VARAN_DJANGO_MIDDLEWARE=1) a span per middleware."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from .. import _core
from ._routes import plain_route
from .django_wsgi import TRACER

current_span = _core.current_span
ROUTES_MAX = 5000

_routes: dict[str, str] = {}  # Django's text of a route → ours


def _route_of(route: str) -> str:
    known = _routes.get(route)
    if known is None:
        known = "/" + (plain_route(route) if "^" in route or "(?P" in route else route).lstrip("/")
        if len(_routes) < ROUTES_MAX:
            _routes[route] = known
    return known


def span_of(request: Any) -> Any:
    """The server span of a request of either kind, or None."""
    found = getattr(request, "environ", None) or getattr(request, "scope", None)
    return None if found is None else found.get("varan.span")


def _on_exception(sender: Any = None, request: Any = None, **_: Any) -> None:
    try:
        span, error = span_of(request), sys.exc_info()[1]
        if span is not None and error is not None:
            span.fail(error)
    except Exception:
        pass


def _traced_middleware(middleware: Any, path: str) -> Any:
    """The factory of a middleware whose instances are spans: what is below the middleware is inside its span."""

    @functools.wraps(middleware, updated=())
    def make(get_response: Any) -> Any:
        from asgiref.sync import iscoroutinefunction

        instance = middleware(get_response)
        if instance is None:
            return None
        name = "middleware " + path.rpartition(".")[2]
        attributes = {"code.function.name": path}

        if iscoroutinefunction(instance):

            async def call(request: Any) -> Any:
                with TRACER.start_as_current_span(name, attributes=attributes):
                    return await instance(request)

        else:

            def call(request: Any) -> Any:  # type: ignore[misc]
                with TRACER.start_as_current_span(name, attributes=attributes):
                    return instance(request)

        for method in ("process_view", "process_template_response", "process_exception"):
            if hasattr(instance, method):
                setattr(call, method, getattr(instance, method))
        return call

    for mark in ("sync_capable", "async_capable"):
        if hasattr(middleware, mark):
            setattr(make, mark, getattr(middleware, mark))
    return make


def _wrap_middleware(module: Any) -> None:
    import_string = module.import_string

    def traced_import(path: str) -> Any:
        found = import_string(path)
        try:
            return _traced_middleware(found, path)
        except Exception:
            return found

    module.import_string = traced_import  # load_middleware() alone uses it in this module


def install(module: Any) -> None:
    from django.core.signals import got_request_exception

    handler = module.BaseHandler
    handler.resolve_request = _core.DjangoResolve(handler.resolve_request, _routes, _route_of)
    got_request_exception.connect(_on_exception, weak=False, dispatch_uid="varan")
    if os.environ.get("VARAN_DJANGO_MIDDLEWARE", "").strip().lower() in ("1", "true", "yes", "on"):
        _wrap_middleware(module)
