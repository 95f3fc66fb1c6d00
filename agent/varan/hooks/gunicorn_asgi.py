"""gunicorn's own ASGI worker."""

from __future__ import annotations

import functools
from typing import Any

from .asgi import traced


def install(module: Any) -> None:
    worker = module.ASGIWorker
    load_wsgi = worker.load_wsgi

    @functools.wraps(load_wsgi)
    def traced_load(self: Any) -> None:
        load_wsgi(self)
        self.asgi = traced(self.asgi)

    worker.load_wsgi = traced_load
