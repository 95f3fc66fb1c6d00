"""The database part of bench_agent.py: what the agent adds to one query on sqlite3, psycopg and redis, beside the
OpenTelemetry SDK with contrib. The queries of a turn stand in one span, as those of a request do; contestants take turns
as in frameworks.py."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, Callable

import frameworks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "agent"))

TURNS = 40
PORT = "BENCH_DATABASE_PORT"  # tells the child where its server listens


def _in_a_span(way: str, query: Callable[[], None]) -> Callable[[int], None]:
    if way == "bare":
        start: Any = lambda name: contextlib.nullcontext()  # noqa: E731
    elif way == "varan":
        import varan

        start = varan.span
    else:
        from opentelemetry import trace

        start = trace.get_tracer("bench").start_as_current_span

    def run(n: int) -> None:
        with start("request"):
            for _ in range(n):
                query()

    return run


def work_sqlite3(way: str) -> Callable[[int], None]:
    import sqlite3

    if way == "otel":
        from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor

        SQLite3Instrumentor().instrument()
    cursor = sqlite3.connect(":memory:").cursor()
    cursor.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
    cursor.execute("INSERT INTO items VALUES (1, 'tea'), (2, 'pot')")

    def query() -> None:
        cursor.execute("SELECT name FROM items WHERE id = ?", (2,))
        assert cursor.fetchone()[0] == "pot"

    return _in_a_span(way, query)


def work_psycopg(way: str) -> Callable[[int], None]:
    if way == "otel":
        from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

        PsycopgInstrumentor().instrument()
    import psycopg

    target = f"host=127.0.0.1 port={os.environ[PORT]} user=varan dbname=postgres"
    cursor = psycopg.connect(target, autocommit=True).cursor()
    cursor.execute("CREATE TEMP TABLE items (id int PRIMARY KEY, name text)")
    cursor.execute("INSERT INTO items VALUES (1, 'tea'), (2, 'pot')")

    def query() -> None:
        cursor.execute("SELECT name FROM items WHERE id = %s", (2,))
        assert cursor.fetchone()[0] == "pot"

    return _in_a_span(way, query)


def work_redis(way: str) -> Callable[[int], None]:
    if way == "otel":
        from opentelemetry.instrumentation.redis import RedisInstrumentor

        RedisInstrumentor().instrument()
    import redis

    client = redis.Redis(host="127.0.0.1", port=int(os.environ[PORT]))
    client.set("item:2", "pot")

    def query() -> None:
        assert client.get("item:2") == b"pot"

    return _in_a_span(way, query)


WORKS = {"sqlite3": work_sqlite3, "psycopg": work_psycopg, "redis": work_redis}


def _server(name: str) -> Any:
    import servers

    if name == "psycopg":
        return servers.postgresql()
    return servers.redis() if name == "redis" else contextlib.nullcontext(0)


def rows(endpoint: str, row: Callable[..., Any], starts: int, only: str = "") -> list[Any]:
    from importlib.metadata import version

    peer = "opentelemetry-sdk + contrib"
    versions = (
        f"{version('opentelemetry-sdk')} + {version('opentelemetry-instrumentation-sqlite3')}"
    )
    found = []
    for name in WORKS:
        if only not in f"db-{name}":
            continue
        print(f"  {name}", file=sys.stderr, flush=True)
        with _server(name) as port:
            os.environ[PORT] = str(port)
            m = frameworks.added(endpoint, f"db-{name}", starts, TURNS, ("bare", "varan", "otel"))
        found.append(row(f"{name} query, bare", m["bare"], None, None, None, "µs"))
        found.append(row(f"{name} query, added", m["varan"], m["otel"], peer, versions, "µs"))
    return found
