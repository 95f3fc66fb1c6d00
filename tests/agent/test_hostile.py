"""Values and calls that no application should make: nothing raises, nothing crashes, nothing grows without bound, and
what can be told is told. The files of the parts have their own; here is what goes through all of them."""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import sys
import threading
import time
from typing import Any, Callable

import pytest
from opentelemetry import _logs

import varan
from conftest import Sent
from varan import _core

# Of nobody's tree: the test runner itself cannot carry such records from its workers.
LOGGER = logging.Logger("hostile", logging.DEBUG)
LOGGER.addHandler(logging.NullHandler())


class Raises:
    """Nothing can be asked of it."""

    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise ValueError("not comparable")

    def __hash__(self) -> int:
        raise ValueError("not hashable")

    def __bool__(self) -> bool:
        raise ValueError("neither")

    def __len__(self) -> int:
        raise ValueError("no length")


class Leave(BaseException):
    """No Exception, as SystemExit is none."""


class Leaves:
    def __str__(self) -> str:
        raise Leave

    __repr__ = __str__


class NoText:
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]

    __repr__ = __str__


class Logs:
    def __str__(self) -> str:
        LOGGER.error("within %s", "__str__")
        varan.counter("hostile.within").add(1, {"who": "me"})
        with varan.span("within", who=Raises()):
            pass
        return "logs"


class Switches:
    """Lets other threads in: they may use the same span meanwhile."""

    def __str__(self) -> str:
        time.sleep(0.0005)
        return "switched"


class OddDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("no items")

    def keys(self) -> Any:
        raise RuntimeError("no keys")


class OddMapping:
    def keys(self) -> list[str]:
        return ["a"]

    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def items(self) -> Any:
        return [1, ("a",), ("a", "b", "c"), ("good", 1)]


class Subclass(str):
    def encode(self, *args: Any) -> bytes:
        raise ValueError


def knot() -> list[Any]:
    a: list[Any] = []
    b = {"a": a, "b": (a,)}
    a.append(b)
    return a


def deep(n: int) -> list[Any]:
    nest: list[Any] = []
    for _ in range(n):
        nest = [nest]
    return nest


VALUES: list[Any] = [
    "\ud800 lone \udfff", "nul \0", "x" * 10_000_000, "ü" * 3_000_000, b"\xff" * 10_000_000, bytearray(b"x"),
    memoryview(b"y"), 2**63, -(2**63) - 1, 10**5000, 1 << 10_000_000, math.nan, math.inf, -math.inf, -0.0, 1 + 2j, None,
    Ellipsis, NotImplemented, object(), type, len, sys, Raises(), Leaves(), NoText(), Logs(), Switches(), Subclass("sub"),
    OddDict(a=1), OddMapping(), knot(), deep(5000), {i: i for i in range(5000)}, list(range(100_000)), [Raises()] * 500,
    {Switches(): 1}, {("tuple", "key"): {"n": None}}, [None, "a", 1, 2.0, True, b"b"], iter([1]), (i for i in [1]),
    set(range(10)), range(10**9), lambda: None,
]  # fmt: skip


def way_span(value: Any) -> None:
    with varan.span("hostile", first=value) as span:
        span.set("again", value)
        span.set("again", value)
        span.set(value, 1)
        span.set_attributes(value)
        span.set_attributes({"in": value, "list": [value], "dict": {"k": value}})
        span.set_attribute(value, value)
        span.update_name(value)
        span.set_status(value, value)


def way_parts(value: Any) -> None:
    with varan.span("hostile") as span:
        span.add_event(value, value, value)
        span.add_event("event", {"k": value, "l": [value, value]})
        span.add_link(value, value)
        span.record_exception(value)
        span.record_exception(ValueError(value), value, value)
        span.fail(value)
        span.fail(ValueError(value, value))


def way_logs(value: Any) -> None:
    logger = LOGGER
    logger.warning("%s", value)
    logger.warning(value)
    logger.warning("extra", extra={"value": value, "more": [value]})
    try:
        raise RuntimeError(value)
    except RuntimeError:
        logger.exception("failed")


def way_metrics(value: Any) -> None:
    for instrument in (
        varan.counter("hostile.c"),
        varan.gauge("hostile.g"),
        varan.histogram("hostile.h"),
        varan.up_down_counter("hostile.u"),
    ):
        act: Callable[..., None] = getattr(
            instrument, "add", None
        ) or getattr(instrument, "record", None) or instrument.set  # fmt: skip
        act(value)
        act(1, {"k": value})
        act(1, value)
        act(1, k=value)


def way_otel_logs(value: Any) -> None:
    logger = _logs.get_logger("hostile")
    logger.emit(body=value, severity_text=value, event_name=value)
    logger.emit(body={"k": value}, attributes={"a": value, "b": [value]})
    logger.emit(attributes=value, exception=ValueError(value))
    logger.emit(timestamp=value, severity_number=value, exception=value)


@pytest.fixture
def quiet() -> Any:
    """The application's own handlers complain about such records; that is not the question here."""
    before, logging.raiseExceptions = logging.raiseExceptions, False
    yield
    logging.raiseExceptions = before


@pytest.mark.parametrize("way", [way_span, way_parts, way_logs, way_metrics, way_otel_logs])
def test_no_value_does_harm(sent: Sent, quiet: None, way: Callable[[Any], None]) -> None:
    for value in VALUES:
        try:
            way(value)
        except TypeError:  # the calls themselves may be wrong; then they say so
            pass
        except (Leave, RecursionError):
            assert way is way_logs  # the application's own handlers
    with varan.span("after"):
        pass
    assert sent.span("after")
    for span in sent.spans():
        assert len(span.raw.SerializeToString()) < 200_000
    for log in sent.logs():
        assert len(log.raw.SerializeToString()) < 200_000
    if way is way_span:
        for span in sent.spans():
            assert len(str(span.attributes.get("again", ""))) < 100_000


@pytest.mark.parametrize(
    "value", [Raises(), NoText(), knot(), deep(100_00)], ids=lambda v: type(v).__name__
)
def test_values_are_told_anyway(sent: Sent, value: Any) -> None:
    with varan.span("told", value=value, after=1):
        pass
    assert sent.span("told").attributes["after"] == 1
    assert "value" in sent.span("told").attributes


def test_ten_thousand_attributes(sent: Sent) -> None:
    with varan.span("many", **{f"k{i}": i for i in range(10_000)}) as span:
        span.add_event("many", {f"k{i}": "v" * 100 for i in range(10_000)})
    found = sent.span("many")
    assert len(found.attributes) == 128 and found.raw.dropped_attributes_count == 10_000 - 128
    assert len(found.events[0][1]) == 128
    assert found.raw.events[0].dropped_attributes_count == 10_000 - 128


def test_names(sent: Sent) -> None:
    for name in ("", "\ud800", "n" * 1_000_000, "ü" * 1_000_000):
        with varan.span(name):
            pass
    spans = sent.spans()
    assert len(spans) == 4 and all(len(s.name.encode()) <= 1024 for s in spans)
    for odd in (None, 5, b"bytes", Raises(), ["list"]):
        with varan.span(odd):  # type: ignore[arg-type]
            pass
        assert _core.Tracer(odd, odd, odd, odd)
        _core.Tracer(odd).start_span(odd).end()
        for make in (varan.counter, varan.histogram, varan.gauge):
            with contextlib.suppress(TypeError):
                make(odd, odd, odd)  # type: ignore[operator]
    names = sorted(s.name for s in sent.spans())
    assert len(names) == 14 and names.count("None") == 2 and names.count("5") == 2
    assert names.count("b'bytes'") == 2 and names.count("['list']") == 2


def chain(n: int) -> BaseException:
    error: BaseException | None = None
    for i in range(n):
        new = ValueError(i)
        new.__cause__ = error
        error = new
    assert error is not None
    return error


def cycle() -> BaseException:
    errors = [ValueError(i) for i in range(5)]
    for i, error in enumerate(errors):
        error.__context__ = errors[(i + 1) % 5]
        error.__cause__ = errors[(i + 2) % 5]
    return errors[0]


def group(depth: int, width: int) -> BaseException:
    if depth == 0:
        return ValueError("leaf")
    made = ExceptionGroup  # noqa: F821
    return made("group", [group(depth - 1, width) for _ in range(width)])


class OddException(Exception):
    def __str__(self) -> str:
        raise self

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise self


@pytest.mark.parametrize("make", [lambda: chain(10_000), cycle, OddException, lambda: group(4, 6)],
                         ids=["chain", "cycle", "odd", "groups"])  # fmt: skip
def test_exceptions(sent: Sent, quiet: None, make: Callable[[], BaseException]) -> None:
    if (
        make.__name__ == "<lambda>"
        and sys.version_info < (3, 11)
        and "group" in str(make.__code__.co_names)
    ):  # type: ignore[attr-defined]
        return
    error = make()
    with varan.span("failed") as span:
        span.record_exception(error)
    LOGGER.error("failed", exc_info=error)
    _core.emit_exception("nobody catches", error)
    (event,) = sent.span("failed").events
    assert event[1]["exception.type"] and len(str(event[1])) < 200_000
    assert len(sent.logs()) == 2
    links: Any = error if make is not OddException else None
    while links is not None:  # a long chain ends by recursion in some versions of Python
        following, links.__cause__, links.__context__ = links.__cause__, None, None
        links = following


def test_one_span_used_by_many_threads(sent: Sent) -> None:
    """Not a good idea, but no harm: nothing crashes, and the span that arrives can be read."""
    with varan.span("shared") as span:

        def work(i: int) -> None:
            for k in range(200):
                span.set(f"k{k % 20}", Switches() if k % 50 == 0 else k)
                span.set_attributes({"a": i, "b": [k]})
                if k % 20 == 0:
                    span.add_event("e", {"k": Switches()})
                _ = span.attributes

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    assert sent.span("shared").attributes["a"] in range(8)


def test_a_span_ends_while_a_value_is_read(sent: Sent) -> None:
    class Ends:
        def __str__(self) -> str:
            span.end()
            return "too late"

    span = varan.span("ends")
    with span:
        span.set("value", Ends())
        span.add_event("event", {"value": Ends()})
    assert "value" not in sent.span("ends").attributes and sent.span("ends").events == []


def test_spans_in_cycles_go_away() -> None:
    class Holder:
        pass

    def make() -> Any:
        import weakref

        span = varan.span("held")
        holder = Holder()
        holder.span = span  # type: ignore[attr-defined]
        return weakref.ref(span)

    seen = make()
    gc.collect()
    assert seen() is None
