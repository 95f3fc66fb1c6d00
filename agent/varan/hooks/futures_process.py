"""concurrent.futures' processes: the submitter's identifiers travel with the work."""

from __future__ import annotations

import functools
from typing import Any, Callable

from .. import _core
from .processes import Sender

current_span = _core.current_span


def install(module: Any) -> None:
    executor = module.ProcessPoolExecutor
    submit = executor.submit

    @functools.wraps(submit)
    def traced_submit(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        span = current_span()
        if span is None or not hasattr(span, "traceparent"):
            return submit(self, fn, *args, **kwargs)
        return submit(self, Sender(span).call, fn, *args, **kwargs)

    executor.submit = traced_submit
