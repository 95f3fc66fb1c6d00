"""FastAPI's routes, where they differ from Starlette's: the prefixes of included routers are applied at request time."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from .starlette_routes import PREFIX

set_route = _core.set_route


def install(module: Any) -> None:
    route = module.APIRoute
    handle = route.__dict__.get("handle")
    effective = getattr(module, "_get_scope_effective_route_context", None)
    if handle is None or effective is None:
        return  # an older version: Starlette's hook sees the whole path

    @functools.wraps(handle)
    def traced_handle(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        try:
            span = scope.get("varan.span")
            if span is not None:
                context = effective(scope)
                mine = context is not None and context.original_route is self
                set_route(
                    span, scope.get(PREFIX, "") + (context.path_format if mine else self.path)
                )
        except Exception:
            pass
        return handle(self, scope, receive, send)

    route.handle = traced_handle
