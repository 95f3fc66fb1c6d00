"""hypercorn: its wrapper around ASGI applications."""

from __future__ import annotations

import functools
from typing import Any

from .asgi import traced


def install(module: Any) -> None:
    wrapper = module.ASGIWrapper
    initialize = wrapper.__init__

    @functools.wraps(initialize)
    def __init__(self: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, traced(app), *args, **kwargs)

    wrapper.__init__ = __init__
