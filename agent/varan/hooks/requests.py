"""requests: a client span per request that goes out, redirects included."""

from __future__ import annotations

from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.requests", _core.version)


def install(module: Any) -> None:
    adapter = module.HTTPAdapter
    adapter.send = _core.ClientMethod(TRACER, adapter.send, True)
