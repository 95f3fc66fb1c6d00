"""`@varan.span("name")`: a span for each call of a function, plain or async."""

from __future__ import annotations

import functools
from typing import Any, Callable

_COROUTINE = 0x80 | 0x100  # inspect.CO_COROUTINE, CO_ITERABLE_COROUTINE


def decorate(span: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    code = getattr(function, "__code__", None)
    if code is not None and code.co_flags & _COROUTINE:

        @functools.wraps(function)
        async def traced_async(*args: Any, **kwargs: Any) -> Any:
            with span.copy():
                return await function(*args, **kwargs)

        return traced_async

    @functools.wraps(function)
    def traced(*args: Any, **kwargs: Any) -> Any:
        with span.copy():
            return function(*args, **kwargs)

    return traced
