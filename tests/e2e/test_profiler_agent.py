"""The agent's profiler in real applications: what it charges CPU time to is where it was spent, by endpoint, thread and
trace; forked workers have profiles of their own; short programs and `off` send none."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Callable

import pytest

from conftest import VARAN, Server, wait_until

# CPU time of the thread itself, so that a machine at work with other things changes nothing.
SPIN = """
    import os, threading, time

    def spin(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            sum(i * i for i in range(300))

"""
FLASK = """
    from flask import Flask
    app = Flask(__name__)

    @app.get("/heavy/<int:n>")
    def heavy(n):
        spin(0.02)
        return "done"

    @app.get("/light/<int:n>")
    def light(n):
        spin(0.005)
        return "done"
"""
FASTAPI = """
    import asyncio
    from fastapi import FastAPI
    app = FastAPI()

    async def step():
        spin(0.006)
        await asyncio.sleep(0.001)
        spin(0.006)

    @app.get("/coroutine/{n}")
    async def coroutine(n: int):
        await step()
        return n

    @app.get("/thread/{n}")
    def thread(n: int):
        spin(0.012)
        return n

    @app.get("/ready/{n}")
    async def ready(n: int):
        return n
"""
FORK = """
    def before(): spin(0.5)
    def in_child(): spin(1.0)
    def in_parent(): spin(0.7)

    before()
    pid = os.fork()
    if pid == 0:
        in_child()
        os._exit(0)
    in_parent()
    assert os.waitpid(pid, 0)[1] == 0
"""
THREADS = """
    def worker(): spin(0.8)
    def napper(): time.sleep(2)

    threads = [threading.Thread(target=worker, name=f"worker-{i}") for i in (1, 2)]
    threads.append(threading.Thread(target=napper, name="napper"))
    for one in threads: one.start()
    for one in threads: one.join()
"""


class Program:
    def __init__(self, server: Server, folder: Path, service: str, text: str):
        self.server, self.folder, self.service = server, folder, service
        (folder / "app.py").write_text(textwrap.dedent(SPIN) + textwrap.dedent(text))
        self.process: subprocess.Popen | None = None

    def start(self, *command: str, **env: str) -> None:
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [str(VARAN), "run", "--service", self.service, "--", sys.executable, *command],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "VARAN_ENDPOINT": self.server.otlp,
                    # The last window is on its way when the program ends, on a busy machine for long.
                    "VARAN_EXIT_TIMEOUT_MS": "30000",
                    **env,
                },
            )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)

    def run(self, **env: str) -> None:
        self.start("app.py", **env)
        assert self.process.wait(120) == 0, (self.folder / "log").read_text()

    def address(self, pattern: str) -> str:
        """Where the program listens, by its own log."""

        def said() -> str:
            text = (self.folder / "log").read_text()
            assert self.process.poll() is None, text
            return next(
                (
                    line.split(pattern)[1].split()[0]
                    for line in text.splitlines()
                    if pattern in line
                ),
                "",
            )

        return "http://127.0.0.1:" + wait_until(said, 60, f"{pattern} in the log")

    def seconds(self, kind: str = "cpu", **params: str) -> dict[str, float]:
        """Seconds of each function, with what it called."""
        rows = self.server.api(
            "/profiles/table", service=self.service, type=kind, sort="sum", limit=1000, **params
        )["rows"]
        return {row["function"]: row["sum"] / 1e9 for row in rows}


def get(url: str) -> None:
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()


def load(base: str, *paths: str, count: int = 80) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(get, [f"{base}{path}/{n}" for n in range(count) for path in paths]))


def assert_near(got: Callable[[], float], want: float, least: float = 0.75) -> None:
    """Within what a sample in flight at either end, and a lost one, may change. The last window may be on its way."""
    low, high = want * least - 0.05, want * 1.3 + 0.1
    wait_until(lambda: low < got() < high, 60, lambda: f"{got()} s instead of {want} s")


SHAPES = """
def wrapped(f):
    def inside(*args):
        spin(0.1)
        return f(*args)

    return inside

@wrapped
def decorated(
    a,
    b=(
        1,
    ),
) -> None:
    \'\'\'A text
that stands further left.
    \'\'\'
    spin(0.2)
# This, too.
    a = \'\'\'
def decorated_not(): pass
\'\'\'
    # A word behind the last statement.

class Cart:
    def total(self):

        spin(0.2)
        return [
            spin(0.1) for _ in range(2)
        ]

    note = 1

decorated(1)
Cart().total()
AFTER = 1
"""


def texts(app: Program) -> dict[str, tuple[int, str]]:
    """First line and text of the functions of app.py."""
    rows = app.server.api("/profiles/table", service=app.service, limit=1000)["rows"]
    files = {row["file"] for row in rows if row["file"].endswith("app.py")}
    found = {}
    for file in files:
        answer = app.server.api("/profiles/source", service=app.service, file=file)
        assert answer["lines"]
        for source in answer["sources"]:
            found[source["function"].rpartition(".")[2]] = source["first_line"], source["text"]
    return found


def test_text_of_hot_functions(server, tmp_path):
    app = Program(server, tmp_path, "shapes", SHAPES)
    app.run()
    names = {"spin", "decorated", "inside", "total"}
    wait_until(lambda: names <= set(texts(app)), 60, "the texts of the functions")
    found, lines = texts(app), (tmp_path / "app.py").read_text().splitlines()
    tree = ast.walk(ast.parse("\n".join(lines)))
    defined = {node.name: node for node in tree if isinstance(node, ast.FunctionDef)}
    for name in names:
        node = defined[name]
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        last = node.end_lineno + (1 if name == "decorated" else 0)  # with the comment
        assert found[name] == (first, "\n".join(lines[first - 1 : last]))


@pytest.mark.parametrize("why", ["off", "changed"])
def test_no_text(server, tmp_path, why):
    """Not when it is switched off, and not of a file that is no longer what runs."""
    # A time of its own: what changes right after the start may have the start's, as clocks of files are coarse.
    change = "os.utime('app.py', (time.time() + 60,) * 2)" if why == "changed" else ""
    app = Program(server, tmp_path, f"no-text-{why}", f"\n    {change}\n    spin(0.8)\n")
    app.run(VARAN_PROFILE_SOURCE="0" if why == "off" else "1")
    wait_until(lambda: "spin" in app.seconds(), 60, "a profile")
    assert texts(app) == {}


@pytest.mark.parametrize("options", [["--threads", "4"], ["--preload", "--workers", "2"]])
def test_flask_under_gunicorn(server, tmp_path, options):
    app = Program(server, tmp_path, f"flask{len(options)}{options[0]}", FLASK)
    app.start("-m", "gunicorn", "-b", "127.0.0.1:0", *options, "app:app")
    try:
        load(app.address("http://127.0.0.1:"), "/heavy", "/light", count=200)
    finally:
        app.stop()

    def spent(which: str) -> float:
        return app.seconds(endpoint=f"GET /{which}/<int:n>").get("spin", 0)

    # How much each endpoint used is measured; what of it is `spin`, and not Flask, is sampled.
    wait_until(
        lambda: 0.7 * 4 < spent("heavy") < 1.3 * 4 and 0.5 < spent("light") < 1.6,
        60,
        lambda: f"{spent('heavy')} s and {spent('light')} s instead of 4 s and 1 s",
    )
    # A trace leads to what its span did.
    found = server.api(
        "/traces", filter=f'service = "{app.service}" name = "GET /heavy/<int:n>"', sort="slowest"
    )["traces"]
    spans = [
        span
        for one in found
        for span in server.api("/profiles/trace", trace_id=one["trace_id"])["spans"]
    ]
    assert any(span["values"].get("cpu", 0) > 0 for span in spans)


def test_fastapi_under_uvicorn(server, tmp_path):
    app = Program(server, tmp_path, "fastapi", FASTAPI)
    app.start("-m", "uvicorn", "--port", "0", "app:app")
    try:
        base = app.address("http://127.0.0.1:")
        load(base, "/coroutine", "/thread", "/ready")
    finally:
        app.stop()
    wait_until(lambda: "spin" in app.seconds(), 60, "a profile")
    # Of an endpoint that awaits in between, and of one on AnyIO's threads.
    for name in ("coroutine", "thread"):
        assert_near(
            partial(lambda n: app.seconds(endpoint=f"GET /{n}/{{n}}").get("spin", 0), name),
            80 * 0.012,
            0.7,
        )
    # Nothing of it beside them; the names of endpoints are known, however short the requests are.
    assert app.seconds(endpoint="").get("spin", 0) < 0.03 * 2 * 80 * 0.012


def test_fork(server, tmp_path):
    app = Program(server, tmp_path, "forks", FORK)
    app.run()
    wait_until(lambda: {"in_child", "in_parent"} <= set(app.seconds()), 60, "both processes")
    # The child's profiler begins a little after it.
    assert_near(lambda: app.seconds().get("in_child", 0), 1.0, 0.5)
    assert_near(lambda: app.seconds().get("in_parent", 0), 0.7, 0.5)
    # Once: what came before the fork is not the child's, too.
    assert app.seconds().get("before", 0) < 0.6
    processes = server.sql(
        "SELECT uniqExact(resource_id) FROM profile_samples WHERE service = 'forks'"
    )
    assert int(processes[0][0]) == 2


def test_threads_cpu_wall_and_gil(server, tmp_path):
    app = Program(server, tmp_path, "threads", THREADS)
    began = time.monotonic()
    app.run()
    took = time.monotonic() - began
    wait_until(lambda: app.seconds(), 60, "a profile")
    for thread in ("worker-1", "worker-2"):
        assert_near(partial(lambda t: app.seconds(thread=t).get("worker", 0), thread), 0.8, 0.5)
        assert app.seconds("gil_wait", thread=thread)["worker"] > 0.1
    assert app.seconds(thread="napper").get("napper", 0) < 0.1
    # It sleeps two seconds, and longer on a machine that stands still meanwhile.
    wait_until(
        lambda: 1.2 < app.seconds("wall", thread="napper").get("napper", 0) < took,
        60,
        lambda: f"{app.seconds('wall', thread='napper')} in {took} s",
    )


@pytest.mark.parametrize(
    ("name", "env", "kinds"),
    [("off", {"VARAN_PROFILER": "off"}, set()), ("only-cpu", {"VARAN_PROFILER": "cpu"}, {"cpu"})],
)
def test_settings(server, tmp_path, name, env, kinds):
    app = Program(server, tmp_path, name, "import varan\nspin(0.6)\nvaran.flush()")
    app.run(**env)
    assert server.process.poll() is None
    if kinds:
        wait_until(lambda: app.seconds(), 60, "a profile")
    assert {one for one in ("cpu", "wall", "gil_wait") if app.seconds(one)} == kinds


def test_a_program_that_ends_at_once_is_left_alone(server, tmp_path):
    app = Program(server, tmp_path, "short", "print('done')")
    app.run()
    assert "done" in (tmp_path / "log").read_text()
    assert app.seconds("wall") == {}
