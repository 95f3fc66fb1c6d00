"""Flask: one span per request with the route as its name; exceptions that become a 5xx answer are recorded, also those
that a handler of the application turns into one."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.flask", _core.version)
HANDLED = "varan.handled"  # in the environ: the exception that a handler of the application has been given


def _find_current() -> Any:
    """The context variable of the request's context, or what gives the request itself: the proxy for it costs more than
    all the rest."""
    from flask import globals as flask_globals

    variable = getattr(flask_globals, "_cv_request", None)
    return flask_globals.request._get_current_object if variable is None else variable  # type: ignore[attr-defined]


_current: Any = None


def _request_of(args: tuple[Any, ...]) -> Any:
    """Newer versions hand the request's context to their methods; older ones keep it in a context variable."""
    if args and hasattr(args[0], "request"):
        return args[0].request
    return _current.get().request if hasattr(_current, "get") else _current()


def install(module: Any) -> None:
    global _current
    _current = _find_current()
    from flask.wrappers import Response
    from werkzeug.exceptions import HTTPException  # these are answers

    flask = module.Flask
    wsgi_app = flask.wsgi_app
    handle_exception = flask.handle_exception
    handle_user_exception = flask.handle_user_exception

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
    flask.full_dispatch_request = _core.FlaskDispatch(
        flask.full_dispatch_request, _current, Response
    )
    flask.handle_exception = traced_handle_exception
    flask.handle_user_exception = traced_handle_user_exception
