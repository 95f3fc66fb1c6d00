"""subprocess: a client span per program inside a trace, from its start to its end, and the span's identifiers in the
program's environment (TRACEPARENT). Its arguments stay here: they hold secrets too often."""

from __future__ import annotations

import functools
import os
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.subprocess", _core.version)
current_span = _core.current_span
ENV_POSITION = 10  # of Popen's parameters after self

SPAN = "_varan_span"


def _name_of(args: Any) -> str:
    if isinstance(args, (list, tuple)):
        args = args[0] if args else ""
    else:
        args = os.fsdecode(args).split(" ", 1)[0]
    return os.path.basename(os.fsdecode(args)) or "process"


def _start(args: Any, rest: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The span, with the environment in kwargs."""
    if current_span() is None:
        return None  # the start of an application, not a part of something that is being watched
    name = _name_of(kwargs["executable"] if kwargs.get("executable") else args)
    span = TRACER.start_span(name, kind=3, attributes={"process.executable.name": name})
    if len(rest) < ENV_POSITION and span.is_recording():
        given = kwargs.get("env")
        env = dict(os.environ if given is None else given)
        env["TRACEPARENT"] = span.traceparent()
        kwargs["env"] = env
    return span


def _end(process: Any, status: int | None) -> None:
    span = process.__dict__.get(SPAN)
    if span is not None and status is not None:
        process.__dict__.pop(SPAN)
        span.set("process.exit.code", status)
        if status:
            span.set("error.type", str(status))
            span.set_status("error")
        span.end()


def install(module: Any) -> None:
    popen = module.Popen
    initialize = popen.__init__
    handle = popen._handle_exitstatus

    @functools.wraps(initialize)
    def __init__(self: Any, args: Any, *rest: Any, **kwargs: Any) -> None:
        try:
            span = _start(args, rest, kwargs)
        except Exception:
            span = None
        if span is None:
            return initialize(self, args, *rest, **kwargs)
        try:
            initialize(self, args, *rest, **kwargs)
        except Exception as error:
            span.fail(error)
            span.end()
            raise
        span.set("process.pid", self.pid)
        setattr(self, SPAN, span)
        return None

    @functools.wraps(handle)
    def traced_handle(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return handle(self, *args, **kwargs)
        finally:
            _end(self, self.returncode)

    popen.__init__ = __init__
    popen._handle_exitstatus = traced_handle
