"""Django as a WSGI application: a server span also where no known server is in front (runserver, mod_wsgi, tests)."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.django", _core.version)
run_wsgi = _core.run_wsgi


def install(module: Any) -> None:
    handler = module.WSGIHandler
    call = handler.__call__

    @functools.wraps(call)
    def __call__(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        return run_wsgi(TRACER, functools.partial(call, self), environ, start_response)

    handler.__call__ = __call__
