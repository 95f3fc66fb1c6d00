"""Routes of Starlette and FastAPI: the path template becomes the span's name."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

PREFIX = "varan.route"


def install(module: Any) -> None:
    for route in (module.Route, getattr(module, "WebSocketRoute", None)):
        if route is not None:
            route.handle = _core.RouteHandle(route.handle, None)
    _wrap_mount(module.Mount)


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
