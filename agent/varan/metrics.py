"""Metrics that are asked for: callbacks of observable instruments, and other libraries' registries. A thread of the
extension calls observe() before each export."""

from __future__ import annotations

from typing import Any, Callable

from . import _core, _report

# Kinds of _core.Observable.
OBSERVED_COUNTER, OBSERVED_UP_DOWN, OBSERVED_GAUGE = 4, 5, 6

_sources: list[Callable[[], None]] = []
_prepared = False


def start(settings: Any) -> None:
    if settings.runtime_metrics:
        _core.install_runtime_metrics()
    if settings.metrics_port:
        from . import prometheus

        prometheus.serve(settings.metrics_port)


def add_source(source: Callable[[], None]) -> None:
    """Has `source` called before each export; what it raises is told once."""
    global _prepared
    _sources.append(source)
    if not _prepared:
        _prepared = True
        _core.set_observer(observe)


def observe() -> None:
    for source in list(_sources):
        try:
            source()
        except Exception as error:
            _report.failure(f"the metrics callback {getattr(source, '__name__', source)}", error)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    """What a function has told: a number, or pairs of a number and attributes."""
    if isinstance(value, (int, float)):
        return [(value, None)]
    found = []
    for item in value or ():
        if isinstance(item, tuple) and len(item) == 2:
            found.append(item)
        elif isinstance(item, (int, float)):
            found.append((item, None))
    return found


def observe_function(name: str, unit: str, description: str, function: Callable[[], Any]) -> Any:
    instrument = _core.Observable(name, unit, description, None, None, OBSERVED_GAUGE)

    def source() -> None:
        pairs = _pairs(function())
        instrument.begin()
        instrument.observe(pairs)

    source.__name__ = name
    add_source(source)
    return instrument
