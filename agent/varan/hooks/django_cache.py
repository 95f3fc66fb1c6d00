"""Django's caches: a span per operation inside a trace. Keys lose what tells one from another: they may be personal,
and their pattern is what one looks for."""

from __future__ import annotations

import functools
import re
from typing import Any

from .. import _core
from .django_wsgi import TRACER

current_span = _core.current_span
KEY_MAX = 200
VARYING = re.compile(r"[0-9a-fA-F-]{8,}|[0-9]+|[^@:/\s]+@[^:/\s]+")
READS = ("get", "get_many")
OPERATIONS = (
    *READS,
    "set",
    "add",
    "delete",
    "touch",
    "incr",
    "decr",
    "set_many",
    "delete_many",
    "clear",
)

_wrapped: set[type] = set()


def key_pattern(key: Any) -> str:
    """cart:1234 → cart:?"""
    return VARYING.sub("?", key[:KEY_MAX]) if isinstance(key, str) else type(key).__name__


def _wrap(backend: type, operation: str) -> None:
    method = getattr(backend, operation, None)
    if method is None or getattr(method, "_varan", False):
        return
    name = f"cache {operation}"

    @functools.wraps(method)
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer = current_span()
        # Outside a trace nobody looks for it; operations that are made of others are one.
        if outer is None or getattr(outer, "name", "").startswith("cache "):
            return method(self, *args, **kwargs)
        with TRACER.start_as_current_span(name, kind=3) as span:
            span.set("cache.operation", operation)
            span.set("cache.system", type(self).__name__)
            if args:
                span.set("cache.key", key_pattern(args[0]))
            result = method(self, *args, **kwargs)
            if operation == "get":
                missing = args[1] if len(args) > 1 else kwargs.get("default")
                span.set("cache.hit", result is not missing)
            elif operation == "get_many":
                span.set("cache.hit", bool(result))
            return result

    traced._varan = True  # type: ignore[attr-defined]
    setattr(backend, operation, traced)


def install(module: Any) -> None:
    handler = module.CacheHandler
    create_connection = handler.create_connection

    @functools.wraps(create_connection)
    def traced_create(self: Any, alias: str) -> Any:
        cache = create_connection(self, alias)
        try:
            backend = type(cache)
            if backend not in _wrapped:
                _wrapped.add(backend)
                for operation in OPERATIONS:
                    _wrap(backend, operation)
        except Exception:
            pass
        return cache

    handler.create_connection = traced_create
