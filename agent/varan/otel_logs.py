"""Varan as the logs SDK of the OpenTelemetry API: its logger provider. Records and events become OTLP log records in C."""

from __future__ import annotations

from typing import Any

from . import _core, otel_watch

_provider: Any = None


def _make_provider_type(api: Any) -> type:
    class Logger(api.Logger):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, version: str | None, schema_url: str | None, attributes: Any):
            super().__init__(name, version, schema_url, attributes)
            self._scope = _core.Tracer(
                name, version, schema_url, dict(attributes) if attributes else None
            )

        def enabled(self, **_: Any) -> bool:
            return True

        def emit(self, record: Any = None, **given: Any) -> None:
            def get(name: str) -> Any:
                value = given.get(name)
                return value if value is not None else getattr(record, name, None)

            number = get("severity_number")
            # A record says where it belongs by its context, or by ids of its own (older APIs).
            context = get("context")
            if not context and getattr(record, "trace_id", 0) and getattr(record, "span_id", 0):
                context = record
            _core.emit_otel(
                self._scope,
                get("timestamp"),
                get("observed_timestamp"),
                getattr(number, "value", number),
                get("severity_text"),
                get("body"),
                get("attributes"),
                get("event_name"),
                get("exception"),
                context,
            )

    class LoggerProvider(api.LoggerProvider):  # type: ignore[misc, name-defined]
        """Hands out loggers that encode in C."""

        def get_logger(
            self,
            name: str,
            version: str | None = None,
            schema_url: str | None = None,
            attributes: Any = None,
            **_: Any,
        ) -> Any:
            return Logger(name or "", version, schema_url, attributes)

        def force_flush(self, timeout_millis: int = 30000) -> bool:
            return _core.flush(int(timeout_millis)) == 0

        def shutdown(self) -> None:
            _core.flush(2000)

    return LoggerProvider


def make_logger_provider() -> Any:
    """The entry point `opentelemetry_logger_provider`."""
    if _provider is None:
        from opentelemetry import _logs as api

        bind(api)
    return _provider


def _adopt(provider: Any) -> None:
    """An SDK's provider that the application sets; those of other makers replace ours."""
    from . import otel, otel_logger_adopt

    if otel_logger_adopt.is_of_sdk(provider):
        otel_logger_adopt.adopt(provider, _provider, otel.target)


def bind(api: Any) -> None:
    """Makes Varan the logger provider, unless the application has set one. One of the SDK's that it sets sends to us, too;
    others replace ours."""
    global _provider
    if _provider is not None or not _core.native:
        return
    _provider = _make_provider_type(api)()
    otel_watch.put_in_place(api, "logger", _provider, _adopt)
