"""The OpenTelemetry API is in the process: Varan becomes its SDK."""

from __future__ import annotations

from typing import Any

from .. import otel


def install(module: Any) -> None:
    otel.bind(module)
