"""psycopg's pools: how long a connection is waited for."""

from __future__ import annotations

from typing import Any

from ._pools import watch, watch_async


def _name(pool: Any) -> str:
    return str(pool.name)


def install(module: Any) -> None:
    for name in ("ConnectionPool", "NullConnectionPool"):
        watch(getattr(module, name), "getconn", _name)
    for name in ("AsyncConnectionPool", "AsyncNullConnectionPool"):
        watch_async(getattr(module, name), "getconn", _name)
