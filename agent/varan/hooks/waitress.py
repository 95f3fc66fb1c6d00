"""waitress."""

from __future__ import annotations

import functools
from typing import Any

from .wsgi import traced


def install(module: Any) -> None:
    server = module.BaseWSGIServer
    initialize = server.__init__

    @functools.wraps(initialize)
    def __init__(self: Any, application: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, traced(application), *args, **kwargs)

    server.__init__ = __init__
