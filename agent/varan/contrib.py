"""OpenTelemetry's contrib instrumentations that the application has installed: each is switched on when the library it
is for has been imported, unless a hook of ours does the same. Found by the names of folders: reading the metadata of
all packages would cost more than the rest of the start."""

from __future__ import annotations

import os
import sys
from typing import Any

from . import _report, imports

GROUP = "opentelemetry_instrumentor"
PREFIX = "opentelemetry_instrumentation_"

# Entry point → module that it waits for, where the name does not say it.
MODULES = {
    "mysql": "mysql.connector",
    "aio-pika": "aio_pika",
    "tortoiseorm": "tortoise",
    "boto": "boto",
}

# Those that do what hooks of ours do, by the name of their entry point.
OURS = {
    "aiohttp-client": "aiohttp_client", "aiohttp-server": "aiohttp_server", "kafka": "kafka_python",
    "confluent_kafka": "confluent_kafka", "grpc_client": "grpc", "grpc_server": "grpc", "grpc_aio_client": "grpc_aio",
    "grpc_aio_server": "grpc_aio", "django": "django_handlers", "fastapi": "starlette", "starlette": "starlette",
    "httpx2": "httpx", "urllib": "http_client", "threading": "threads", "openai": "model_clients", "anthropic": "model_clients",
    "logging": "logging",
}  # fmt: skip

# Without a library to wait for: an application that wants them calls them.
NEVER = ("asyncio", "dbapi", "wsgi", "asgi", "system_metrics")


def _folders() -> list[str]:
    found = []
    for path in sys.path:
        try:
            names = os.listdir(path or ".")
        except OSError:
            continue
        found += [
            os.path.join(path, name)
            for name in names
            if name.startswith(PREFIX) and name.endswith(".dist-info")
        ]
    return found


def _entry_points(folder: str) -> list[tuple[str, str]]:
    """Names and objects of the instrumentors that a package offers."""
    pairs = []
    section = ""
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as f:
            lines = f.read(65536).splitlines()
    except OSError:
        return []
    for line in lines:
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif section == GROUP and "=" in line:
            name, _, value = line.partition("=")
            pairs.append((name.strip(), value.strip()))
    return pairs


def _switch_on(name: str, value: str) -> None:
    import importlib

    module, _, attribute = value.partition(":")
    instrumentor = getattr(importlib.import_module(module), attribute.partition(" ")[0])()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def is_ours(name: str, available: frozenset[str], disabled: frozenset[str]) -> bool:
    """Does a hook of ours do what the entry point does?"""
    hook = OURS.get(name, name.replace("-", "_"))
    return hook in available and hook not in disabled


def install(disabled: frozenset[str]) -> None:
    """Waits for the libraries. `disabled`: hooks of ours that are off, whose place contrib's may take; `*`: nothing at
    all is wanted."""
    if "*" in disabled:
        return
    unwanted = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    unwanted_names = {name.strip() for name in unwanted.split(",")}
    available = frozenset(hook for _, hook in imports.HOOKS)
    for folder in _folders():
        for name, value in _entry_points(folder):
            if name in NEVER or name in unwanted_names or is_ours(name, available, disabled):
                continue
            target = MODULES.get(name, name.replace("-", "_"))

            def switch_on(module: Any, name: str = name, value: str = value) -> None:
                try:
                    _switch_on(name, value)
                except Exception as error:
                    _report.failure(f"OpenTelemetry's instrumentation {name}", error)

            imports.when_imported(target, switch_on)
