"""AnyIO's worker threads (FastAPI's and Starlette's `def` endpoints): the context comes along by itself, so spans do;
the profiler is told which span the thread works for."""

from __future__ import annotations

import functools
from typing import Any, Callable

from .. import _core

call_here = _core.call_here


def install(module: Any) -> None:
    run_sync = module.run_sync

    @functools.wraps(run_sync)
    async def traced_run_sync(func: Callable[..., Any], *args: Any, **options: Any) -> Any:
        return await run_sync(call_here, func, *args, **options)

    module.run_sync = traced_run_sync
