"""prometheus_client is in the process: its registry is exported as it is."""

from __future__ import annotations

from typing import Any

from .. import prometheus


def install(module: Any) -> None:
    prometheus.install(module)
