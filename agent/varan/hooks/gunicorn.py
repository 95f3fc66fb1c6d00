"""gunicorn: wraps the application that its own workers load. Uvicorn's worker is served by the ASGI hook."""

from __future__ import annotations

import functools
from typing import Any

from .wsgi import traced


def install(module: Any) -> None:
    worker = module.Worker
    load_wsgi = worker.load_wsgi

    @functools.wraps(load_wsgi)
    def traced_load(self: Any) -> None:
        load_wsgi(self)
        if type(self).__module__.startswith("gunicorn.workers.") and not _is_asgi(self):
            self.wsgi = traced(self.wsgi)

    worker.load_wsgi = traced_load


def _is_asgi(worker: Any) -> bool:
    return "asgi" in type(worker).__module__
