"""uvicorn, alone and as a worker of gunicorn."""

from __future__ import annotations

import functools
from typing import Any

from .asgi import traced


def install(module: Any) -> None:
    config = module.Config
    load = config.load

    @functools.wraps(load)
    def traced_load(self: Any) -> None:
        load(self)
        self.loaded_app = traced(self.loaded_app)

    config.load = traced_load
