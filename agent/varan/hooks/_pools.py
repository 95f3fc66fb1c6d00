"""Waiting for a connection of a pool: the time as a metric of each pool, and as a span where it is long enough to see."""

from __future__ import annotations

import functools
import time
from typing import Any, Callable

from .. import _core

TRACER = _core.Tracer("varan.pools", _core.version)
current_span = _core.current_span
SPAN_NS_MIN = 1_000_000  # shorter waits have no span
POOLS_MAX = 100  # with figures of their own
POOL = "db.client.connection.pool.name"

_clock = time.perf_counter_ns
_times = _core.Histogram(
    "db.client.connection.wait_time",
    "s",
    "The time it took to obtain an open connection from the pool.",
    (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
)
_bound: dict[str, Any] = {}


def name_of(address: Any, port: Any = None, database: Any = None) -> str:
    """As the conventions make it up: server.address:server.port/db.namespace."""
    name = str(address or "localhost") + (f":{port}" if port else "")
    return f"{name}/{database}" if database not in (None, "") else name


def note(pool: str, began: int, error: BaseException | None = None) -> None:
    """A wait that began at perf_counter_ns() is over, or has failed."""
    try:
        waited = _clock() - began
        times = _bound.get(pool)
        if times is None:
            if len(_bound) >= POOLS_MAX:
                return
            times = _bound[pool] = _times.bind({POOL: pool})
        times.record(waited / 1e9)
        if waited >= SPAN_NS_MIN and current_span() is not None:
            span = TRACER.start_span("wait for a connection", start_time=time.time_ns() - waited)
            span.set(POOL, pool)
            if error is not None:
                span.fail(error)
            span.end()
    except Exception:
        pass


def watch(owner: Any, name: str, pool_name: Callable[[Any], str]) -> None:
    """Times the method that takes a connection from the pool."""
    take = owner.__dict__.get(name)
    if take is None:
        return

    @functools.wraps(take)
    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            connection = take(self, *args, **kwargs)
        except Exception as error:
            note(pool_name(self), began, error)
            raise
        note(pool_name(self), began)
        return connection

    setattr(owner, name, timed)


def watch_async(owner: Any, name: str, pool_name: Callable[[Any], str]) -> None:
    take = owner.__dict__.get(name)
    if take is None:
        return

    @functools.wraps(take)
    async def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            connection = await take(self, *args, **kwargs)
        except BaseException as error:  # a wait that is cancelled, too
            note(pool_name(self), began, error)
            raise
        note(pool_name(self), began)
        return connection

    setattr(owner, name, timed)
