"""psycopg 3, sync and async: a span per statement, the end of a transaction, and connecting."""

from __future__ import annotations

import functools
from typing import Any

from ._database import (
    Databases,
    patch,
    patch_async,
    patch_statements,
    start,
    start_connect,
    until_done,
)

DATABASES = Databases("varan.psycopg", "postgresql")


def _statements_of(connection: Any) -> Any:
    statements = getattr(connection, "_varan_statements", None)
    if statements is None:
        info = connection.info
        statements = DATABASES.get(info.dbname, info.host, info.port)
        connection._varan_statements = statements
    return statements


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _wrap_copy(owner: Any) -> None:
    """copy() is a context manager: its span lasts as long."""
    copy = owner.__dict__.get("copy")
    if copy is None:
        return

    def traced(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        manager = copy(self, statement, *args, **kwargs)
        span = start(_statements_of, self.connection, statement)
        return manager if span is None else _Copy(manager, span)

    owner.copy = traced


def _wrap_stream(owner: Any, wrap: Any) -> None:
    """stream() is a generator: its span lasts until the last row, or until nobody wants more."""
    stream = owner.__dict__.get("stream")
    if stream is not None:
        owner.stream = wrap(stream)


def _streamed(stream: Any) -> Any:
    @functools.wraps(stream)
    def traced(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(_statements_of, self.connection, query)
        with until_done(span):
            yield from stream(self, query, *args, **kwargs)

    return traced


def _streamed_async(stream: Any) -> Any:
    @functools.wraps(stream)
    async def traced(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(_statements_of, self.connection, query)
        with until_done(span):
            async for row in stream(self, query, *args, **kwargs):
                yield row

    return traced


def _at_work(connection: Any) -> Any:
    """The connection when it is in a transaction: ending none is no work."""
    return connection if connection.pgconn.transaction_status else None


def _outer(transaction: Any) -> Any:
    """The connection of a transaction that is not a savepoint in another."""
    return transaction.connection if transaction._outer_transaction else None


def _end_of(kind: Any) -> str:
    return "COMMIT" if kind is None else "ROLLBACK"


def _target(conninfo: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(conninfo or "", **kwargs)
    return given.get("dbname"), given.get("host"), given.get("port")


_OWN_ARGUMENTS = ("autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory")


def _wrap_connect(owner: Any, asynchronous: bool) -> None:
    connect = owner.__dict__["connect"].__func__

    def begin(conninfo: Any, kwargs: Any) -> Any:
        given = {k: v for k, v in kwargs.items() if k not in _OWN_ARGUMENTS}
        return start_connect(DATABASES, lambda: _target(conninfo, given))

    def traced(cls: Any, conninfo: Any = "", **kwargs: Any) -> Any:
        span = begin(conninfo, kwargs)
        with until_done(span):
            return connect(cls, conninfo, **kwargs)

    async def traced_async(cls: Any, conninfo: Any = "", **kwargs: Any) -> Any:
        span = begin(conninfo, kwargs)
        with until_done(span, BaseException):
            return await connect(cls, conninfo, **kwargs)

    owner.connect = classmethod(functools.wraps(connect)(traced_async if asynchronous else traced))


class _Copy:
    def __init__(self, manager: Any, span: Any) -> None:
        self.manager, self.span = manager, span

    def _end(self, error: Any) -> None:
        if error is not None:
            self.span.fail(error)
        self.span.end()

    def __enter__(self) -> Any:
        try:
            return self.manager.__enter__()
        except Exception as error:
            self._end(error)
            raise

    def __exit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            result = self.manager.__exit__(kind, error, trace)
        except Exception as end_error:  # what the server thinks of the data
            self._end(end_error)
            raise
        self._end(error)
        return result

    async def __aenter__(self) -> Any:
        try:
            return await self.manager.__aenter__()
        except BaseException as error:
            self._end(error)
            raise

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            result = await self.manager.__aexit__(kind, error, trace)
        except BaseException as end_error:
            self._end(end_error)
            raise
        self._end(error)
        return result


def install(module: Any) -> None:
    for name in ("Cursor", "ServerCursor", "AsyncCursor", "AsyncServerCursor"):
        owner = getattr(module, name, None)
        if owner is None:
            continue
        awaited = name.startswith("Async")
        for method in ("execute", "executemany"):
            if awaited:
                patch_async(owner, method, _statements_of, _connection_of)
            else:
                patch_statements(owner, method, _statements_of, "connection")
        _wrap_copy(owner)
        _wrap_stream(owner, _streamed_async if awaited else _streamed)
    for name, wrap in (("Connection", patch), ("AsyncConnection", patch_async)):
        owner = getattr(module, name)
        owner.varan_off = False
        wrap(owner, "commit", _statements_of, _at_work, text="COMMIT")
        wrap(owner, "rollback", _statements_of, _at_work, text="ROLLBACK")
        _wrap_connect(owner, name.startswith("Async"))
    module.connect = module.Connection.connect
    patch(module.Transaction, "__exit__", _statements_of, _outer, text=_end_of)
    patch_async(module.AsyncTransaction, "__aexit__", _statements_of, _outer, text=_end_of)
