"""Exceptions in full: chains, groups, frames with source and variables; secrets, hostile values, storms."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program, Sent


def record(exception: BaseException) -> None:
    with varan.span("holder") as span:
        span.record_exception(exception)


def detail(sent: Sent) -> list[dict[str, Any]]:
    (event,) = sent.span("holder").events
    result: list[dict[str, Any]] = json.loads(event[1]["varan.exception.detail"])
    return result


class Order:
    def __init__(self) -> None:
        self.number = 5
        self.password = "geheim"
        self.lines = [1, 2, {"a": {"b": {"c": {"d": 1}}}}]

    def __repr__(self) -> str:
        raise SystemExit("never called")


def inner(order: Any, api_key: str, many: int) -> None:
    text = 'quote " and \n newline ' + "x" * 500
    headers = {"Authorization": "geheim", "Accept": "*/*"}
    data, ratio, nothing, jwt = b"geheim", 1.5, None, "eyJhbGciOiJIUzI1NiJ9.geheim"
    surrogate, numbers, words = "\udc80", list(range(100)), {"a", "b"}
    raise ValueError(
        f"bad {bool((text, headers, data, ratio, nothing, jwt, surrogate, numbers, words))}"
    )


def outer() -> None:
    try:
        inner(Order(), "geheim", 2**4000)
    except ValueError as error:
        raise RuntimeError("worse") from error


def caught(function: Any) -> BaseException:
    try:
        function()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def test_chain_frames_and_variables(sent: Sent) -> None:
    record(caught(outer))
    worse, bad = detail(sent)
    assert (worse["type"], worse["message"]) == ("RuntimeError", "worse")
    assert (bad["type"], bad["of"], bad["relation"]) == ("ValueError", 0, "cause")
    assert [f["function"] for f in worse["frames"]] == ["caught", "outer"]
    frame = bad["frames"][-1]
    assert frame["function"] == "inner"
    assert frame["own"] is True
    assert frame["file"] == __file__
    assert frame["source"][frame["line"] - frame["first"]].strip().startswith("raise ValueError(")
    variables = frame["variables"]
    assert variables["api_key"] == variables["jwt"] == "***"
    assert variables["order"].startswith("<Order number=5 password=*** lines=[1, 2, {'a':")
    assert variables["many"] == "<int of 4001 bits>"
    assert variables["text"].startswith("'quote \" and \n newline xxx")
    assert variables["text"].endswith("…' (522 characters)")
    assert variables["headers"] == "{'Authorization': ***, 'Accept': '*/*'}"
    assert (variables["data"], variables["ratio"], variables["nothing"]) == (
        "<6 bytes>",
        "1.5",
        "None",
    )
    assert variables["numbers"] == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, … 100 in all]"
    assert variables["words"] == "<set of 2>"
    for frame in worse["frames"] + bad["frames"]:
        del frame["source"]  # which has the word, too
    assert "geheim" not in json.dumps([worse, bad])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with 3.11")
def test_group(sent: Sent) -> None:
    def raise_group() -> None:
        first, second = caught(lambda: inner(1, "x", 1)), KeyError("k")
        second.__context__ = OSError("disk")
        raise ExceptionGroup("both", [first, ExceptionGroup("more", [second])])  # noqa: F821

    record(caught(raise_group))
    nodes = detail(sent)
    assert [(n["type"], n.get("of"), n.get("relation")) for n in nodes] == [
        ("ExceptionGroup", None, None),
        ("ValueError", 0, "member"),
        ("ExceptionGroup", 0, "member"),
        ("KeyError", 2, "member"),
        ("OSError", 3, "context"),
    ]


def test_endless_chain_and_deep_recursion(sent: Sent) -> None:
    def recurse(n: int) -> None:
        recurse(n + 1)

    first = caught(lambda: recurse(0))
    second = OSError("b")
    first.__context__, second.__context__ = second, first
    record(first)
    nodes = detail(sent)
    assert [n["type"] for n in nodes] == ["RecursionError", "OSError"]
    assert len(nodes[0]["frames"]) == 60
    assert nodes[0]["left_out"] > 0
    assert sum("source" in f for f in nodes[0]["frames"]) == 12


def test_large_variables_stay_within_the_limit(sent: Sent) -> None:
    def fill(depth: int) -> None:
        a = b = c = d = e = f = g = h = ["y" * 1000] * 1000
        if depth:
            fill(depth - 1)
        raise OSError(str(len((a, b, c, d, e, f, g, h))))

    error = caught(lambda: fill(30))
    for _ in range(20):
        error, error.__context__ = caught(lambda: fill(30)), error  # type: ignore[misc]
    record(error)
    (event,) = sent.span("holder").events
    text = event[1].get("varan.exception.detail", "[]")
    assert len(text.encode()) <= 40 << 10
    json.loads(text)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="notes came with 3.11")
def test_notes(sent: Sent) -> None:
    def noted() -> None:
        error = OSError("disk")
        error.add_note("the first")
        error.add_note('"quoted" \udc80')
        error.__notes__ += [5, None]
        raise error

    record(caught(noted))
    (node,) = detail(sent)
    assert node["message"] == "disk"
    assert node["notes"] == ["the first", '"quoted" \\udc80']
    assert node["frames"][-1]["variables"]["error"] == "<OSError>"


def test_a_storm_is_thinned_out(sent: Sent) -> None:
    def storm() -> None:
        raise LookupError("again")

    for _ in range(50):
        with varan.span("holder") as span:
            span.record_exception(caught(storm))
    events = [event[1] for s in sent.spans() for event in s.events]
    assert len(events) == 50
    assert all("exception.stacktrace" in e for e in events)
    assert 10 <= sum("varan.exception.detail" in e for e in events) <= 20  # a minute may have begun


def test_logged(sent: Sent) -> None:
    try:
        inner({}, "x", 1)
    except ValueError:
        logging.getLogger("shop").exception("failed")
    (log,) = [entry for entry in sent.logs() if entry.body == "failed"]
    nodes = json.loads(log.attributes["varan.exception.detail"])
    assert nodes[0]["frames"][-1]["variables"]["order"] == "{}"


def test_variables_can_be_switched_off(program: Program, collector: Collector) -> None:
    program.run(
        """
        import varan
        def fail(secret_plan):
            raise ValueError(1)
        with varan.span("holder") as span:
            try:
                fail("world")
            except ValueError as error:
                span.record_exception(error)
        """,
        VARAN_EXCEPTION_LOCALS="0",
    )
    (event,) = collector.spans[0].events
    frames = json.loads(event[1]["varan.exception.detail"])[0]["frames"]
    assert all("variables" not in f for f in frames)
    assert "source" in frames[-1]


def test_nobody_catches(program: Program, collector: Collector) -> None:
    program.run(
        """
        import asyncio, gc, threading

        def fail(where):
            raise ValueError(where)

        thread = threading.Thread(target=fail, args=("thread",), name="worker-7")
        thread.start()
        thread.join()

        class Unraisable:
            def __del__(self):
                fail("unraisable")

        Unraisable()

        async def main():
            async def child():
                fail("task")
            task = asyncio.create_task(child())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            del task
            gc.collect()

        asyncio.run(main())
        """
    )
    bodies = [log.body for log in collector.logs]
    assert "Unhandled ValueError ends thread worker-7" in bodies
    assert any(b.startswith("Unraisable ValueError in") for b in bodies)
    assert any(b.startswith("Task exception was never retrieved") for b in bodies)
    for log in collector.logs:
        assert log.attributes["exception.type"] == "ValueError"
        frames = json.loads(log.attributes["varan.exception.detail"])[0]["frames"]
        assert frames[-1]["variables"]["where"].startswith("'")
