"""Threads: what they do belongs to the trace of whom started them; exceptions that end one are told."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core, lifecycle

attach = _core.attach
current_span = _core.current_span
Span = _core.Span

# Threads that serve many masters: whom they work for comes with the work.
POOLS = (
    "concurrent.futures.",
    "multiprocessing.",
    "anyio.",
    "asgiref.",
    "celery.",
    "kombu.",
    "gevent.threadpool",
)


def _is_pools(thread: Any) -> bool:
    if type(thread).__module__.startswith(POOLS):
        return True
    target = getattr(thread, "_target", None)
    return target is not None and (getattr(target, "__module__", None) or "").startswith(POOLS)


def install(module: Any) -> None:
    lifecycle.wrap_thread_excepthook(module)
    thread = module.Thread
    start, bootstrap = thread.start, thread._bootstrap_inner

    @functools.wraps(start)
    def traced_start(self: Any) -> None:
        span = current_span()
        if type(span) is Span and not _is_pools(self):
            self._varan_span = span
        start(self)

    @functools.wraps(bootstrap)
    def traced_bootstrap(self: Any) -> None:
        span = self.__dict__.pop("_varan_span", None)
        if span is not None:
            attach(span)
        bootstrap(self)

    thread.start = traced_start
    thread._bootstrap_inner = traced_bootstrap
