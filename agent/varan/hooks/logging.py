"""Log records leave as OTLP log records, after the application's own handlers have seen them; nothing of the logging
configuration is touched. VARAN_LOG_CONSOLE=json lets what goes to the terminal be JSON with the trace's ids."""

from __future__ import annotations

import functools
import json
import os
import sys
from typing import Any

from .. import _core

emit_log = _core.emit_log

# What a record has of its own; the rest is what the application has added.
_OWN = frozenset(
    "name msg args levelname levelno pathname filename module exc_info exc_text stack_info lineno funcName created "
    "msecs relativeCreated thread threadName processName process taskName message asctime".split()
)


def _json_line(handler: Any, formatter: Any, record: Any) -> str:
    from datetime import datetime, timezone

    time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
    line: dict[str, Any] = {
        "time": time.replace("+00:00", "Z"),
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
    }
    span = _core.current_span()
    if span is not None:
        parts = span.traceparent().split("-")
        line["trace_id"], line["span_id"] = parts[1], parts[2]
    line["place"] = f"{record.pathname}:{record.lineno}"
    for key, value in record.__dict__.items():
        if key not in _OWN and not key.startswith("_"):
            line[key] = value
    if record.exc_info:
        line["exception"] = formatter.formatException(record.exc_info)
    return json.dumps(line, default=str, ensure_ascii=False)


def _wrap_console(module: Any) -> None:
    handler_type = module.StreamHandler
    format_as_before = handler_type.format
    formatter = module.Formatter()

    @functools.wraps(format_as_before)
    def format(self: Any, record: Any) -> Any:
        stream = getattr(self, "stream", None)
        if stream is sys.stderr or stream is sys.stdout:
            try:
                return _json_line(self, formatter, record)
            except Exception:
                pass
        return format_as_before(self, record)

    handler_type.format = format


def install(module: Any) -> None:
    call_handlers = module.Logger.callHandlers

    @functools.wraps(call_handlers)
    def callHandlers(self: Any, record: Any) -> None:
        try:
            call_handlers(self, record)
        finally:
            emit_log(record)

    module.Logger.callHandlers = callHandlers
    if os.environ.get("VARAN_LOG_CONSOLE", "").strip().lower() == "json":
        _wrap_console(module)
