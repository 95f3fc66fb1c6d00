"""loguru: its records leave as OTLP log records. Where it stands before or behind `logging`, a line is sent once: by
the one that the application called."""

from __future__ import annotations

import functools
import logging
import threading
from typing import Any

from .. import _core

emit_log = _core.emit_log

_state = threading.local()  # inside: the library that the thread is about to log with

# loguru's options: (exception, depth, record, lazy, colors, raw, capture, patchers, extra)
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


def install(module: Any) -> None:
    logger = module.Logger
    log = logger._log

    @functools.wraps(log)
    def _log(
        self: Any, level: Any, from_decorator: Any, options: Any, message: Any, *rest: Any
    ) -> Any:
        inside = getattr(_state, "inside", "")
        try:
            options = list(options)
            options[_DEPTH] += 1  # this function's frame
            if inside != "logging":
                options[_PATCHERS] = [*options[_PATCHERS], _send]
            options = tuple(options)
        except Exception:
            return log(self, level, from_decorator, options, message, *rest)
        _state.inside = "loguru"
        try:
            return log(self, level, from_decorator, options, message, *rest)
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
