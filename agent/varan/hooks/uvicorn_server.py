"""uvicorn ends by raising the signal that stopped it, which skips Python's exit: what is finished is sent before."""

from __future__ import annotations

import functools
from typing import Any

from .. import lifecycle


def install(module: Any) -> None:
    server = module.Server
    serve = server._serve

    @functools.wraps(serve)
    async def traced_serve(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await serve(self, *args, **kwargs)
        finally:
            lifecycle.flush_at_exit()

    server._serve = traced_serve
