"""Threads, executors, tasks and processes: their work is in the trace of whom started or submitted it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import subprocess
import sys
import threading
from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program, Sent
from varan import _core


def work(name: str = "inside") -> str:
    with varan.span(name) as span:
        return span.trace_id


def test_threads(sent: Sent) -> None:
    seen: list[Any] = []

    class Own(threading.Thread):
        def run(self) -> None:
            seen.append(varan.current_span())
            work()

    timer = threading.Timer(0.01, work)
    with varan.span("outer") as outer:
        for thread in (threading.Thread(target=work), Own(), timer):
            thread.start()
            thread.join()
        assert varan.current_span() is outer
    alone = threading.Thread(target=work, args=("alone",))
    alone.start()
    alone.join()
    assert seen == [outer]
    parents = {s.parent_id for s in sent.spans() if s.name == "inside"}
    assert parents == {outer.span_id} and len(sent.collector.named("inside")) == 3
    assert sent.span("alone").parent_id == ""


def test_a_thread_that_outlives_its_starter(sent: Sent) -> None:
    go = threading.Event()

    def late() -> None:
        go.wait(60)
        work()

    with varan.span("outer") as outer:
        thread = threading.Thread(target=late)
        thread.start()
    go.set()
    thread.join()
    assert sent.span("inside").parent_id == outer.span_id


def test_only_the_span_is_carried(sent: Sent) -> None:
    variable = contextvars.ContextVar("application", default="unset")
    variable.set("starter's")
    seen = []
    with varan.span("outer"):
        thread = threading.Thread(target=lambda: seen.append(variable.get()))
        thread.start()
        thread.join()
    assert seen == ["unset"]


def test_executor(sent: Sent) -> None:
    """Also for workers that were started by others, and for work that comes from nowhere."""
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        with varan.span("first") as first:
            assert pool.submit(work).result() == first.trace_id
        with varan.span("second") as second:
            assert list(pool.map(work, ["a", "b"])) == [second.trace_id] * 2

            def fails(*, why: str) -> None:
                work("failing")
                raise ValueError(why)

            with pytest.raises(ValueError, match="because"):
                pool.submit(fails, why="because").result()
        pool.submit(work, "nowhere").result()
    assert sent.span("inside").parent_id == first.span_id
    assert {sent.span(n).parent_id for n in ("a", "b", "failing")} == {second.span_id}
    assert sent.span("nowhere").parent_id == ""


def test_asyncio(sent: Sent) -> None:
    async def main() -> None:
        with varan.span("outer") as outer:
            loop = asyncio.get_running_loop()
            task = asyncio.create_task(later())
            assert await asyncio.to_thread(work, "to_thread") == outer.trace_id
            assert await loop.run_in_executor(None, work, "executor") == outer.trace_id
            loop.call_soon(work, "soon")
            await asyncio.gather(*[nested(i) for i in range(3)])
        assert varan.current_span() is None
        await task

    async def nested(i: int) -> None:
        with varan.span(f"gathered{i}"):
            await asyncio.sleep(0.001 * (3 - i))

    async def later() -> None:
        await asyncio.sleep(0.05)
        work("later")

    asyncio.run(main())
    outer = sent.span("outer")
    names = ("to_thread", "executor", "soon", "gathered0", "gathered1", "gathered2", "later")
    assert {sent.span(n).parent_id for n in names} == {outer.span_id}


def test_call_below(sent: Sent) -> None:
    with varan.span("a") as a:
        pass
    with varan.span("b") as b:
        assert _core.call_below(a, work, "below a") == a.trace_id
        with pytest.raises(ZeroDivisionError):
            _core.call_below(a, lambda: 1 / 0)
        assert varan.current_span() is b
    assert _core.call_below(None, int, "5") == 5
    with pytest.raises(TypeError):
        _core.call_below(a)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("started", ["by-environment", "by-call"])
def test_multiprocessing(program: Program, collector: Collector, method: str, started: str) -> None:
    """Processes and pools of every kind: nothing lost, nothing twice, one trace."""
    if started == "by-call":
        program.env["PYTHONPATH"] = program.env["PYTHONPATH"].split(":")[1]
    program.run(
        """
        import concurrent.futures, multiprocessing, sys
        import varan

        def work(name):
            with varan.span(name):
                return name

        if __name__ == "__main__":
            varan.start(service="mine")
            context = multiprocessing.get_context(sys.argv[1])
            with varan.span("outer"):
                children = [context.Process(target=work, args=(f"process{i}",)) for i in range(3)]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
                    assert child.exitcode == 0
                with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                    assert list(pool.map(work, [f"pool{i}" for i in range(5)])) == [f"pool{i}" for i in range(5)]
        """,
        method,
    )  # fmt: skip
    spans = collector.wait_spans(9)
    assert sorted(s.name for s in spans) == sorted(
        ["outer", *(f"process{i}" for i in range(3)), *(f"pool{i}" for i in range(5))]
    )
    (outer,) = collector.named("outer")
    assert {s.parent_id for s in spans if s is not outer} == {outer.span_id}
    assert {s.resource["service.name"] for s in spans} == {
        "program" if started == "by-environment" else "mine"
    }
    instances = {s.resource["service.instance.id"]: s.resource["process.pid"] for s in spans}
    assert len(instances) == len(set(instances.values())) >= 4


def test_subprocess(sent: Sent) -> None:
    with varan.span("outer") as outer:
        assert (
            subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).returncode == 0
        )
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.check_call("exit 3", shell=True)
        with pytest.raises(FileNotFoundError):
            subprocess.Popen(["/nothing/here", "--password=secret"])
        text = subprocess.check_output(
            ["sh", "-c", "echo $TRACEPARENT $OWN"], env={"OWN": "1"}, text=True
        )
    subprocess.run(["true"])  # outside a trace
    good, bad, missing, shown = [s for s in sent.spans() if s.kind == 3]
    assert good.name.startswith("python") and good.attributes["process.exit.code"] == 0
    assert good.attributes["process.pid"] > 0 and good.status == 0
    assert bad.attributes["process.exit.code"] == 3 and bad.status == 2
    assert missing.name == "here" and missing.attributes["error.type"] == "FileNotFoundError"
    assert "secret" not in str([s.attributes for s in sent.spans()])
    assert text == f"00-{outer.trace_id}-{shown.span_id}-01 1\n"


def test_asyncio_subprocess(sent: Sent) -> None:
    async def main() -> None:
        with varan.span("outer"):
            process = await asyncio.create_subprocess_exec("sh", "-c", "exit 4")
            assert await process.wait() == 4

    asyncio.run(main())
    assert sent.span("sh").attributes["process.exit.code"] == 4


def test_a_program_joins_its_starters_trace(program: Program, collector: Collector) -> None:
    """Its own work does; requests that it serves are traces of their own."""
    program.run(
        """
        import subprocess, sys, varan
        from varan.hooks import wsgi
        if len(sys.argv) > 1:
            with varan.span("outer"):
                subprocess.run([sys.executable, __file__], check=True)
        else:
            with varan.span("inner"):
                pass
            app = wsgi.traced(lambda environ, start_response: [start_response("200 OK", []) or b""])
            app({"REQUEST_METHOD": "GET"}, print)
        """,
        "outer",
    )
    spans = {s.name if s.kind != 3 else "command": s for s in collector.wait_spans(4)}
    assert spans["inner"].parent_id == spans["command"].span_id
    assert spans["command"].parent_id == spans["outer"].span_id
    assert spans["GET"].parent_id == "" and spans["GET"].trace_id != spans["outer"].trace_id
