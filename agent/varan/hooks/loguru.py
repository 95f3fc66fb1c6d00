"""loguru: its records leave as OTLP log records. Where it stands before or behind `logging`, a line is sent once: by
the one that the application called."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from typing import Any

from .. import _core

emit_log = _core.emit_log

_state = threading.local()  # inside: the library that the thread is about to log with

# loguru's options: (exception, depth, record, lazy, colors, raw, capture, patchers, extra); before 0.7 one patcher or none
_DEPTH, _PATCHERS = 1, 7


def _send(record: Any) -> None:
    """A patcher that changes nothing; runs after the level and the filters by module have let the record pass."""
    try:
        exception = record["exception"]
        fields = {
            "name": record["name"], "msg": record["message"], "args": None, "levelno": record["level"].no,
            "levelname": record["level"].name, "pathname": record["file"].path, "lineno": record["line"],
            "funcName": record["function"], "created": record["time"].timestamp(),
            "threadName": record["thread"].name,
            "exc_info": tuple(exception) if exception is not None else None,
        }  # fmt: skip
        for key, value in record["extra"].items():
            fields.setdefault(key, value)
        emit_log(logging.makeLogRecord(fields))
    except Exception:
        pass


def _with_sending(patchers: Any) -> Any:
    if isinstance(patchers, list):
        return [*patchers, _send]
    if patchers is None:
        return _send

    def both(record: Any) -> None:
        patchers(record)
        _send(record)

    return both


def install(module: Any) -> None:
    logger = module.Logger
    log = logger._log
    at = (
        list(inspect.signature(log).parameters).index("options") - 1
    )  # `self` is not among the arguments

    @functools.wraps(log)
    def _log(self: Any, *arguments: Any) -> Any:
        inside = getattr(_state, "inside", "")
        try:
            options = list(arguments[at])
            options[_DEPTH] += 1  # this function's frame
            if inside != "logging":
                options[_PATCHERS] = _with_sending(options[_PATCHERS])
            changed = (*arguments[:at], tuple(options), *arguments[at + 1 :])
        except Exception:
            return log(self, *arguments)
        _state.inside = "loguru"
        try:
            return log(self, *changed)
        finally:
            _state.inside = inside

    logger._log = _log
    _wrap_logging()


def _wrap_logging() -> None:
    """Handlers may hand a record on from one library to the other."""
    call_handlers = logging.Logger.callHandlers
    plain = getattr(call_handlers, "__wrapped__", call_handlers)

    @functools.wraps(plain)
    def callHandlers(self: Any, record: Any) -> None:
        inside = getattr(_state, "inside", "")
        if inside == "loguru":
            return plain(self, record)
        _state.inside = "logging"
        try:
            call_handlers(self, record)
        finally:
            _state.inside = inside

    logging.Logger.callHandlers = callHandlers  # type: ignore[method-assign]
