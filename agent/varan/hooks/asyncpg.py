"""asyncpg: a span per statement, also of prepared ones."""

from __future__ import annotations

from typing import Any

from ._database import Databases, itself, patch_async, start

DATABASES = Databases("varan.asyncpg", "postgresql")


def _statements_of(connection: Any) -> Any:
    address = connection._addr
    host, port = address if isinstance(address, tuple) else (address, None)
    return DATABASES.get(getattr(connection._params, "database", None), host, port)


def install(module: Any) -> None:
    from asyncpg import prepared_stmt

    connection = module.Connection
    connection.varan_off = False
    # fetch(), fetchrow() and fetchval() come here, execute() with arguments too; without, it has its own way.
    for name in ("execute", "_execute", "_executemany"):
        patch_async(connection, name, _statements_of, itself)
    _unnest(connection)
    statement = prepared_stmt.PreparedStatement
    for name in ("fetch", "fetchrow", "fetchval", "executemany"):
        _patch_prepared(statement, name)


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
