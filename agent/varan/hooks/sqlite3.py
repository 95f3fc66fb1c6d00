"""sqlite3: a span per statement. Connections and cursors are subclasses of the application's own classes, made through
the `factory` arguments, so isinstance() holds and the C code works on real connections.

SQLAlchemy switches the spans of its connections off (varan_off), because it makes its own."""

from __future__ import annotations

import functools
import os
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.sqlite3", _core.version)
Statements = _core.Statements
StatementMethod = _core.StatementMethod
CursorMethod = _core.CursorMethod

_connections: dict[type, type] = {}
_cursors: dict[type | None, type] = {}  # ours, by the class that it stands for; None: sqlite3's own
_statements: dict[str, Any] = {}
_connect: Any = None
_Cursor: Any = None


def _database_name(database: Any) -> str:
    try:
        name = os.fsdecode(database)
    except TypeError:
        return ""
    if name.startswith("file:"):
        name = name[5:].partition("?")[0]
    return os.path.basename(name)


def _statements_of(database: Any) -> Any:
    name = _database_name(database)
    statements = _statements.get(name)
    if statements is None:
        if len(_statements) > 100:
            _statements.clear()
        statements = _statements[name] = Statements(TRACER, "sqlite", name or None)
    return statements


def _run(connection: Any, text: Any, call: Any, *args: Any) -> Any:
    """call(*args) inside a span for the text."""
    span = None if connection.varan_off else connection.varan_statements.start(text)
    if span is None:
        return call(*args)
    try:
        result = call(*args)
    except Exception as error:
        span.fail(error)
        span.end()
        raise
    span.end()
    return result


def _make_cursor(base: type) -> type:
    class Cursor(base):  # type: ignore[misc, valid-type]
        execute = StatementMethod(base, "execute")
        executemany = StatementMethod(base, "executemany")
        executescript = StatementMethod(base, "executescript")

    Cursor.__name__, Cursor.__qualname__, Cursor.__module__ = (
        base.__name__,
        base.__qualname__,
        base.__module__,
    )
    return Cursor


def _cursor_class(factory: type | None) -> type:
    made = _cursors[factory] = _make_cursor(_Cursor if factory is None else factory)
    return made


def _make_connection(base: type) -> type:
    class Connection(base):  # type: ignore[misc, valid-type]
        varan_off = True
        varan_statements: Any = None

        cursor = CursorMethod(base.cursor, _cursors, _cursor_class)  # type: ignore[attr-defined]

        # The C code makes plain cursors here.
        def execute(self, *args: Any) -> Any:
            return self.cursor().execute(*args)

        def executemany(self, *args: Any) -> Any:
            return self.cursor().executemany(*args)

        def executescript(self, *args: Any) -> Any:
            return self.cursor().executescript(*args)

        def commit(self) -> None:
            if self.in_transaction:
                return _run(self, "COMMIT", super().commit)
            return super().commit()

        def rollback(self) -> None:
            if self.in_transaction:
                return _run(self, "ROLLBACK", super().rollback)
            return super().rollback()

        def __exit__(self, *exc_info: Any) -> Any:
            if self.in_transaction:
                return _run(
                    self, "ROLLBACK" if exc_info[0] else "COMMIT", super().__exit__, *exc_info
                )
            return super().__exit__(*exc_info)

    Connection.__name__, Connection.__qualname__ = base.__name__, base.__qualname__
    Connection.__module__ = base.__module__
    return Connection


def install(module: Any) -> None:
    global _connect, _Cursor
    if _connect is None:
        _connect = module.connect
        _Cursor = module.Cursor
        plain = module.Connection

        @functools.wraps(_connect)
        def connect(*args: Any, **kwargs: Any) -> Any:
            try:
                positional = len(args) > 5
                base = args[5] if positional else kwargs.get("factory", plain)
                traced = _connections.get(base)
                if traced is None and isinstance(base, type):
                    traced = _connections[base] = _make_connection(base)
                if traced is not None and positional:
                    args = (*args[:5], traced, *args[6:])
                elif traced is not None:
                    kwargs["factory"] = traced
            except Exception:
                traced = None
            connection = _connect(*args, **kwargs)
            if traced is not None and isinstance(connection, traced):
                connection.varan_statements = _statements_of(
                    args[0] if args else kwargs.get("database")
                )
                connection.varan_off = False
            return connection

        install.connect = connect  # type: ignore[attr-defined]
    module.connect = install.connect  # type: ignore[attr-defined]
