"""psycopg2: a span per statement. Connections and cursors are subclasses of the application's own classes, made through
the `connection_factory` and `cursor_factory` arguments, so that the C code sees real ones."""

from __future__ import annotations

import functools
from typing import Any

from ._database import Databases, called, patch, start, start_connect, until_done

DATABASES = Databases("varan.psycopg2", "postgresql")

_connections: dict[type, type] = {}
_cursors: dict[type, type] = {}


def _statements_of(connection: Any) -> Any:
    statements = connection.varan_statements
    if statements is None:
        given = connection.get_dsn_parameters()
        statements = DATABASES.get(given.get("dbname"), given.get("host"), given.get("port"))
        connection.varan_statements = statements
    return statements


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _make_cursor(base: type) -> type:
    class Cursor(base):  # type: ignore[misc, valid-type]
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            return super().executemany(query, *args, **kwargs)

        def callproc(self, procname: Any, *args: Any, **kwargs: Any) -> Any:
            return super().callproc(procname, *args, **kwargs)

        def copy_from(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
            return super().copy_from(file, table, *args, **kwargs)

        def copy_to(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
            return super().copy_to(file, table, *args, **kwargs)

        def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
            return super().copy_expert(sql, *args, **kwargs)

    for name in ("execute", "executemany", "copy_expert"):
        patch(Cursor, name, _statements_of, _connection_of, nested="varan_nested")
    patch(Cursor, "callproc", _statements_of, _connection_of, text=called, nested="varan_nested")
    _patch_copy(Cursor, "copy_from", "COPY {} FROM STDIN")
    _patch_copy(Cursor, "copy_to", "COPY {} TO STDOUT")
    Cursor.__name__, Cursor.__qualname__ = base.__name__, base.__qualname__
    Cursor.__module__ = base.__module__
    return Cursor


def _patch_copy(owner: Any, name: str, text: str) -> None:
    copy = getattr(owner, name)

    def traced(self: Any, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "varan_nested", False):
            return copy(self, file, table, *args, **kwargs)
        span = start(_statements_of, self.connection, text.format(table))
        self.varan_nested = True  # copy_expert() may be what does it
        try:
            return copy(self, file, table, *args, **kwargs)
        except Exception as error:
            if span is not None:
                span.fail(error)
            raise
        finally:
            self.varan_nested = False
            if span is not None:
                span.end()

    setattr(owner, name, traced)


def _traced_cursor(base: Any) -> Any:
    if not isinstance(base, type):
        return base
    traced = _cursors.get(base)
    if traced is None:
        traced = _cursors[base] = _make_cursor(base)
    return traced


def _make_connection(base: type, plain_cursor: type) -> type:
    class Connection(base):  # type: ignore[misc, valid-type]
        varan_off = False
        varan_statements: Any = None

        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            if self.varan_off:
                return super().cursor(*args, **kwargs)
            if len(args) > 1:
                args = (args[0], _traced_cursor(args[1] or plain_cursor), *args[2:])
            else:
                factory = kwargs.get("cursor_factory") or self.cursor_factory or plain_cursor
                kwargs["cursor_factory"] = _traced_cursor(factory)
            return super().cursor(*args, **kwargs)

        def commit(self) -> None:
            return super().commit()

        def rollback(self) -> None:
            return super().rollback()

    _patch_end(Connection, "commit", "COMMIT")
    _patch_end(Connection, "rollback", "ROLLBACK")
    Connection.__name__, Connection.__qualname__ = base.__name__, base.__qualname__
    Connection.__module__ = base.__module__
    return Connection


def _patch_end(owner: Any, name: str, text: str) -> None:
    """A span for the end of a transaction, when there is one."""
    end = getattr(owner, name)

    def traced(self: Any) -> Any:
        span = start(_statements_of, self, text) if self.get_transaction_status() else None
        if span is None:
            return end(self)
        try:
            return end(self)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()

    setattr(owner, name, traced)


def _target(dsn: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    from psycopg2 import extensions

    given = extensions.parse_dsn(extensions.make_dsn(dsn, **kwargs))
    return given.get("dbname"), given.get("host"), given.get("port")


def install(module: Any) -> None:
    from psycopg2 import extensions

    connect = module.connect

    @functools.wraps(connect)
    def traced_connect(
        dsn: Any = None, connection_factory: Any = None, cursor_factory: Any = None, **kwargs: Any
    ) -> Any:
        base = connection_factory or extensions.connection
        if isinstance(base, type):
            if base not in _connections:
                _connections[base] = _make_connection(base, extensions.cursor)
            connection_factory = _connections[base]
        span = start_connect(DATABASES, lambda: _target(dsn, kwargs))
        with until_done(span):
            return connect(dsn, connection_factory, cursor_factory, **kwargs)

    module.connect = traced_connect
