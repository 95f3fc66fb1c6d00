"""PyMySQL: a span per statement."""

from __future__ import annotations

import functools
import os
from typing import Any

from ._database import Databases, called, itself, patch, start_connect, until_done

DATABASES = Databases("varan.pymysql", "mysql")


def _text(value: Any) -> Any:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _statements_of(connection: Any) -> Any:
    return DATABASES.get(_text(connection.db), connection.host, connection.port)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _wrap_connect(connection: Any) -> None:
    connect = connection.connect

    @functools.wraps(connect)
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = start_connect(DATABASES, lambda: (_text(self.db), self.host, self.port))
        with until_done(span):
            return connect(self, *args, **kwargs)

    connection.connect = traced


def install(module: Any) -> None:
    from pymysql import connections, cursors

    connections.Connection.varan_off = False
    for name in ("execute", "executemany"):
        patch(cursors.Cursor, name, _statements_of, _connection_of, nested="varan_nested")
    nested = "varan_nested"
    patch(cursors.Cursor, "callproc", _statements_of, _connection_of, called, nested)
    _wrap_connect(connections.Connection)
    patch(connections.Connection, "begin", _statements_of, itself, text="BEGIN")
    patch(connections.Connection, "commit", _statements_of, itself, text="COMMIT")
    patch(connections.Connection, "rollback", _statements_of, itself, text="ROLLBACK")
