"""Django as an ASGI application."""

from __future__ import annotations

import functools
from typing import Any

from .asgi import run_asgi
from .django_wsgi import TRACER


def install(module: Any) -> None:
    handler = module.ASGIHandler
    call = handler.__call__

    @functools.wraps(call)
    async def __call__(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await run_asgi(TRACER, call, scope, receive, send, self)

    handler.__call__ = __call__
