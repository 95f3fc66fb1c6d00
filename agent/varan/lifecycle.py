"""The end of the process, and exceptions that nobody catches."""

from __future__ import annotations

import atexit
import os
import sys
from typing import Any

from . import _core, _report

# How long the end of a process waits for the server (VARAN_EXIT_TIMEOUT_MS).
exit_timeout_ms = 2000


def flush_at_exit() -> None:
    try:
        _core.flush(exit_timeout_ms)
    except Exception:
        pass


def _tell_at_exit() -> None:
    counts = _core.stats()
    kept = ", ".join(
        f"{key} {value}" for key, value in counts.items() if value and key != "instance_id"
    )
    _report.once("exit", f"pid {os.getpid()}: {kept}")


def _wrap_os_exit() -> None:
    """os._exit() skips atexit; multiprocessing's children and forked workers leave by it."""
    leave = os._exit

    def _exit(status: int) -> Any:
        flush_at_exit()
        leave(status)

    os._exit = _exit  # type: ignore[assignment]


def _wrap_excepthooks() -> None:
    before = sys.excepthook

    def excepthook(kind: Any, value: Any, trace: Any) -> Any:
        try:
            if isinstance(value, Exception):
                _core.emit_exception(f"Unhandled {kind.__name__} ends the process", value)
        except Exception:
            pass
        return before(kind, value, trace)

    sys.excepthook = excepthook


def _wrap_unraisablehook() -> None:
    """Exceptions in destructors and callbacks, which Python can only print."""
    before = sys.unraisablehook

    def unraisablehook(args: Any) -> Any:
        try:
            if isinstance(args.exc_value, Exception):
                place = getattr(args.object, "__qualname__", type(args.object).__name__)
                _core.emit_exception(
                    f"Unraisable {args.exc_type.__name__} in {place}", args.exc_value
                )
        except Exception:
            pass
        return before(args)

    sys.unraisablehook = unraisablehook


def wrap_thread_excepthook(threading: Any) -> None:
    before = threading.excepthook

    def excepthook(args: Any) -> Any:
        try:
            if isinstance(args.exc_value, Exception):
                name = getattr(args.thread, "name", "?")
                _core.emit_exception(
                    f"Unhandled {args.exc_type.__name__} ends thread {name}", args.exc_value
                )
        except Exception:
            pass
        return before(args)

    threading.excepthook = excepthook


def _join_starter() -> None:
    """A program that was started from within a trace is a part of it: its own work, not the requests it serves."""
    parent = os.environ.get("TRACEPARENT")
    span = _core.remote_span(parent, os.environ.get("TRACESTATE")) if parent else None
    if span is not None and _core.current_span() is None:
        _core.attach(span)


def start_profiler(settings: Any) -> None:
    if settings.profiler[0]:
        _core.set_profiler(*settings.profiler)
        os.register_at_fork(after_in_child=_core.start_profiler_in_child)


def install(settings: Any) -> None:
    global exit_timeout_ms
    exit_timeout_ms = settings.exit_timeout_ms
    _join_starter()
    if settings.debug:
        atexit.register(_tell_at_exit)
    atexit.register(flush_at_exit)
    _wrap_os_exit()
    _wrap_excepthooks()
    _wrap_unraisablehook()
