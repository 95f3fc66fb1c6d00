"""A LoggerProvider of OpenTelemetry's SDK that the application configures in its code. It stays as it is, with its
processors and exporters; a processor more brings its records and events to us. What comes from `logging` is here already,
by our own hook."""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

from . import _report, otel_adopt

_handling = (
    threading.local()
)  # .now: this thread is in a handler of `logging` that emits to the SDK
HANDLERS = (
    ("opentelemetry.sdk._logs", "LoggingHandler"),
    ("opentelemetry.instrumentation.logging.handler", "LoggingHandler"),
)


def is_of_sdk(provider: Any) -> bool:
    sdk: Any = sys.modules.get("opentelemetry.sdk._logs")
    return sdk is not None and isinstance(provider, sdk.LoggerProvider)


def _mark(module: Any, name: str) -> None:
    """Records that a handler emits are known by the thread's mark."""
    handler = getattr(module, name, None)
    emit = None if handler is None else handler.__dict__.get("emit")
    if emit is None or hasattr(emit, "__wrapped__"):
        return

    @functools.wraps(emit)
    def marked(self: Any, record: Any) -> Any:
        before = getattr(_handling, "now", False)
        _handling.now = True
        try:
            return emit(self, record)
        finally:
            _handling.now = before

    handler.emit = marked


def _make_processor(sdk: Any, ours: Any) -> Any:
    loggers: dict[Any, Any] = {}

    class VaranProcessor(sdk.LogRecordProcessor):  # type: ignore[misc, name-defined]
        def on_emit(self, log_record: Any) -> None:
            if getattr(_handling, "now", False):
                return
            try:
                scope = log_record.instrumentation_scope
                key = (scope.name, scope.version, scope.schema_url)
                logger = loggers.get(key)
                if logger is None:
                    logger = loggers[key] = ours.get_logger(
                        scope.name, scope.version or None, scope.schema_url or None
                    )
                logger.emit(log_record.log_record)
            except Exception as error:
                _report.failure("taking the application's log records over", error)

        emit = on_emit  # its name in older SDKs

        def shutdown(self) -> None:
            pass

        def force_flush(self, timeout_millis: int = 0) -> bool:
            return True

    return VaranProcessor()


def _exporter(processor: Any) -> Any:
    batch = getattr(processor, "_batch_processor", processor)
    return getattr(batch, "_exporter", None)


def adopt(provider: Any, ours: Any, target: Any) -> None:
    """`target`: where the agent sends."""
    import opentelemetry.sdk._logs as sdk

    from .imports import when_imported

    for module, name in HANDLERS:
        when_imported(module, functools.partial(_mark, name=name))
    several = provider._multi_log_record_processor
    kept = []
    for processor in several._log_record_processors:
        if otel_adopt.sends_to_us(_exporter(processor), target):
            _report.once(
                "own log exporter",
                "the application's OTLP exporter sends to the same server: its log records go there once, by the agent",
            )
        else:
            kept.append(processor)
    several._log_record_processors = (*kept, _make_processor(sdk, ours))
