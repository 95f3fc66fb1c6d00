"""concurrent.futures: what an executor runs belongs to the trace of whom submitted it."""

from __future__ import annotations

import functools
from typing import Any, Callable

from .. import _core

call_below = _core.call_below
current_span = _core.current_span
Span = _core.Span


def install(module: Any) -> None:
    executor = module.ThreadPoolExecutor
    submit = executor.submit

    @functools.wraps(submit)
    def traced_submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        span = current_span()
        # Shortest way first: asyncio and anyio submit context.run, which carries the span by itself.
        if type(span) is not Span or getattr(fn, "__name__", "") == "run":
            return submit(self, fn, *args, **kwargs)
        return submit(self, call_below, span, fn, *args, **kwargs)

    executor.submit = traced_submit
