"""mysqlclient (MySQLdb): a span per statement."""

from __future__ import annotations

from typing import Any

from ._database import Databases, called, itself, patch, start_connect, until_done

DATABASES = Databases("varan.mysqlclient", "mysql")


def _statements_of(connection: Any) -> Any:
    statements = connection.varan_statements
    return statements if statements is not None else DATABASES.get(None, None, None)


def _connection_of(cursor: Any) -> Any:
    return cursor.connection


def _remember_target(connection: Any) -> None:
    """The C library does not tell where it is connected to; the arguments do."""
    construct = connection.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        names = ("host", "user", "password", "database", "port", "unix_socket")
        given = dict(zip(names, args))
        given.update(kwargs)
        database = given.get("database") or given.get("db")
        target = database, given.get("unix_socket") or given.get("host"), given.get("port")
        span = start_connect(DATABASES, lambda: target)
        with until_done(span):
            construct(self, *args, **kwargs)
        self.varan_statements = DATABASES.get(*target)

    connection.__init__ = __init__


def install(module: Any) -> None:
    from MySQLdb import connections, cursors

    connection = connections.Connection
    connection.varan_off = False
    connection.varan_statements = None
    _remember_target(connection)
    for name in ("execute", "executemany"):
        patch(cursors.BaseCursor, name, _statements_of, _connection_of, nested="varan_nested")
    nested = "varan_nested"
    patch(cursors.BaseCursor, "callproc", _statements_of, _connection_of, called, nested)
    patch(connection, "begin", _statements_of, itself, text="BEGIN")
    # Methods of the C class: given to the Python class so that they can be wrapped.
    for name, text in (("commit", "COMMIT"), ("rollback", "ROLLBACK")):
        if name not in connection.__dict__:
            _lift(connection, name)
        patch(connection, name, _statements_of, itself, text=text)


def _lift(owner: Any, name: str) -> None:
    inherited = getattr(owner, name)

    def method(self: Any, *args: Any) -> Any:
        return inherited(self, *args)

    method.__name__ = name
    setattr(owner, name, method)
