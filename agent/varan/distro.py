"""Varan behind `opentelemetry-instrument`: its distro starts the agent and leaves to OpenTelemetry's loader what the
hooks do not do. With other distros installed: OTEL_PYTHON_DISTRO=varan OTEL_PYTHON_CONFIGURATOR=varan."""

from __future__ import annotations

import os
from typing import Any

from opentelemetry.instrumentation.distro import BaseDistro

import varan

from . import contrib, imports


def _start() -> None:
    how = os.environ.get("VARAN_DOCTOR")
    if how:  # OpenTelemetry's sitecustomize hides the agent's
        from . import doctor

        doctor.run(how)
    else:
        varan.start()


class Distro(BaseDistro):
    """Started first."""

    def _configure(self, **kwargs: Any) -> None:
        _start()

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        available = frozenset(hook for _, hook in imports.HOOKS)
        if not contrib.is_ours(entry_point.name, available, imports.disabled):
            super().load_instrumentor(entry_point, **kwargs)


class Configurator:
    """Nothing is left to configure: the providers are in place."""

    def configure(self, **kwargs: Any) -> None:
        _start()
