"""psycopg 3, sync and async: a span per statement."""

from __future__ import annotations

from typing import Any

from ._database import Databases, itself, patch, patch_async, start

DATABASES = Databases("varan.psycopg", "postgresql")


def _statements_of(connection: Any) -> Any:
    statements = connection.__dict__.get("_varan_statements")
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
            return self.manager.__exit__(kind, error, trace)
        finally:
            self._end(error)

    async def __aenter__(self) -> Any:
        try:
            return await self.manager.__aenter__()
        except BaseException as error:
            self._end(error)
            raise

    async def __aexit__(self, kind: Any, error: Any, trace: Any) -> Any:
        try:
            return await self.manager.__aexit__(kind, error, trace)
        finally:
            self._end(error)


def install(module: Any) -> None:
    for name, wrap in (
        ("Cursor", patch), ("ServerCursor", patch), ("AsyncCursor", patch_async), ("AsyncServerCursor", patch_async),
    ):  # fmt: skip
        owner = getattr(module, name, None)
        if owner is None:
            continue
        for method in ("execute", "executemany"):
            wrap(owner, method, _statements_of, _connection_of)
        _wrap_copy(owner)
    for name, wrap in (("Connection", patch), ("AsyncConnection", patch_async)):
        owner = getattr(module, name)
        owner.varan_off = False
        wrap(owner, "commit", _statements_of, itself, text="COMMIT")
        wrap(owner, "rollback", _statements_of, itself, text="ROLLBACK")
