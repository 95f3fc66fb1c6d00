"""aiosqlite runs each call in a thread of the connection's: the caller's context goes with it, so that the spans of
sqlite3 find their trace."""

from __future__ import annotations

import functools
from contextvars import copy_context
from typing import Any


def install(module: Any) -> None:
    connection = module.Connection
    execute = connection._execute

    @functools.wraps(execute)
    async def traced_execute(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        return await execute(self, functools.partial(copy_context().run, function), *args, **kwargs)

    connection._execute = traced_execute
