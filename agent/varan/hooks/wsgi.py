"""Any WSGI application: one server span per request."""

from __future__ import annotations

from typing import Any, Callable

from .. import _core

run_wsgi = _core.run_wsgi
TRACER = _core.Tracer("varan.wsgi", _core.version)


class Traced:
    """A WSGI application whose requests are spans. Attributes are those of the application."""

    def __init__(self, application: Callable[..., Any]) -> None:
        self.__wrapped__ = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        return run_wsgi(TRACER, self.__wrapped__, environ, start_response)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)


def traced(application: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps an application, once."""
    if application is None or isinstance(application, Traced):
        return application
    return Traced(application)
