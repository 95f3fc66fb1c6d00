"""What stands in for the C extension when it does not load: everything is accepted, nothing is done."""

from __future__ import annotations

from typing import Any, Callable

native = False
version = "0.1.0"


class Span:
    name = ""
    trace_id = "0" * 32
    span_id = "0" * 16
    sampled = False

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *exc_info: object) -> bool:
        return False

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function

    def _nothing(self, *args: object, **kwargs: object) -> None:
        return None

    set = set_attribute = set_attributes = add_event = add_link = record_exception = fail = _nothing
    set_status = update_name = end = mark_end = finish = activate = deactivate = _nothing

    def is_recording(self) -> bool:
        return False

    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-00"

    def copy(self) -> Span:
        return self

    @property
    def attributes(self) -> dict[str, object]:
        return {}


class Instrument:
    """Counter, Histogram, Gauge, … in one."""

    def __init__(self, name: str, *args: object) -> None:
        self.name = name

    def _nothing(self, *args: object, **kwargs: object) -> None:
        return None

    add = record = set = _nothing

    def bind(self, *args: object, **kwargs: object) -> Instrument:
        return self


Counter = UpDownCounter = Histogram = Gauge = Instrument

_span = Span()


def span(name: str, /, **attributes: object) -> Span:
    return _span


def current_span() -> None:
    return None


def flush(timeout_ms: int) -> int:
    return 0


def stats() -> dict[str, object]:
    return {}
