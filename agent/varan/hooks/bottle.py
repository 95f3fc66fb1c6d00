"""Bottle: the rule that answered, and the exception behind a 500."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.bottle", _core.version)
run_wsgi = _core.run_wsgi
set_route = _core.set_route


def install(module: Any) -> None:
    bottle = module.Bottle
    wsgi, handle = bottle.wsgi, bottle._handle

    @functools.wraps(wsgi)
    def traced_wsgi(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        return run_wsgi(TRACER, functools.partial(wsgi, self), environ, start_response)

    @functools.wraps(handle)
    def traced_handle(self: Any, environ: dict[str, Any]) -> Any:
        out = handle(self, environ)
        try:
            span, route = environ.get("varan.span"), environ.get("bottle.route")
            if span is not None:
                if route is not None:
                    set_route(span, route.rule)
                error = getattr(out, "exception", None)
                if isinstance(error, Exception):
                    span.fail(error)
        except Exception:
            pass
        return out

    bottle.wsgi = traced_wsgi
    bottle._handle = traced_handle
