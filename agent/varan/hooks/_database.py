"""What the hooks of database drivers share: which database a connection talks to, a span per call, and switching the
driver's spans off below an ORM that makes its own."""

from __future__ import annotations

import functools
import weakref
from typing import Any, Callable

from .. import _core

_KNOWN_MAX = 100
TEXT_MAX = 64 << 10  # of one statement that is looked at; what is sent of it is shorter still

# Connections without a __dict__ whose spans are off.
current_span = _core.current_span

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
        return query if len(query) <= TEXT_MAX else query[:TEXT_MAX]
    if isinstance(query, (bytes, bytearray, memoryview)):
        return bytes(query[:TEXT_MAX]).decode("utf-8", "replace")
    compose = getattr(query, "as_string", None)
    if compose is not None:
        try:
            return text_of(compose(context))
        except Exception:
            pass
    strings = getattr(query, "strings", None)
    if isinstance(strings, tuple):  # a template: t"… {value} …"
        return text_of("%s".join(strings))
    return text_of(str(query))


def start(statements_of: Callable[[Any], Any], connection: Any, query: Any) -> Any:
    """A started span, or None. Never raises."""
    try:
        if connection is None or is_off(connection):
            return None
        return statements_of(connection).start(text_of(query, connection))
    except Exception:
        return None


def start_connect(databases: Databases, target: Callable[[], tuple[Any, Any, Any]]) -> Any:
    """A span for connecting to target() → (namespace, address, port), when that is part of a trace; else None."""
    try:
        if current_span() is None:
            return None
        return databases.get(*target()).command("CONNECT", None, None)
    except Exception:
        return None


class until_done:
    """Ends a span, or None, with its block; an exception of `kind` is its failure. For what is rare: methods that run
    for each statement spare the object."""

    __slots__ = ("kind", "span")

    def __init__(self, span: Any, kind: type[BaseException] = Exception) -> None:
        self.span, self.kind = span, kind

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if self.span is None:
            return
        if isinstance(error, self.kind):
            self.span.fail(error)
        self.span.end()


def _statement_in(text: str | Callable[[Any], str] | None) -> Callable[[Any, Any], Any]:
    """What gives the statement from a call's arguments."""
    if isinstance(text, str):
        return lambda args, kwargs: text

    def given(args: Any, kwargs: Any) -> Any:
        first = args[0] if args else next(iter(kwargs.values()), "")
        return first if text is None else text(first)

    return given


def called(procedure: Any) -> str:
    """The statement of a procedure's call."""
    name = procedure.decode("utf-8", "replace") if isinstance(procedure, bytes) else procedure
    return f"CALL {name}"


def patch(
    owner: type,
    name: str,
    statements_of: Callable[[Any], Any],
    connection_of: Callable[[Any], Any],
    text: str | Callable[[Any], str] | None = None,
    nested: str | None = None,
) -> None:
    """Puts a span around the method `name`, whose first argument is the statement (or of which text() makes one, or
    which stands for `text`).

    `nested`: an attribute of the object that is set meanwhile, because the method calls others that are patched."""
    method = owner.__dict__.get(name)
    if method is None:
        return
    given = _statement_in(text)

    @functools.wraps(method)
    def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        if nested is not None and getattr(self, nested, False):
            return method(self, *args, **kwargs)
        span = start(statements_of, connection_of(self), given(args, kwargs))
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


def patch_statements(
    owner: type, name: str, statements_of: Callable[[Any], Any], connection: str | None
) -> None:
    """As patch(), of a method whose first argument is a statement and which calls no other that is patched, without a
    frame of Python around it. `connection`: the name of the attribute that is the object's connection, or None: itself.
    What statements_of() finds it keeps in the connection's `_varan_statements`."""
    method = owner.__dict__.get(name)
    if method is not None:
        begin = functools.partial(start, statements_of)
        setattr(owner, name, _core.DatabaseMethod(method, begin, connection))


def patch_async(
    owner: type,
    name: str,
    statements_of: Callable[[Any], Any],
    connection_of: Callable[[Any], Any],
    text: str | Callable[[Any], str] | None = None,
) -> None:
    """As patch(), around a coroutine method."""
    method = owner.__dict__.get(name)
    if method is None:
        return
    given = _statement_in(text)

    @functools.wraps(method)
    async def traced(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = start(statements_of, connection_of(self), given(args, kwargs))
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
