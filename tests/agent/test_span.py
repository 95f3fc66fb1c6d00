"""The span: what is recorded arrives, hostile values hurt nobody, limits hold."""

from __future__ import annotations

import asyncio
import contextvars
import enum
import gc
import logging
import threading
import weakref
from typing import Any

import pytest

import varan
from conftest import Sent


def test_nesting_and_times(sent: Sent) -> None:
    with varan.span("outer") as outer:
        assert varan.current_span() is outer
        with varan.span("inner") as inner:
            assert varan.current_span() is inner
        assert varan.current_span() is outer
    assert varan.current_span() is None
    spans = {s.name: s for s in sent.spans()}
    assert spans["inner"].parent_id == spans["outer"].span_id == outer.span_id
    assert spans["inner"].trace_id == spans["outer"].trace_id == inner.trace_id
    assert spans["outer"].parent_id == ""
    assert 0 <= spans["inner"].duration_ns <= spans["outer"].duration_ns
    raw = spans["outer"].raw
    assert abs(raw.start_time_unix_nano / 1e9 - __import__("time").time()) < 60
    assert raw.flags == 0x101
    assert spans["outer"].resource["service.name"] == "tests"
    assert spans["outer"].resource["team"] == "lizard"
    assert spans["outer"].scope == "varan"


def lists(value: Any) -> Any:
    """Sequences come back as tuples, as in OpenTelemetry."""
    if isinstance(value, dict):
        return {k: lists(v) for k, v in value.items()}
    return [lists(v) for v in value] if isinstance(value, tuple) else value


class Colour(enum.IntEnum):
    RED = 7


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("never asked")


@pytest.mark.parametrize(
    "value, wanted",
    [
        ("plain", "plain"), ("ünïcödé ☃ 🦎", "ünïcödé ☃ 🦎"), ("", ""), ("a\0b", "a\0b"), (Text("sub"), "sub"),
        ("lone \ud800 surrogate", "lone \\ud800 surrogate"), (0, 0), (-1, -1), (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)), (2**63, str(2**63)), (-(10**30), str(-(10**30))), (1 << 100000, "<int of 100001 bits>"),
        (Colour.RED, 7), (True, True), (False, False), (1.5, 1.5), (float("inf"), float("inf")),
        (b"\x00\xff", b"\x00\xff"), ([1, 2, 3], [1, 2, 3]), (("a", None, 2.0), ["a", None, 2.0]), ([], []),
        ({"a": {"b": [True]}}, {"a": {"b": [True]}}), ({1: 2}, {"1": 2}), ([[["x"]]], [[["x"]]]),
        ({"s"}, "{'s'}"), (1 + 2j, "(1+2j)"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values(sent: Sent, value: Any, wanted: Any) -> None:
    with varan.span("values", first=1) as span:
        span.set("value", value)
        assert lists(span.attributes["value"]) == wanted
    found = sent.span("values").attributes["value"]
    assert found == wanted and type(found) is type(wanted)


def test_none_is_no_attribute(sent: Sent) -> None:
    with varan.span("none", a=None) as span:
        span.set("b", None)
        span.set(5, "not a key")
        span.set("", "no key")
    assert sent.span("none").attributes == {}


def test_last_value_counts(sent: Sent) -> None:
    with varan.span("again", a=1, b=2) as span:
        for i in range(50):
            span.set("a", "x" * i)
        span.set("c", [1])
        span.set("c", [2, {"k": "v"}])
        span.set_attributes({"b": 3, "d": "new"})
    assert sent.span("again").attributes == {
        "a": "x" * 49,
        "b": 3,
        "c": [2, {"k": "v"}],
        "d": "new",
    }


def test_same_value_again(sent: Sent) -> None:
    with varan.span("same") as span:
        for _ in range(3):
            span.set("k", "v")
    assert sent.span("same").attributes == {"k": "v"}


def test_str_that_raises_logs_or_uses_the_span(sent: Sent) -> None:
    class Raises:
        def __str__(self) -> str:
            raise ValueError("no")

    class Logs:
        def __str__(self) -> str:
            logging.getLogger("hostile").warning("from __str__")
            return "logged"

    class Uses:
        def __str__(self) -> str:
            span.set("inside", "y" * 3000)
            with varan.span("nested"):
                pass
            return "used"

    with varan.span("hostile") as span:
        span.set("raises", Raises())
        span.set("logs", Logs())
        span.set("uses", Uses())
        span.set("uses", Uses())
        span.add_event("event", {"raises": Raises(), "uses": Uses()})
    found = sent.span("hostile")
    assert "Raises" in found.attributes["raises"]
    assert found.attributes["logs"] == "logged" and found.attributes["uses"] == "used"
    assert found.attributes["inside"] == "y" * 3000
    assert found.events[0][1]["uses"] == "used"


def test_recursive_objects(sent: Sent) -> None:
    loop: list[Any] = [1]
    loop.append(loop)
    knot: dict[str, Any] = {}
    knot["knot"] = knot
    with varan.span("recursive", loop=loop, knot=knot):
        pass
    assert sent.span("recursive").attributes["loop"][0] == 1


def test_big_values_are_cut(sent: Sent) -> None:
    with varan.span("big", text="ü" * 100_000, many=list(range(10_000))) as span:
        for i in range(500):
            span.set(f"k{i}", "z" * 2000)
    found = sent.span("big")
    assert set(found.attributes["text"]) == {"ü"} and len(found.attributes["text"]) == 16384
    assert len(found.attributes["many"]) == 256
    assert len(found.attributes) < 128
    assert found.raw.dropped_attributes_count + len(found.attributes) == 502


def test_attribute_count_limit(sent: Sent) -> None:
    with varan.span("many") as span:
        for i in range(200):
            span.set(f"k{i}", i)
        span.set("k0", "changed")
    found = sent.span("many")
    assert len(found.attributes) == 128 and found.attributes["k0"] == "changed"
    assert found.raw.dropped_attributes_count == 72


def test_event_limit(sent: Sent) -> None:
    with varan.span("events") as span:
        for i in range(200):
            span.add_event("tick", {"i": i})
    found = sent.span("events")
    assert len(found.events) == 128 and found.raw.dropped_events_count == 72
    assert found.events[3] == ("tick", {"i": 3})


def test_exception_is_recorded_once(sent: Sent) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError("worse")

    with pytest.raises(ValueError), varan.span("fails"):
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second ☃") from error
    with pytest.raises(Odd), varan.span("odd"):
        raise Odd
    found = sent.span("fails")
    assert found.status == 2 and found.message == "ValueError: second ☃"
    assert found.attributes["error.type"] == "ValueError"
    (name, event) = found.events[0]
    assert len(found.events) == 1 and name == "exception"
    assert event["exception.type"] == "ValueError" and event["exception.message"] == "second ☃"
    trace = event["exception.stacktrace"]
    assert trace.startswith("Traceback (most recent call last):\n") and "direct cause" in trace
    assert 'raise ValueError("second ☃") from error' in trace and trace.endswith(
        "ValueError: second ☃\n"
    )
    assert sent.span("odd").status == 2


def test_deep_recursion_is_a_short_trace(sent: Sent) -> None:
    def down(n: int) -> None:
        if n:
            down(n - 1)
        else:
            raise ValueError("bottom")

    with pytest.raises(ValueError), varan.span("deep"):
        down(500)
    trace = sent.span("deep").events[0][1]["exception.stacktrace"]
    assert (
        len(trace) <= 16384
        and "frames left out" in trace
        and trace.endswith("ValueError: bottom\n")
    )


def test_base_exceptions_are_no_errors(sent: Sent) -> None:
    with pytest.raises(KeyboardInterrupt), varan.span("interrupted"):
        raise KeyboardInterrupt
    assert sent.span("interrupted").status == 0


def test_decorators(sent: Sent) -> None:
    @varan.span("plain", kind="sync")
    def plain(a: int, b: int = 2) -> int:
        """Docs."""
        varan.current_span().set("sum", a + b)
        return a + b

    @varan.span("coroutine")
    async def coroutine() -> int:
        await asyncio.sleep(0)
        with varan.span("below"):
            return 5

    assert plain(1) == 3 and plain(1, b=4) == 5 and plain.__doc__ == "Docs."
    assert asyncio.run(coroutine()) == 5
    sums = [s.attributes for s in sent.spans() if s.name == "plain"]
    assert sums == [{"kind": "sync", "sum": 3}, {"kind": "sync", "sum": 5}]
    assert sent.span("below").parent_id == sent.span("coroutine").span_id


def test_tasks_do_not_mix(sent: Sent) -> None:
    async def work(i: int) -> None:
        with varan.span(f"task{i}") as mine:
            for _ in range(5):
                await asyncio.sleep(0)
                assert varan.current_span() is mine
                with varan.span(f"child{i}"):
                    await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(work(i) for i in range(20)))

    asyncio.run(main())
    spans = sent.spans()
    assert len(spans) == 120
    parents = {s.name: s.span_id for s in spans if s.name.startswith("task")}
    assert all(
        s.parent_id == parents["task" + s.name[5:]] for s in spans if s.name.startswith("child")
    )


def test_generators_may_be_closed_anywhere(sent: Sent) -> None:
    def numbers() -> Any:
        with varan.span("generator"):
            yield 1
            yield 2

    with varan.span("outer") as outer:
        generator = numbers()
        next(generator)
        generator.close()
        assert varan.current_span() is outer

    def leak() -> None:
        leaked = numbers()
        next(leaked)
        thread = threading.Thread(target=leaked.close)  # in another context
        thread.start()
        thread.join()
        assert varan.current_span() is None

    contextvars.copy_context().run(leak)
    assert len([s for s in sent.spans() if s.name == "generator"]) == 2


def test_end_twice_and_use_after_end(sent: Sent) -> None:
    with varan.span("ended") as span:
        pass
    span.end()
    span.set("late", 1)
    span.add_event("late")
    span.record_exception(ValueError())
    span.update_name("late")
    assert not span.is_recording()
    assert sent.span("ended").attributes == {} and len(sent.spans()) == 1


def test_many_threads(sent: Sent) -> None:
    def work() -> None:
        for _ in range(50):
            with varan.span("threaded", n=1):
                pass

    for _ in range(5):
        threads = [threading.Thread(target=work) for _ in range(20)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    spans = sent.spans()
    assert (
        len(spans) == 5000
        and len({s.span_id for s in spans}) == 5000
        and len({s.trace_id for s in spans}) == 5000
    )


def test_spans_are_freed() -> None:
    with varan.span("a") as a:
        watch = weakref.ref(a)
        with varan.span("b"):
            pass
    del a
    assert watch() is None
    gc.collect()


def test_wrong_calls_raise_type_errors() -> None:
    for call in (
        lambda: varan.span(),
        lambda: varan.span("a", "b"),
        lambda: varan.span("a").set("k"),
    ):  # type: ignore
        with pytest.raises(TypeError):
            call()
