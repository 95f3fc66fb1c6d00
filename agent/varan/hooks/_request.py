"""Server spans for requests that come neither as a WSGI environ nor as an ASGI scope, and the identifiers that come
with messages."""

from __future__ import annotations

from typing import Any

from .. import _core

start_asgi = _core.start_asgi
remote_span = getattr(_core, "remote_span", None)

# What a server span reads.
WANTED = ("host", "user-agent", "traceparent", "tracestate", "baggage")


def start(
    tracer: Any, method: str, scheme: str, path: str, query: str, headers: Any, client: str | None
) -> Any:
    """A started server span, or None. `headers` is a mapping that does not mind case."""
    get = headers.get
    found = [
        (name.encode(), value.encode("utf-8", "surrogateescape"))
        for name in WANTED
        if (value := get(name)) is not None
    ]
    scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": path,
        "query_string": query.encode("utf-8", "surrogateescape"),
        "headers": found,
        "client": None if client is None else (client, 0),
    }
    return start_asgi(tracer, scope)


def text(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else None


# Asks the application's own propagators for a message's sender; set by otel_propagators.
ask_others: Any = None


def sender(headers: Any) -> Any:
    """The sender's span from a message's headers: a mapping, or pairs of name and value. None when it has none."""
    if not headers:
        return None
    if hasattr(headers, "get"):
        parent, state = headers.get("traceparent"), headers.get("tracestate")
    else:
        found = {name: value for name, value in headers if name in ("traceparent", "tracestate")}
        parent, state = found.get("traceparent"), found.get("tracestate")
    parent = text(parent)
    if parent is None:
        return None if ask_others is None else ask_others(headers)
    return remote_span(parent, text(state))  # type: ignore[misc]
