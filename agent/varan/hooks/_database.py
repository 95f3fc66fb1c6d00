"""What the hooks of database drivers share: which database a connection talks to, a span per call, and switching the
driver's spans off below an ORM that makes its own."""

from __future__ import annotations

import functools
import weakref
from typing import Any, Callable

from .. import _core

_KNOWN_MAX = 100

# Connections without a __dict__ whose spans are off.
_off: weakref.WeakSet[Any] = weakref.WeakSet()


class Databases:
    """The statements of each database that one driver talks to."""

    def __init__(self, scope: str, system: str) -> None:
        self.tracer = _core.Tracer(scope, _core.version)
        self.system = system
        self.known: dict[tuple[Any, ...], Any] = {}

    def get(self, namespace: Any, address: Any, port: Any) -> Any:
        key = (namespace, address, port)
        statements = self.known.get(key)
        if statements is None:
            if len(self.known) >= _KNOWN_MAX:
                self.known.clear()
            try:
                port = int(port) if port else None
            except (TypeError, ValueError):
                port = None
            statements = self.known[key] = _core.Statements(
                self.tracer, self.system, namespace or None, address or None, port
            )
        return statements


def is_off(connection: Any) -> bool:
    return getattr(connection, "varan_off", False) or (bool(_off) and connection in _off)


def switch_off(connection: Any) -> bool:
    """Whether it is a traced driver's connection, which now makes no spans."""
    if not hasattr(connection, "varan_off"):
        return False
    try:
        connection.varan_off = True
    except AttributeError:
        _off.add(connection)
    return True


def text_of(query: Any, context: Any = None) -> Any:
    """Statements may be bytes, or objects that a driver composes them from."""
    if isinstance(query, str):
        return query
    if isinstance(query, (bytes, bytearray, memoryview)):
        return bytes(query).decode("utf-8", "replace")
    compose = getattr(query, "as_string", None)
    if compose is not None:
        try:
            return compose(context)
        except Exception:
            pass
    return str(query)


def start(statements_of: Callable[[Any], Any], connection: Any, query: Any) -> Any:
    """A started span, or None. Never raises."""
    try:
        if connection is None or is_off(connection):
            return None
        return statements_of(connection).start(text_of(query, connection))
    except Exception:
        return None


def patch(
    owner: type,
    name: str,
    statements_of: Callable[[Any], Any],
    connection_of: Callable[[Any], Any],
    text: str | None = None,
    nested: str | None = None,
) -> None:
    """Puts a span around the method `name`, whose first argument is the statement (or which stands for `text`).

    `nested`: an attribute of the object that is set meanwhile, because the method calls others that are patched."""
    method = owner.__dict__.get(name)
    if method is None:
        return

    @functools.wraps(method)
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        if nested is not None and getattr(self, nested, False):
            return method(self, *args, **kwargs)
        query = text if text is not None else args[0] if args else kwargs.get("query", "")
        span = start(statements_of, connection_of(self), query)
        if span is None:
            return method(self, *args, **kwargs)
        if nested is not None:
            setattr(self, nested, True)
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()
            if nested is not None:
                setattr(self, nested, False)

    setattr(owner, name, traced)


def patch_async(
    owner: type,
    name: str,
    statements_of: Callable[[Any], Any],
    connection_of: Callable[[Any], Any],
    text: str | None = None,
) -> None:
    """As patch(), around a coroutine method."""
    method = owner.__dict__.get(name)
    if method is None:
        return

    @functools.wraps(method)
    async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        query = text if text is not None else args[0] if args else kwargs.get("query", "")
        span = start(statements_of, connection_of(self), query)
        if span is None:
            return await method(self, *args, **kwargs)
        try:
            return await method(self, *args, **kwargs)
        except BaseException as error:  # a cancelled statement has failed, too
            span.fail(error)
            raise
        finally:
            span.end()

    setattr(owner, name, traced)


def itself(connection: Any) -> Any:
    return connection
