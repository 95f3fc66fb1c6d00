"""SQLAlchemy 1.4 and 2: a span per statement, by the events of its engines. The drivers' own spans are off below it."""

from __future__ import annotations

from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.sqlalchemy", _core.version)
Statements = _core.Statements

SYSTEMS = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mariadb", "sqlite": "sqlite",
           "oracle": "oracle.db", "mssql": "microsoft.sql_server"}  # fmt: skip


def _statements_of(engine: Any) -> Any:
    statements = engine.__dict__.get("_varan_statements")
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


def _before(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
    if context is not None:
        context._varan_span = _statements_of(connection.engine).start(statement)


def _after(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
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


def _connected(connection: Any, record: Any) -> None:
    """A new connection of the driver: SQLAlchemy's spans are enough."""
    for _ in range(4):  # through the adapters of asynchronous drivers
        if hasattr(connection, "varan_off"):
            connection.varan_off = True
            return
        connection = getattr(connection, "_connection", None) or getattr(connection, "_conn", None)
        if connection is None:
            return


def install(module: Any) -> None:
    from sqlalchemy import event
    from sqlalchemy.pool import Pool

    event.listen(module.Engine, "before_cursor_execute", _before)
    event.listen(module.Engine, "after_cursor_execute", _after)
    event.listen(module.Engine, "handle_error", _error)
    event.listen(Pool, "connect", _connected)
