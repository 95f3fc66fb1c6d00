"""FastAPI's routes, where they differ from Starlette's: the prefixes of included routers are applied at request time."""

from __future__ import annotations

from typing import Any

from .. import _core


def install(module: Any) -> None:
    route = module.APIRoute
    handle = route.__dict__.get("handle")
    effective = getattr(module, "_get_scope_effective_route_context", None)
    if handle is None or effective is None:
        return  # an older version: Starlette's hook sees the whole path

    route.handle = _core.RouteHandle(handle, effective)
