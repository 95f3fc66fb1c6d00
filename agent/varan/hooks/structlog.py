"""structlog: events leave as OTLP log records with their key-value pairs. What goes on to `logging` is sent from there,
with the pairs."""

from __future__ import annotations

import functools
import logging
import sys
from typing import Any

from .. import _core

emit_log = _core.emit_log

LEVELS = {"debug": 10, "info": 20, "msg": 20, "warning": 30, "warn": 30, "error": 40, "err": 40, "exception": 40,
          "critical": 50, "fatal": 50}  # fmt: skip


def _caller() -> tuple[str, int, str]:
    frame: Any = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith("structlog") and module != __name__:
            return frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name
        frame = frame.f_back
    return "", 0, ""


def _exception(given: Any) -> Any:
    if given is True:
        return sys.exc_info()
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    return given if isinstance(given, tuple) else None


def _send(self: Any, method_name: str, event: Any, event_kw: Any) -> None:
    pairs = {**self._context, **event_kw}
    given = pairs.pop("exc_info", None)
    if given is None and method_name == "exception":
        given = True
    path, line, function = _caller()
    fields = {
        "name": str(pairs.pop("logger", "structlog")), "msg": str(event), "args": None,
        "levelno": LEVELS.get(method_name, 20), "pathname": path, "lineno": line, "funcName": function,
        "exc_info": _exception(given),
    }  # fmt: skip
    for key, value in pairs.items():
        fields.setdefault(key, value)
    emit_log(logging.makeLogRecord(fields))


def install(module: Any) -> None:
    base = module.BoundLoggerBase
    process = base._process_event

    @functools.wraps(process)
    def _process_event(self: Any, method_name: str, event: Any, event_kw: Any) -> Any:
        result = process(
            self, method_name, event, event_kw
        )  # raises DropEvent for what is filtered
        try:
            if not isinstance(self._logger, logging.Logger):
                _send(self, method_name, event, event_kw)
        except Exception:
            pass
        return result

    base._process_event = _process_event
