"""SQLAlchemy 1.4 and 2: a span per statement, by the events of its engines. The drivers' own spans are off below it."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from ._database import switch_off

TRACER = _core.Tracer("varan.sqlalchemy", _core.version)
Statements = _core.Statements

SYSTEMS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mariadb", "sqlite": "sqlite",
           "oracle": "oracle.db", "mssql": "microsoft.sql_server"}  # fmt: skip


def _statements_of(engine: Any) -> Any:
    statements = getattr(engine, "_varan_statements", None)
    if statements is None:
        url = engine.url
        namespace = url.database
        if engine.dialect.name == "sqlite":
            from .sqlite3 import _database_name

            namespace = _database_name(namespace or ":memory:")
        system = SYSTEMS.get(engine.dialect.name, "other_sql")
        statements = Statements(TRACER, system, namespace, url.host, url.port)
        engine._varan_statements = statements
    return statements


def _before(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    if context is not None:
        context._varan_span = _statements_of(connection.engine).start(statement)


def _after(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    span = getattr(context, "_varan_span", None)
    if span is not None:
        context._varan_span = None
        span.end()


def _error(failure: Any) -> None:
    span = getattr(failure.execution_context, "_varan_span", None)
    if span is not None:
        failure.execution_context._varan_span = None
        span.fail(failure.original_exception)
        span.end()


def _switch_off(connection: Any) -> Any:
    """A new connection of the driver: SQLAlchemy's spans are enough."""
    found = connection
    for _ in range(4):  # through the adapters of asynchronous drivers
        if switch_off(found):
            break
        found = getattr(found, "_connection", None) or getattr(found, "_conn", None)
        if found is None:
            break
    return connection


def _wrap_connect(dialect: Any) -> None:
    connect = dialect.connect

    @functools.wraps(connect)
    def traced_connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _switch_off(connect(self, *args, **kwargs))

    dialect.connect = traced_connect


def _wrap_commit(connection: Any) -> None:
    commit = connection._commit_impl

    @functools.wraps(commit)
    def traced_commit(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = _statements_of(self.engine).start("COMMIT")
        if span is None:
            return commit(self, *args, **kwargs)
        try:
            return commit(self, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()

    connection._commit_impl = traced_commit


def install(module: Any) -> None:
    from sqlalchemy import event
    from sqlalchemy.engine import Connection, Engine
    from sqlalchemy.engine.default import DefaultDialect

    event.listen(Engine, "before_cursor_execute", _before)
    event.listen(Engine, "after_cursor_execute", _after)
    event.listen(Engine, "handle_error", _error)
    _wrap_connect(DefaultDialect)
    _wrap_commit(Connection)
