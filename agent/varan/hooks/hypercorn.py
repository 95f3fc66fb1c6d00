"""hypercorn: its wrappers around ASGI and WSGI applications."""

from __future__ import annotations

import functools
from typing import Any

from . import asgi, wsgi


def install(module: Any) -> None:
    _wrap(module.ASGIWrapper, asgi.traced)
    _wrap(module.WSGIWrapper, wsgi.traced)


def _wrap(wrapper: Any, traced: Any) -> None:
    initialize = wrapper.__init__

    @functools.wraps(initialize)
    def __init__(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, traced(app), *args, **kwargs)

    wrapper.__init__ = __init__
