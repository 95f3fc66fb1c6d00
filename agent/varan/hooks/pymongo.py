"""pymongo: a span per command, by the driver's own command events. Values stay at home: a command is sent as its
shape."""

from __future__ import annotations

from typing import Any

from ._database import Databases

DATABASES = Databases("varan.pymongo", "mongodb")

_PENDING_MAX = 10_000
_TEXT_MAX = 4000
_DEPTH_MAX = 8
_ITEMS_MAX = 30
# Handshakes and heartbeats, and what follows from another command.
_QUIET = {
    "hello", "ismaster", "isMaster", "ping", "buildInfo", "saslStart", "saslContinue", "authenticate", "endSessions",
    "killCursors",
}  # fmt: skip
_NOISE = {"lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "apiVersion", "signature"}

_pending: dict[tuple[int, Any], Any] = {}


def _shape(value: Any, depth: int = 0) -> str:
    """JSON with ? in place of values; keys, and what a key with $ holds, keep their structure."""
    if depth > _DEPTH_MAX:
        return "…"
    if isinstance(value, dict) or hasattr(value, "items"):
        parts = []
        for key, item in value.items():
            if depth == 0 and key in _NOISE:
                continue
            if len(parts) >= _ITEMS_MAX:
                parts.append("…")
                break
            parts.append(f'"{key}": {_shape(item, depth + 1)}')
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, (list, tuple)):
        if value and hasattr(value[0], "items"):
            return "[" + _shape(value[0], depth + 1) + (", …]" if len(value) > 1 else "]")
        return "[?]" if value else "[]"
    return "?"


def _text(name: str, collection: Any, command: Any) -> str:
    shape = _shape(command)
    if collection is not None:
        shape = shape.replace(f'"{name}": ?', f'"{name}": "{collection}"', 1)
    return shape if len(shape) <= _TEXT_MAX else shape[:_TEXT_MAX] + "…"


def _collection(name: str, command: Any) -> Any:
    target = command.get("collection") if name == "getMore" else command.get(name)
    return target if isinstance(target, str) else None


def _listener(monitoring: Any) -> Any:
    class Listener(monitoring.CommandListener):  # type: ignore[misc, name-defined]
        def started(self, event: Any) -> None:
            try:
                name = event.command_name
                if name in _QUIET or len(_pending) >= _PENDING_MAX:
                    return
                host, port = event.connection_id
                collection = _collection(name, event.command)
                statements = DATABASES.get(event.database_name, host, port)
                span = statements.command(name, _text(name, collection, event.command), collection)
                if span is not None:
                    _pending[(event.request_id, event.connection_id)] = span
            except Exception:
                pass

        def succeeded(self, event: Any) -> None:
            span = _pending.pop((event.request_id, event.connection_id), None)
            if span is not None:
                span.end()

        def failed(self, event: Any) -> None:
            span = _pending.pop((event.request_id, event.connection_id), None)
            if span is None:
                return
            try:
                failure = event.failure
                span.set("db.response.status_code", str(failure.get("code", "")))
                span.set("error.type", str(failure.get("codeName", "failed")))
                span.set_status("error", str(failure.get("errmsg", ""))[:1000])
            except Exception:
                pass
            span.end()

    return Listener()


def install(module: Any) -> None:
    module.monitoring.register(_listener(module.monitoring))
