"""Routes of Starlette and FastAPI: the path template becomes the span's name."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

set_route = _core.set_route
PREFIX = "varan.route"


def install(module: Any) -> None:
    _wrap_route(module.Route)
    if hasattr(module, "WebSocketRoute"):
        _wrap_route(module.WebSocketRoute)
    _wrap_mount(module.Mount)


def _wrap_route(route: Any) -> None:
    handle = route.handle

    @functools.wraps(handle)
    def traced_handle(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        try:
            span = scope.get("varan.span")
            if span is not None:
                set_route(span, scope.get(PREFIX, "") + self.path)
        except Exception:
            pass
        return handle(self, scope, receive, send)

    route.handle = traced_handle


def _wrap_mount(mount: Any) -> None:
    handle = mount.handle

    @functools.wraps(handle)
    def traced_handle(self: Any, scope: dict[str, Any], receive: Any, send: Any) -> Any:
        try:
            scope[PREFIX] = scope.get(PREFIX, "") + self.path
        except Exception:
            pass
        return handle(self, scope, receive, send)

    mount.handle = traced_handle
