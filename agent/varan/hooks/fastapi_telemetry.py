"""FastAPI's own telemetry makes a server span, metrics and a log record of what was raised as well: off when they would
come to us, who have all of that already, on for anybody else."""

from __future__ import annotations

import functools
import sys
from typing import Any

from .. import otel

# What it tells → the provider that an application may give it.
SIGNALS = {
    "tracing": "tracer_provider",
    "metrics": "meter_provider",
    "logs": "logger_provider",
}


def _is_ours(signal: str) -> bool:
    if signal == "tracing":
        return otel.is_ours()
    name = "opentelemetry.metrics" if signal == "metrics" else "opentelemetry._logs"
    module: Any = sys.modules.get(name)
    if module is None:
        return False
    get = module.get_meter_provider if signal == "metrics" else module.get_logger_provider
    return type(get()).__module__.startswith("varan.")


def install(module: Any) -> None:
    telemetry = module.NativeTelemetry
    enabled = telemetry.enabled

    @functools.wraps(enabled)
    def enabled_elsewhere(self: Any) -> bool:
        if not getattr(self, "_varan_asked", False):
            config = self.config
            for signal, provider in SIGNALS.items():
                if config.get(signal) and config.get(provider) is None and _is_ours(signal):
                    config[signal] = False
            self._varan_asked = True
        return enabled(self)

    telemetry.enabled = enabled_elsewhere
