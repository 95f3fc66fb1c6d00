"""multiprocessing: a child's work belongs to the trace of whom started it, and where the agent came by varan.start(),
it comes into spawned children, too."""

from __future__ import annotations

import functools
from typing import Any, Callable

from .. import _core

current_span = _core.current_span
PLAIN = (str, int, float, bool)  # what can always be pickled


class Sender:
    """A span as it goes to another process. Arriving starts the agent there."""

    def __init__(self, span: Any) -> None:
        self.traceparent = span.traceparent() if hasattr(span, "traceparent") else ""
        self.state = getattr(span, "trace_state", None)

    def __setstate__(self, state: dict[str, Any]) -> None:
        import varan

        self.__dict__.update({k: v for k, v in state.items() if k != "start"})
        varan.start(**state["start"])

    def __getstate__(self) -> dict[str, Any]:
        import varan

        plain = {k: v for k, v in varan.start_arguments.items() if type(v) in PLAIN}
        return {**self.__dict__, "start": plain}

    def span(self) -> Any:
        return _core.remote_span(self.traceparent, self.state)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        span = self.span()
        if span is None:
            return function(*args, **kwargs)
        return _core.call_below(span, function, *args, **kwargs)


def install(module: Any) -> None:
    process = module.BaseProcess
    start, bootstrap = process.start, process._bootstrap

    @functools.wraps(start)
    def traced_start(self: Any) -> None:
        self._varan_sender = Sender(current_span())
        try:
            start(self)
        finally:
            del self._varan_sender

    @functools.wraps(bootstrap)
    def traced_bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            sender = self.__dict__.pop("_varan_sender", None)
            span = sender and sender.span()
            if span:
                _core.attach(span)
        except Exception:
            pass
        return bootstrap(self, *args, **kwargs)

    process.start = traced_start
    process._bootstrap = traced_bootstrap
