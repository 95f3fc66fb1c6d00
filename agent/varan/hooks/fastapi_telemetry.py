"""FastAPI's own telemetry makes a server span and measures requests as well: off when these would come to us, on for
anybody else."""

from __future__ import annotations

import functools
from typing import Any

from .. import otel


def install(module: Any) -> None:
    telemetry = module.NativeTelemetry
    enabled = telemetry.enabled

    @functools.wraps(enabled)
    def enabled_elsewhere(self: Any) -> bool:
        config = self.config
        if config.get("tracing") and config.get("tracer_provider") is None and otel.is_ours():
            config["tracing"] = False
        if config.get("metrics") and config.get("meter_provider") is None and otel.is_ours():
            config["metrics"] = False
        return enabled(self)

    telemetry.enabled = enabled_elsewhere
