"""SQLAlchemy's connection pools, 1.4 and 2, as the metrics db.client.connection.*: how many connections there are, how
long one waits for one, makes one and keeps one. A wait that is long enough to see is a span, too."""

from __future__ import annotations

import functools
import time
import weakref
from typing import Any

from .. import _core, metrics
from . import _pools as waits

TRACER = _core.Tracer("varan.sqlalchemy", _core.version)
current_span = _core.current_span
now = time.perf_counter

SECONDS = (
    0.001,
    0.005,
    0.01,
    0.05,
    0.1,
    0.5,
    1,
    5,
    10,
)  # the conventions' bounds for calls of databases
POOL_NAME = "db.client.connection.pool.name"
STATE = "db.client.connection.state"
METRICS, NAME, SINCE, MADE = "_varan_metrics", "_varan_pool_name", "_varan_since", "_varan_made"
TOLD_S = 0.001  # shorter waits have no span

WAIT = waits._times  # with those of other pools
USE = _core.Histogram(
    "db.client.connection.use_time", "s", "From borrowing a connection until its return", SECONDS, TRACER
)  # fmt: skip
CREATE = _core.Histogram(
    "db.client.connection.create_time", "s", "Making a new connection", SECONDS, TRACER
)  # fmt: skip
TIMEOUTS = _core.Counter(
    "db.client.connection.timeouts", "{timeout}", "Waits for a connection that were given up", None, TRACER
)  # fmt: skip
PENDING = _core.UpDownCounter(
    "db.client.connection.pending_requests", "{request}", "Waits for a connection", None, TRACER
)  # fmt: skip


def _observed(name: str, text: str) -> Any:
    return _core.Observable(name, "{connection}", text, None, TRACER, metrics.OBSERVED_UP_DOWN)


COUNT = _observed("db.client.connection.count", "Connections, by state")
MAX = _observed("db.client.connection.max", "Connections that may be open")
IDLE_MAX = _observed("db.client.connection.idle.max", "Connections that are kept open unused")

_seen: weakref.WeakSet[Any] = weakref.WeakSet()


class PoolMetrics:
    """The instruments of one pool, found once."""

    __slots__ = ("attributes", "create", "name", "pending", "timeouts", "use", "wait")

    def __init__(self, name: str) -> None:
        self.name, self.attributes = name, {POOL_NAME: name}
        self.wait, self.use = WAIT.bind(self.attributes), USE.bind(self.attributes)
        self.create, self.timeouts = CREATE.bind(self.attributes), TIMEOUTS.bind(self.attributes)
        self.pending = PENDING.bind(self.attributes)


def name_of_url(url: Any, pool: Any) -> str:
    """The pool's own name, else address:port/database."""
    own = getattr(pool, "logging_name", None) or getattr(pool, "_orig_logging_name", None)
    if own:
        return str(own)
    place = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    database = url.database or (":memory:" if not place else "")
    return f"{place}/{database}" if place and database else place or str(database)


def _metrics_of(pool: Any) -> PoolMetrics:
    found = getattr(pool, METRICS, None)
    if found is None:
        # The dialect is what a pool and those that replace it (Engine.dispose()) have in common.
        name = getattr(pool._dialect, NAME, None) or type(pool).__name__
        found = PoolMetrics(name)
        setattr(pool, METRICS, found)
        _seen.add(pool)
    return found


def _observe() -> None:
    counts: dict[tuple[str, str], int] = {}
    most: dict[str, int] = {}
    idle_most: dict[str, int] = {}
    for pool in list(_seen):
        if not hasattr(pool, "checkedout"):
            continue  # keeps no connections
        name, size, extra = _metrics_of(pool).name, pool.size(), getattr(pool, "_max_overflow", 0)
        for state, n in (("idle", pool.checkedin()), ("used", pool.checkedout())):
            counts[name, state] = counts.get((name, state), 0) + max(0, n)
        if size > 0:
            idle_most[name] = idle_most.get(name, 0) + size
            if extra >= 0:
                most[name] = most.get(name, 0) + size + extra
    COUNT.begin()
    COUNT.observe([(n, {POOL_NAME: k[0], STATE: k[1]}) for k, n in counts.items()])
    for instrument, found in ((MAX, most), (IDLE_MAX, idle_most)):
        instrument.begin()
        instrument.observe([(n, {POOL_NAME: name}) for name, n in found.items()])


def _tell(pool: str, seconds: float, error: BaseException | None) -> None:
    """A wait that is long enough to see, as a span."""
    try:
        if current_span() is not None:
            begin = time.time_ns() - int(seconds * 1e9)
            span = waits.TRACER.start_span("wait for a connection", start_time=begin)
            span.set(POOL_NAME, pool)
            if error is not None:
                span.fail(error)
            span.end()
    except Exception:
        pass


def _wrap_pool(pool: Any, timeout_error: type[BaseException]) -> None:
    connect = pool.connect

    @functools.wraps(connect)
    def traced_connect(self: Any) -> Any:
        try:
            known = _metrics_of(self)
            known.pending.add(1)
        except Exception:
            return connect(self)
        begin = now()
        try:
            connection = connect(self)
        except timeout_error as error:
            known.timeouts.add(1)
            waited(known, begin, 0.0, error)
            raise
        finally:
            known.pending.add(-1)
        try:
            record = connection._connection_record
            made = getattr(record, MADE, 0.0)
            if made:
                setattr(record, MADE, 0.0)
            waited(known, begin, made)
            setattr(record, SINCE, now())
        except Exception:
            pass
        return connection

    def waited(
        known: PoolMetrics, begin: float, made: float, error: BaseException | None = None
    ) -> None:
        took = now() - begin
        known.wait.record(took)
        if took - made >= TOLD_S:
            _tell(known.name, took, error)

    pool.connect = traced_connect


def _wrap_record(record: Any) -> None:
    mangled = "_ConnectionRecord__connect"
    connect = record.__dict__.get(mangled)
    if connect is None:
        return

    @functools.wraps(connect)
    def traced_connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        begin = now()
        result = connect(self, *args, **kwargs)
        try:
            took = now() - begin
            _metrics_of(self._ConnectionRecord__pool).create.record(took)
            setattr(self, MADE, getattr(self, MADE, 0.0) + took)
        except Exception:
            pass
        return result

    setattr(record, mangled, traced_connect)


def _on_checkin(connection: Any, record: Any) -> None:
    since = getattr(record, SINCE, None)
    if since is not None:
        setattr(record, SINCE, None)
        _metrics_of(record._ConnectionRecord__pool).use.record(now() - since)


def _name_pools(engine: Any) -> None:
    """An engine's dialect knows the name of its pool."""
    init = engine.__init__

    @functools.wraps(init)
    def traced_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        try:
            setattr(self.dialect, NAME, name_of_url(self.url, self.pool))
        except Exception:
            pass

    engine.__init__ = traced_init


def install(module: Any) -> None:
    from sqlalchemy import event, exc
    from sqlalchemy.engine import Engine
    from sqlalchemy.pool import Pool
    from sqlalchemy.pool.base import _ConnectionRecord

    _name_pools(Engine)
    _wrap_pool(Pool, exc.TimeoutError)
    _wrap_record(_ConnectionRecord)
    event.listen(Pool, "checkin", _on_checkin)
    metrics.add_source(_observe)
