"""Programs that are hard to look into: the same stacks as py-spy, children by the hundred, other interpreters in the
process, code of many thousand lines, an end at any moment; and that the program does not notice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from test_dump import has_no_gil, read_tasks
from test_profile import (
    PYTHONS,
    Program,
    dump,
    naps,
    record,
    stop_threads,
    thread_with,
    varan,
)

from conftest import VARAN, wait_until

SHAPES = """
    import functools, threading, time

    started = threading.Semaphore(0)

    def sleeps():
        started.release()
        time.sleep(
            1000
        )

    def generator(n):
        if n:
            yield from generator(n - 1)
        sleeps()
        yield

    class Thing:
        def __init__(self, then):
            self.then = then
            self.then()

        @property
        def value(self):
            return sleeps()

        @staticmethod
        def stays():
            return [sleeps() for _ in (1,)]

        def __enter__(self):
            sleeps()

        def __exit__(self, *_):
            pass

    def down(n):
        return down(n - 1) if n else sleeps()

    def in_generator():
        for _ in generator(5):
            pass

    def in_comprehension():
        Thing.stays()

    def in_property():
        Thing(lambda: None).value

    def in_constructor():
        Thing(sleeps)

    def in_sort():
        sorted([1, 2], key=lambda x: sleeps())

    def in_partial():
        functools.partial(down, 30)()

    def in_with():
        with Thing(int):
            pass

    def in_except():
        try:
            1 / 0
        except ZeroDivisionError:
            sleeps()

    targets = [in_generator, in_comprehension, in_property, in_constructor, in_sort, in_partial]
    targets += [in_with, in_except]
    for target in targets:
        threading.Thread(target=target, name=target.__name__, daemon=True).start()
    for _ in targets:
        started.acquire()
    print("ready", flush=True)
    while True:
        down(0) if False else sum(range(1000))
"""


def short(name: str) -> str:
    """py-spy tells plain names, we tell qualified ones from 3.11 on."""
    return name.rsplit(".", 1)[-1]


@pytest.mark.parametrize("python", PYTHONS)
def test_stacks_are_those_that_pyspy_tells(tmp_path, python):
    pyspy = Path(sys.executable).parent / "py-spy"
    with Program(tmp_path, SHAPES, python) as program:
        wait_until(
            lambda: sum(t["state"] == "idle" for t in dump(program.pid)["threads"]) >= 8,
            60,
            "eight sleeping threads",
        )
        stop_threads(program.process.pid)  # else one of them goes on between both readings
        done = subprocess.run(
            [pyspy, "dump", "--nonblocking", "--json", "--pid", program.pid],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        ours = {
            t["thread_id"]: [(short(f["function"]), f["file"], f["line"]) for f in t["frames"]]
            for t in dump(program.pid)["threads"]
        }
    if done.returncode and has_no_gil(python):
        return  # py-spy does not read such builds
    assert done.returncode == 0, f"py-spy does not know this Python: {done.stderr}"
    theirs = {
        t["thread_id"]: [
            (short(f["name"]), f["filename"], f["line"])
            for f in t["frames"]
            if f["name"] != "<shim>"
        ]
        for t in json.loads(done.stdout)
    }
    assert len(ours) == 9 and ours == theirs


def test_fork_storm(tmp_path):
    """Hundreds of children that live for milliseconds: they are counted or missed, nothing else."""
    source = """
        import os

        def child():
            for i in range(20000):
                pass
            os._exit(0)

        print("ready", flush=True)
        while True:
            for _ in range(10):
                if os.fork() == 0:
                    child()
            for _ in range(10):
                os.wait()
    """
    target = tmp_path / "out.txt"
    with Program(tmp_path, source) as program:
        record(program.pid, target, "--subprocesses", cpu_s=1, looks=200)
        assert program.process.poll() is None
    assert "<module>" in target.read_text()


@pytest.mark.parametrize("python", PYTHONS)
def test_other_interpreters(tmp_path, python):
    source = """
        import threading, time
        try:
            import _interpreters as interpreters
            run = lambda i, code: interpreters.exec(i, code)
        except ImportError:
            import _xxsubinterpreters as interpreters
            run = interpreters.run_string

        code = "import time\\ndef in_another():\\n    time.sleep(1000)\\nin_another()"
        for _ in range(2):
            threading.Thread(target=run, args=(interpreters.create(), code), daemon=True).start()
        print("ready", flush=True)
        time.sleep(1000)
    """
    with Program(tmp_path, source, python) as program:

        def both():
            threads = dump(program.pid)["threads"]
            found = {
                t["interpreter"]
                for t in threads
                if t["frames"] and t["frames"][0]["function"] == "in_another"
            }
            return len(found) == 2 and found

        assert 0 not in wait_until(both, 60, "stacks of two more interpreters")


def test_code_of_many_thousand_lines(tmp_path):
    """A line table of some hundred kilobytes: the line at its end is found."""
    lines = 40000
    source = r"""
        import time
        body = "".join(f"    x = {i} if x else (x,\n        {i})\n" for i in range(40000))
        code = "def long(x):\n" + body + "    time.sleep(1000)\n"
        exec(compile(code, "long.py", "exec"))
        print("ready", flush=True)
        long(0)
    """
    with Program(tmp_path, source) as program:
        thread = wait_until(
            lambda: (
                (t := thread_with(dump(program.pid), "long"))
                and t["state"] == "idle"
                and t["frames"][0]["line"] == 2 * lines + 2
                and t
            ),
            60,
            "the last line",
        )
        assert thread["frames"][0]["file"] == "long.py"


def test_processes_that_end_while_they_are_read(tmp_path):
    """Ends at any moment: a report, or a message, and no hang."""
    script = tmp_path / "short.py"
    script.write_text("import threading, time\nwhile time.process_time() < 0.05: sum(range(100))\n")
    for _ in range(3):
        process = subprocess.Popen([sys.executable, str(script)])
        while process.poll() is None:
            done = varan("dump", "--locals", "--async-tree", str(process.pid))
            assert done.returncode in (0, 1), done.stderr
    done = varan(
        *("record", "--subprocesses", "-o", str(tmp_path / "out.txt"), "--"),
        *("sh", "-c", f"for i in 1 2 3; do {sys.executable} {script}; done"),
    )
    assert done.returncode == 0 or "did not run a CPython" in done.stderr, done.stderr


def test_target_is_unharmed(tmp_path):
    """A thousand samples a second: the program's own memory map, signals, files and children are as before, and what
    it computes takes the processor time that it takes without us, as far as a shared machine can tell."""
    source = """
        import time

        def work():
            begin = time.process_time()
            sum(i * i for i in range(500000))
            return time.process_time() - begin

        work()
        print("ready", flush=True)
        while True:
            input()
            print(min(work() for _ in range(3)), flush=True)
    """
    script_target = tmp_path / "out.txt"

    class Talking(Program):
        def __init__(self, folder: Path, text: str):
            self.path = folder / "program.py"
            self.path.write_text(textwrap.dedent(text))
            self.process = subprocess.Popen(
                [sys.executable, str(self.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert self.process.stdout.readline().strip() == "ready"
            self.pid = str(self.process.pid)

        def ask(self) -> float:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())

    with Talking(tmp_path, source) as program:

        def facts() -> tuple:
            status = Path(f"/proc/{program.pid}/status").read_text().splitlines()
            kept = [
                line
                for line in status
                if line.startswith(("Threads", "SigPnd", "SigBlk", "TracerPid", "VmPeak"))
            ]
            files = sorted(os.listdir(f"/proc/{program.pid}/fd"))
            maps = Path(f"/proc/{program.pid}/maps").read_text()
            return kept, files, maps

        program.ask()
        before = facts()

        def as_before() -> bool:
            """How little it is, the benchmark tells. While others crowd the machine, both times say little: once more."""
            without = program.ask()
            recording = subprocess.Popen(
                [str(VARAN), "record", "--rate", "1000"]
                + ["-o", str(script_target), "--pid", program.pid],
                stderr=subprocess.PIPE,
            )
            wait_until(lambda: recording.poll() is not None or naps(recording.pid) > 50, 60)
            looked = naps(recording.pid)
            beside = program.ask()
            looked_at = naps(recording.pid) > looked  # meanwhile
            recording.send_signal(signal.SIGINT)
            _, says = recording.communicate(timeout=60)
            assert recording.returncode == 0, says
            assert facts() == before
            return looked_at and beside < 1.5 * without

        wait_until(as_before, 90, "the same computing taking the same time")


def test_hundreds_of_tasks_are_recorded_with_their_awaiters(tmp_path):
    source = """
        import asyncio

        def crunch():
            for i in range(3000):
                i * i

        async def leaf(n):
            while True:
                crunch()
                await asyncio.sleep(0)

        async def branch(n):
            await leaf(n)

        async def main():
            tasks = [asyncio.create_task(branch(n)) for n in range(300)]
            print("ready", flush=True)
            await asyncio.gather(*tasks)

        asyncio.run(main())
    """
    target = tmp_path / "out.txt"
    with Program(tmp_path, source) as program:
        wait_until(
            lambda: sum(bool(task["awaited_by"]) for task in read_tasks(program.pid)) >= 300,
            60,
            "gather() waiting for all of them",
        )
        record(program.pid, target, "--async", "--function")
    stacks = [line for line in target.read_text().splitlines() if "crunch (" in line]
    assert stacks
    most = max(stacks, key=lambda line: int(line.rsplit(" ", 1)[1]))
    names = [frame.split(" (")[0] for frame in most.rsplit(" ", 1)[0].split(";")]
    assert names[-4:] == ["main", "branch", "leaf", "crunch"]
