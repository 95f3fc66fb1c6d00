"""Django as a WSGI application: a server span also where no known server is in front (runserver, mod_wsgi, tests)."""

from __future__ import annotations

from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.django", _core.version)


def install(module: Any) -> None:
    handler = module.WSGIHandler
    handler.__call__ = _core.WsgiMethod(TRACER, handler.__call__)
