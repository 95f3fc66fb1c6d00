"""Forks and servers: each span arrives once, from the process that made it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from collector import Collector
from servers import free_port

from conftest import Program


def once(collector: Collector, name: str, n: int) -> list[Any]:
    found = collector.named(name)
    assert len(found) == n, f"{len(found)} of {n}"
    assert len({s.span_id for s in found}) == n
    return found


def test_os_fork(program: Program, collector: Collector) -> None:
    """Children and grandchildren send their own spans only, with ids and an instance of their own."""
    program.run(
        """
        import os, varan
        with varan.span("parent"):
            pass   # unsent while the fork happens
        def family(depth):
            with varan.span("around"):
                for i in range(3):
                    with varan.span("before"):
                        pass
                    pid = os.fork()
                    if pid == 0:
                        for _ in range(10):
                            with varan.span("child", depth=depth, i=i):
                                pass
                        if depth:
                            family(depth - 1)
                        os._exit(0)
                    assert os.waitpid(pid, 0)[1] == 0
        family(1)
        """
    )
    once(collector, "parent", 1)
    once(collector, "before", 12)
    children = once(collector, "child", 120)
    assert len({s.resource["service.instance.id"] for s in children}) == 12
    assert len({s.resource["process.pid"] for s in children}) == 12
    around = once(collector, "around", 4)
    # the child's spans hang below the span that was current when it was forked
    assert {s.parent_id for s in children} <= {s.span_id for s in around}
    assert len({s.trace_id for s in collector.spans}) == 2


def test_span_open_while_forking(program: Program, collector: Collector) -> None:
    """Both processes leave the same span: the parent alone sends it."""
    program.run(
        """
        import os, varan
        with varan.span("open"):
            pid = os.fork()
        if pid == 0:
            assert varan.stats()["spans_dropped_fork"] == 1
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    once(collector, "open", 1)


def test_fork_while_exporting(program: Program, collector: Collector) -> None:
    """Forks at any moment of the export thread's work neither hang nor duplicate."""
    program.run(
        """
        import os, threading, time, varan
        stop = False
        def load():
            n = 0
            while not stop:
                with varan.span("load", n=n):
                    n += 1
                time.sleep(0.0005)
        threads = [threading.Thread(target=load) for _ in range(3)]
        for t in threads:
            t.start()
        pids = []
        for i in range(40):
            pid = os.fork()
            if pid == 0:
                with varan.span("child"):
                    pass
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            assert os.waitpid(pid, 0)[1] == 0
        stop = True
        for t in threads:
            t.join()
        """,
        VARAN_INTERVAL_MS="10",
    )
    once(collector, "child", 40)
    assert len({s.span_id for s in collector.spans}) == len(collector.spans)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(program: Program, collector: Collector, method: str) -> None:
    program.run(
        f"""
        import multiprocessing, varan
        def work(i):
            with varan.span("work", i=i):
                return i
        if __name__ == "__main__":
            multiprocessing.set_start_method("{method}")
            with multiprocessing.Pool(2) as pool:
                assert pool.map(work, range(20)) == list(range(20))
                pool.close()
                pool.join()
            p = multiprocessing.Process(target=work, args=(99,))
            p.start(); p.join()
        """
    )
    assert sorted(s.attributes["i"] for s in once(collector, "work", 21)) == [*range(20), 99]


def test_subprocess_starts_with_the_agent(program: Program, collector: Collector) -> None:
    program.run(
        """
        import subprocess, sys
        subprocess.run([sys.executable, "-c", "import varan\\nwith varan.span('sub'): pass"], check=True)
        """
    )
    once(collector, "sub", 1)


def wait_for(port: int, process: subprocess.Popen[str], program: Program) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, program.output()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(program.output())


def load(port: int, path: str, clients: int, each: int) -> list[int]:
    """Requests from several clients at once; returns the statuses."""
    statuses: list[int] = []

    def client(k: int) -> None:
        for i in range(each):
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
            c.request("GET", f"{path}/{k * each + i}")
            response = c.getresponse()
            response.read()
            statuses.append(response.status)
            c.close()

    threads = [threading.Thread(target=client, args=(k,)) for k in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return statuses


SHOP = """
    import logging, sqlite3, flask
    app = flask.Flask(__name__)
    @app.get("/item/<int:i>")
    def item(i):
        db = sqlite3.connect(":memory:")
        db.execute("select ? + 1", (i,)).fetchall()
        logging.getLogger("shop").warning("item %d", i)
        return {"i": i}
"""

GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "shop:app",
    "--log-level",
    "warning",
    "--graceful-timeout",
    "60",
    "--timeout",
    "120",
]


@pytest.mark.parametrize(
    "options",
    [
        ["-w", "2"],
        ["-w", "2", "--preload"],
        ["-w", "1", "--threads", "8"],
        ["-w", "2", "--threads", "4", "--preload"],
    ],
    ids=["prefork", "preload", "threads", "preload-threads"],
)
def test_gunicorn(program: Program, collector: Collector, options: list[str]) -> None:
    program.write("shop.py", SHOP)
    port = free_port()
    process = program.start(*GUNICORN, "-b", f"127.0.0.1:{port}", *options, VARAN_SERVICE="")
    wait_for(port, process, program)
    assert set(load(port, "/item", 6, 50)) == {200}
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, program.output()
    requests = once(collector, "GET /item/<int:i>", 300)
    assert sorted(s.attributes["url.path"] for s in requests) == sorted(
        f"/item/{i}" for i in range(300)
    )
    assert {s.scope for s in requests} == {"varan.wsgi"} and {
        s.resource["service.name"] for s in requests
    } == {"shop"}
    workers = {s.resource["service.instance.id"] for s in requests}
    assert len(workers) <= (1 if "1" in options else 2)  # one worker may take all
    queries = once(collector, "SELECT", 300)
    by_id = {s.span_id: s for s in requests}
    assert all(q.parent_id in by_id and by_id[q.parent_id].trace_id == q.trace_id for q in queries)
    assert all(q.attributes["code.file.path"].endswith("shop.py") for q in queries)
    logs = [x for x in collector.logs if x.scope == "shop"]
    assert len(logs) == 300 and {x.span_id for x in logs} == set(by_id)


def test_uvicorn_workers(program: Program, collector: Collector) -> None:
    program.write(
        "api.py",
        """
        import varan
        from fastapi import FastAPI
        app = FastAPI()
        @app.get("/a/{i}")
        async def a(i: int):
            with varan.span("inside"):
                return i
        """,
    )
    port = free_port()
    process = program.start(
        sys.executable,
        "-m",
        "uvicorn",
        "api:app",
        "--port",
        str(port),
        "--workers",
        "2",
        "--timeout-worker-healthcheck",
        "90",
        "--log-level",
        "warning",
    )
    wait_for(port, process, program)
    assert set(load(port, "/a", 6, 30)) == {200}
    process.send_signal(signal.SIGTERM)
    process.wait(90)
    requests = once(collector, "GET /a/{i}", 180)
    assert {s.scope for s in requests} == {"varan.asgi"}
    assert {s.parent_id for s in once(collector, "inside", 180)} == {s.span_id for s in requests}


def test_killed_worker_leaves_no_trouble(program: Program, collector: Collector) -> None:
    """A parent that dies hard while its child lives: the child still sends."""
    done = program.run(
        """
        import os, signal, sys, time, varan
        with varan.span("start"):
            pass
        middle = os.fork()
        if middle == 0:
            with varan.span("middle"):
                pass
            child = os.fork()
            if child == 0:
                with varan.span("orphan"):
                    pass
                print("done", flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(middle, 0)
        """
    )
    assert "done" in done.stdout
    once(collector, "orphan", 1)
    assert os.getpid()


def test_a_fork_that_python_does_not_know_of(program: Program, collector: Collector) -> None:
    """uWSGI's, for one: the child's own threads start with its first span, the profiler's included."""
    program.run(
        """
        import ctypes, glob, os, time, varan

        def threads():
            names = set()
            for path in glob.glob("/proc/self/task/*/comm"):
                with open(path) as comm:
                    names.add(comm.read().strip())
            return names

        with varan.span("parent"):
            pass
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            with varan.span("child"):
                pass
            deadline = time.monotonic() + 60
            while not {"varan-profiler", "varan-export"} <= threads():
                assert time.monotonic() < deadline, threads()
                time.sleep(0.01)
            varan.flush(60)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        VARAN_PROFILER="wall",
    )
    parent, child = once(collector, "parent", 1)[0], once(collector, "child", 1)[0]
    assert parent.resource["service.instance.id"] != child.resource["service.instance.id"]
