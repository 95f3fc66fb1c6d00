"""PyMySQL: a span per statement."""

from __future__ import annotations

import os
from typing import Any

from ._database import Databases, itself, patch

DATABASES = Databases("varan.pymysql", "mysql")


def _text(value: Any) -> Any:
    return os.fsdecode(value) if isinstance(value, bytes) else value


def _statements_of(connection: Any) -> Any:
    return DATABASES.get(_text(connection.db), connection.host, connection.port)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def install(module: Any) -> None:
    from pymysql import connections, cursors

    connections.Connection.varan_off = False
    for name in ("execute", "executemany"):
        patch(cursors.Cursor, name, _statements_of, _connection_of, nested="varan_nested")
    patch(connections.Connection, "commit", _statements_of, itself, text="COMMIT")
    patch(connections.Connection, "rollback", _statements_of, itself, text="ROLLBACK")
