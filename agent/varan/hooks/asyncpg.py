"""asyncpg: a span per statement, also of prepared ones, cursors and copies; connecting; waiting for a pool."""

from __future__ import annotations

import functools
from typing import Any

from ._database import Databases, itself, patch_async, start, start_connect, until_done
from ._pools import name_of, watch_async

DATABASES = Databases("varan.asyncpg", "postgresql")


def _statements_of(connection: Any) -> Any:
    address = connection._addr
    host, port = address if isinstance(address, tuple) else (address, None)
    return DATABASES.get(getattr(connection._params, "database", None), host, port)


def _copy_into(table: Any) -> str:
    return f"COPY {table} FROM STDIN"


def install(module: Any) -> None:
    from asyncpg import connect_utils, cursor, pool, prepared_stmt

    connection = module.Connection
    connection.varan_off = False
    # fetch(), fetchrow() and fetchval() come here, execute() with arguments too; without, it has its own way.
    for name in ("execute", "_execute", "_executemany", "_copy_in", "_copy_out"):
        patch_async(connection, name, _statements_of, itself)
    patch_async(connection, "copy_records_to_table", _statements_of, itself, text=_copy_into)
    _unnest(connection)
    statement = prepared_stmt.PreparedStatement
    for name in ("fetch", "fetchrow", "fetchval", "fetchmany", "executemany"):
        _patch_prepared(statement, name)
    for name in ("_bind_exec", "_bind"):  # what opens a cursor
        _patch_prepared(cursor.BaseCursor, name)
    _wrap_connect(connect_utils)
    watch_async(pool.Pool, "_acquire", _pool_name)


def _target(given: dict[str, Any]) -> tuple[Any, Any, Any]:
    from urllib.parse import urlsplit

    url = urlsplit(given.get("dsn") or "")
    host = given.get("host") or url.hostname
    return (
        given.get("database") or url.path.strip("/"),
        host if isinstance(host, str) else None,
        given.get("port") or url.port,
    )


def _wrap_connect(module: Any) -> None:
    connect = module._connect

    @functools.wraps(connect)
    async def traced(**kwargs: Any) -> Any:
        span = start_connect(DATABASES, lambda: _target(kwargs))
        with until_done(span, BaseException):
            return await connect(**kwargs)

    module._connect = traced


def _pool_name(pool: Any) -> str:
    namespace, host, port = _target(
        {"dsn": (pool._connect_args or (None,))[0], **pool._connect_kwargs}
    )
    return name_of(host, port, namespace)


def _unnest(connection: Any) -> None:
    """execute() with arguments goes through _execute(), which makes the span. What a pool runs to clean a connection is
    none of the application's."""
    traced, plain = connection.execute, connection.execute.__wrapped__

    async def execute(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        quiet = args or query is self._reset_query
        return await (plain if quiet else traced)(self, query, *args, **kwargs)

    execute.__wrapped__ = plain  # type: ignore[attr-defined]
    execute.__doc__ = plain.__doc__
    connection.execute = execute


def _patch_prepared(owner: Any, name: str) -> None:
    method = owner.__dict__.get(name)
    if method is None:
        return

    async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(_statements_of, self._connection, self._query)
        if span is None:
            return await method(self, *args, **kwargs)
        try:
            return await method(self, *args, **kwargs)
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()

    traced.__doc__ = method.__doc__
    setattr(owner, name, traced)
