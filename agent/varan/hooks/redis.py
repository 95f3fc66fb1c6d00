"""redis (redis-py): a span per command or pipeline, sync, async and cluster. Keys and values stay at home."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from ._database import Databases, current_span
from ._pools import name_of, watch, watch_async

DATABASES = Databases("varan.redis", "redis")

_WORDS_MAX = 6
_COMMANDS_MAX = 20


class _InsideTraces:
    """The statements of a client whose commands are told as part of a trace only."""

    def __init__(self, statements: Any) -> None:
        self.statements = statements

    def command(self, *arguments: Any) -> Any:
        return None if current_span() is None else self.statements.command(*arguments)


def inside_traces_only(pool: Any) -> None:
    """For connections that workers wait for their tasks with."""
    try:
        pool.varan_inside_traces_only = True
    except AttributeError:
        pass


def _statements_of(client: Any) -> Any:
    statements = getattr(client, "_varan_statements", None)
    if statements is None:
        pool = getattr(client, "connection_pool", None)
        given = getattr(pool, "connection_kwargs", None) or {}
        address, port = given.get("host"), given.get("port")
        if given.get("path"):
            address, port = given["path"], None
        elif address is None and pool is None:
            node = getattr(client, "get_default_node", lambda: None)()
            address, port = getattr(node, "host", None), getattr(node, "port", None)
        database = given.get("db")
        statements = DATABASES.get(str(database) if database else None, address, port)
        if getattr(pool, "varan_inside_traces_only", False):
            statements = _InsideTraces(statements)
        client._varan_statements = statements
    return statements


def _shape(args: Any) -> str:
    """SET ? ?: the command with its values left out."""
    name = args[0]
    if isinstance(name, bytes):
        name = name.decode("ascii", "replace")
    words = len(args) - 1
    if words > _WORDS_MAX:
        return f"{name}{' ?' * _WORDS_MAX} … ({words})"
    return f"{name}{' ?' * words}"


def _start(client: Any, args: Any) -> Any:
    try:
        if getattr(client, "varan_off", False) or not args:
            return None
        shape = _shape(args)
        return _statements_of(client).command(shape.partition(" ?")[0].upper(), shape, None)
    except Exception:
        return None


def _start_pipeline(pipeline: Any) -> Any:
    try:
        stack = getattr(pipeline, "command_stack", None) or getattr(pipeline, "_command_stack", ())
        if not stack:
            return None
        lines = [_shape(_arguments(command)) for command in stack[:_COMMANDS_MAX]]
        if len(stack) > _COMMANDS_MAX:
            lines.append(f"… ({len(stack)} commands)")
        span = _statements_of(pipeline).command("PIPELINE", "\n".join(lines), None)
        if span is not None and len(stack) > 1:
            span.set("db.operation.batch.size", len(stack))
        return span
    except Exception:
        return None


def _arguments(command: Any) -> Any:
    return getattr(command, "args", None) or command[0]


def _wrap(owner: Any, name: str, start: Any) -> None:
    method = owner.__dict__.get(name)
    if method is None:
        return

    @functools.wraps(method)
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(self, args)
        if span is None:
            return method(self, *args, **kwargs)
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()

    setattr(owner, name, traced)


def _wrap_command(owner: Any, name: str) -> None:
    method = owner.__dict__.get(name)
    if method is not None:
        setattr(owner, name, _core.CommandMethod(method, _start))


def _wrap_async(owner: Any, name: str, start: Any) -> None:
    method = owner.__dict__.get(name)
    if method is None:
        return

    @functools.wraps(method)
    async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(self, args)
        if span is None:
            return await method(self, *args, **kwargs)
        try:
            return await method(self, *args, **kwargs)
        except BaseException as error:
            span.fail(error)
            raise
        finally:
            span.end()

    setattr(owner, name, traced)


def _pipeline(self: Any, args: Any) -> Any:
    return _start_pipeline(self)


def _pool_name(pool: Any) -> str:
    given = pool.connection_kwargs
    return name_of(given.get("path") or given.get("host"), given.get("port"), given.get("db"))


def install(module: Any) -> None:
    if module.__name__ == "redis":
        _wrap_command(module.client.Redis, "execute_command")
        _wrap(module.client.Pipeline, "execute", _pipeline)
        _wrap_command(module.client.Pipeline, "immediate_execute_command")  # while it watches keys
        watch(module.connection.BlockingConnectionPool, "get_connection", _pool_name)
    elif module.__name__ == "redis.asyncio":
        _wrap_async(module.client.Redis, "execute_command", _start)
        _wrap_async(module.client.Pipeline, "execute", _pipeline)
        _wrap_async(module.client.Pipeline, "immediate_execute_command", _start)
        watch_async(module.connection.BlockingConnectionPool, "get_connection", _pool_name)
    else:
        awaited = module.__name__ == "redis.asyncio.cluster"
        if awaited:
            _wrap_async(module.RedisCluster, "execute_command", _start)
        else:
            _wrap_command(module.RedisCluster, "execute_command")
        if hasattr(module, "ClusterPipeline"):  # the asynchronous one came later
            (_wrap_async if awaited else _wrap)(module.ClusterPipeline, "execute", _pipeline)
