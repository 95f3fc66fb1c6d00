"""The OpenTelemetry API is in the process: Varan becomes its SDK."""

from __future__ import annotations

from typing import Any

from .. import otel


def install(module: Any) -> None:
    if module.__name__ == "opentelemetry.metrics":
        from .. import otel_metrics

        otel_metrics.bind(module)
    elif module.__name__ == "opentelemetry._logs":
        from .. import otel_logs

        otel_logs.bind(module)
    else:
        otel.bind(module)
