"""Varan's agent: traces and logs of this process, sent to a Varan server or any OTLP collector.

    import varan
    varan.start(service="shop")

    with varan.span("checkout", items=3) as span:
        span.set("total", 12.5)

Nothing here raises because of the agent itself. Without the C extension everything is a no-op.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, Callable

from . import _report

try:
    from . import _core
except Exception as error:  # a foreign interpreter, a free-threaded build, a missing library
    from . import _noop as _core  # type: ignore[no-redef]
    from . import _unfit

    if "VARAN_DOCTOR" not in os.environ:  # which says it at more length
        _report.once("core", f"the agent is off: {_unfit.told(error)}")

__version__ = "0.1.0"
__all__ = [
    "bootstrap_path", "counter", "current_span", "flush", "gauge", "histogram", "metrics_text",
    "span", "start", "stats", "up_down_counter",
]  # fmt: skip

span = _core.span
current_span = _core.current_span

_started = False

# What start() was called with: processes that this one spawns start with the same.
start_arguments: dict[str, object] = {}


def start(service: str | None = None, endpoint: str | None = None, **attributes: object) -> bool:
    """Starts the agent in this process; later calls change nothing. Returns whether it runs.

    `service` is the name shown on the page, `endpoint` where to send (http://host:port or unix:/path), `attributes`
    are added to the resource. What is not given comes from VARAN_… and OTEL_… variables, or is guessed.
    """
    global _started
    if _started or not _core.native:
        return _started
    start_arguments.update(service=service, endpoint=endpoint, **attributes)
    try:
        from . import config, contrib, decorate, imports, lifecycle, metrics, otel

        settings = config.read(os.environ, service, endpoint, attributes)
        if settings.disabled:
            return False
        config.apply(_core, settings)
        _core.set_decorator(decorate.decorate)
        _core.enable(True)
        _started = True
        lifecycle.install(settings)
        lifecycle.start_profiler(settings)
        if settings.metrics is not None:
            metrics.start(settings)
        otel.target = settings.traces
        imports.install(settings.disabled_hooks)
        if settings.other_sampler or settings.other_exporters:
            from . import otel_slow

            argument = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "")
            otel_slow.start(settings.other_exporters, settings.other_sampler, argument)
        if settings.other_propagators:
            from . import otel_propagators

            otel_propagators.start(settings.other_propagators)
        contrib.install(settings.disabled_hooks)
    except Exception as error:
        _report.failure("start", error)
    return _started


def flush(timeout: float = 2.0) -> bool:
    """Sends what is finished; waits at most `timeout` seconds. Returns whether the server has taken everything."""
    return _core.flush(max(0, int(timeout * 1000))) == 0


def stats() -> dict[str, object]:
    """What happened to spans and log records so far, by cause."""
    return _core.stats()


def counter(name: str, unit: str = "", description: str = "") -> Any:
    """A sum that only grows: `orders = varan.counter("orders"); orders.add(1, shop="Graz")`.

    `orders.bind(shop="Graz")` is the same for one set of attributes, and faster.
    """
    return _core.Counter(name, unit, description)


def up_down_counter(name: str, unit: str = "", description: str = "") -> Any:
    """A sum that grows and shrinks: things in a queue, requests at work."""
    return _core.UpDownCounter(name, unit, description)


def histogram(
    name: str, unit: str = "", description: str = "", bounds: Sequence[float] | None = None
) -> Any:
    """A distribution: `varan.histogram("basket", "EUR").record(12.5)`. `bounds`: upper bounds of its buckets."""
    return _core.Histogram(name, unit, description, bounds)


def gauge(
    name: str,
    unit: str = "",
    description: str = "",
    function: Callable[[], Any] | None = None,
) -> Any:
    """The latest value: `varan.gauge("room.temperature", "Cel").set(21.5)`.

    With a `function` it is asked for the value at each export, from a thread of the agent's; it returns a number, or
    pairs of a number and a dict of attributes.
    """
    if function is None:
        return _core.Gauge(name, unit, description)
    from . import metrics

    return metrics.observe_function(name, unit, description, function)


def metrics_text() -> str:
    """All metrics in Prometheus' text format: those of prometheus_client's registry, then the agent's own."""
    from . import prometheus

    return prometheus.text()


def bootstrap_path() -> str:
    """A folder to put on PYTHONPATH so that a Python process starts with the agent in it."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")


if sys.implementation.name == "cpython" and _core.native:
    from .decorate import decorate as _decorate

    _core.set_decorator(_decorate)
