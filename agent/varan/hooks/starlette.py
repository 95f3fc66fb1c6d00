"""Starlette and FastAPI: a server span also where no known server is in front (tests, mounted servers)."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from .asgi import run_asgi

TRACER = _core.Tracer("varan.starlette", _core.version)


def install(module: Any) -> None:
    starlette = module.Starlette
    call = starlette.__call__

    @functools.wraps(call)
    async def __call__(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await run_asgi(TRACER, call, scope, receive, send, self)

    starlette.__call__ = __call__
