"""Flask: one span per request with the route as its name; exceptions that become a 5xx answer are recorded, also those
that a handler of the application turns into one."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.flask", _core.version)
set_route = _core.set_route
HANDLED = "varan.handled"  # in the environ: the exception that a handler of the application has been given


def _find_current_request() -> Any:
    """What gives the request itself: the proxy for it costs more than all the rest."""
    from flask import globals as flask_globals

    variable = getattr(flask_globals, "_cv_request", None)
    if variable is None:
        return flask_globals.request._get_current_object  # type: ignore[attr-defined]
    get = variable.get
    return lambda: get().request


_current_request: Any = None


def _request_of(args: tuple[Any, ...]) -> Any:
    """Newer versions hand the request's context to their methods; older ones keep it in a context variable."""
    if args and hasattr(args[0], "request"):
        return args[0].request
    return _current_request()


def install(module: Any) -> None:
    global _current_request
    _current_request = _find_current_request()
    from werkzeug.exceptions import HTTPException  # these are answers

    flask = module.Flask
    wsgi_app = flask.wsgi_app
    full_dispatch_request = flask.full_dispatch_request
    handle_exception = flask.handle_exception
    handle_user_exception = flask.handle_user_exception

    @functools.wraps(full_dispatch_request)
    def traced_dispatch(self: Any, *args: Any) -> Any:
        span = environ = None
        try:
            request = _request_of(args)
            environ = request.environ
            span = environ.get("varan.span")
            if span is not None and request.url_rule is not None:
                set_route(span, request.url_rule.rule)
        except Exception:
            pass
        if span is None:
            return full_dispatch_request(self, *args)
        try:
            response = full_dispatch_request(self, *args)
            if HANDLED in environ and response.status_code >= 500:
                span.fail(environ[HANDLED])
            return response
        finally:
            if HANDLED in environ:
                del environ[HANDLED]  # its frames hold the environ

    @functools.wraps(handle_user_exception)
    def traced_handle_user_exception(self: Any, *args: Any) -> Any:
        try:
            environ = _request_of(args).environ
            if "varan.span" in environ and not isinstance(args[-1], HTTPException):
                environ[HANDLED] = args[-1]
        except Exception:
            pass
        return handle_user_exception(self, *args)

    @functools.wraps(handle_exception)
    def traced_handle_exception(self: Any, *args: Any) -> Any:
        try:
            span = _request_of(args).environ.get("varan.span")
            if span is not None:
                span.fail(args[-1])
        except Exception:
            pass
        return handle_exception(self, *args)

    flask.wsgi_app = _core.WsgiMethod(TRACER, wsgi_app)
    flask.full_dispatch_request = traced_dispatch
    flask.handle_exception = traced_handle_exception
    flask.handle_user_exception = traced_handle_user_exception
