"""Log records leave as OTLP log records, after the application's own handlers have seen them; nothing of the logging
configuration is touched."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

emit_log = _core.emit_log


def install(module: Any) -> None:
    call_handlers = module.Logger.callHandlers

    @functools.wraps(call_handlers)
    def callHandlers(self: Any, record: Any) -> None:
        try:
            call_handlers(self, record)
        finally:
            emit_log(record)

    module.Logger.callHandlers = callHandlers
