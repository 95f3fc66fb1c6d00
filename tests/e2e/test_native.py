"""`varan record --native` and `--blocking`: native frames in their place, and a program that does not notice."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest
from test_profile import PYTHONS, SPLIT, Program, line_of, read_collapsed, varan

from conftest import VARAN, wait_until

LIBRARY = """
long __pyx_pf_4demo_5Thing_2crunch(long n) {
    volatile long x = 0;
    for (long i = 0; i < n; i++) x += i;
    return x;
}
long native_outer(long n) { return __pyx_pf_4demo_5Thing_2crunch(n) + 1; }
long calls_back(long (*f)(long), long n) { return f(n) + 1; }
"""

PROGRAM = """
    import ctypes, sys

    library = ctypes.CDLL(sys.argv[1])
    library.native_outer.argtypes = [ctypes.c_long]
    kind = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)

    @kind
    def called_back(n):
        x = 0
        for i in range(n):
            x += i
        return x & 7

    def through():
        library.calls_back(called_back, 50000)

    def main():
        print("ready", flush=True)
        while True:
            library.native_outer(2000000)
            through()

    main()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    (folder / "demo.c").write_text(LIBRARY)
    target = folder / "libdemo.so"
    subprocess.run(
        ["cc", "-O1", "-fno-inline", "-shared", "-fPIC", "-o", target, folder / "demo.c"],
        check=True,
    )
    return target


def functions_of(stack: str) -> list[str]:
    return [re.sub(r" \(.*", "", frame) for frame in stack.split(";")]


@pytest.mark.parametrize("python", PYTHONS)
def test_native_frames_are_where_they_belong(tmp_path, library, python):
    if subprocess.run([python, "-c", "import ctypes"], capture_output=True, check=False).returncode:
        pytest.skip("a static build has no ctypes")
    target = tmp_path / "out.txt"
    with Program(tmp_path, PROGRAM, python, str(library)) as program:
        stacks: list[list[str]] = []

        def both_seen():
            done = varan(
                *("record", "--native", "--function", "-o", str(target), "--pid", program.pid),
                *("--duration", "1s"),
            )
            assert done.returncode == 0, done.stderr
            for line in target.read_text().splitlines():
                stacks.append(functions_of(line.rsplit(" ", 1)[0]))
            return any("demo.Thing.crunch" in s for s in stacks) and any(
                "called_back" in s and "calls_back" in s for s in stacks
            )

        wait_until(both_seen, 90, "stacks in the library and in what it calls back")
        status = Path(f"/proc/{program.pid}/status").read_text()
        assert "TracerPid:\t0" in status
        assert program.process.poll() is None
    inside = next(s for s in stacks if "demo.Thing.crunch" in s)  # as Cython would have named it
    assert inside[-1] == "demo.Thing.crunch" and inside[-2] == "native_outer"
    assert inside[:2] == ["<module>", "main"]
    back = next(s for s in stacks if "called_back" in s and "calls_back" in s)
    assert back.index("through") < back.index("calls_back") < back.index("called_back")
    assert "_PyEval_EvalFrameDefault" not in str(stacks)


def test_held_threads_go_on_and_get_their_signals(tmp_path):
    """A thousand holds a second: every signal arrives, nothing stays stopped or traced."""
    source = """
        import os, signal, sys, threading

        seen = 0

        def count(*_):
            global seen
            seen += 1
            os.write(1, b"%d\\n" % seen)  # print() may be interrupted in itself

        def work():
            while True:
                sum(range(1000))

        signal.signal(signal.SIGUSR1, count)
        for _ in range(4):
            threading.Thread(target=work, daemon=True).start()
        print("ready", flush=True)
        work()
    """
    target = tmp_path / "out.txt"
    with Program(tmp_path, source) as program:
        recording = subprocess.Popen(
            [str(VARAN), "record", "--blocking", "--rate", "1000", "-o", str(target)]
            + ["--pid", program.pid],
            stderr=subprocess.PIPE,
            text=True,
        )
        tasks = Path(f"/proc/{program.pid}/task")
        wait_until(
            lambda: any("TracerPid:\t0" not in (t / "status").read_text() for t in tasks.iterdir()),
            60,
            "a moment of holding",
        )
        for number in range(1, 51):
            program.process.send_signal(signal.SIGUSR1)
            assert program.process.stdout.readline().strip() == str(number)
        recording.send_signal(signal.SIGINT)
        _, says = recording.communicate(timeout=60)
        assert recording.returncode == 0, says
        for task in tasks.iterdir():
            status = (task / "status").read_text()
            assert "TracerPid:\t0" in status and "State:\tt" not in status
        program.process.send_signal(signal.SIGUSR1)
        assert program.process.stdout.readline().strip() == "51"
    assert "work" in read_collapsed(target)


def test_killed_profiler_leaves_nothing_behind(tmp_path):
    with Program(tmp_path, SPLIT) as program:
        recording = subprocess.Popen(
            [str(VARAN), "record", "--native", "--rate", "1000", "-o", str(tmp_path / "x.txt")]
            + ["--pid", program.pid],
            stderr=subprocess.DEVNULL,
        )
        status = Path(f"/proc/{program.pid}/status")
        wait_until(lambda: "TracerPid:\t0" not in status.read_text(), 60, "a moment of holding")
        recording.kill()
        recording.wait(60)
        wait_until(lambda: "TracerPid:\t0" in status.read_text(), 60, "being let go")
        stat = Path(f"/proc/{program.pid}/stat")

        def ticks():
            fields = stat.read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        wait_until(lambda: ticks() > before + 5, 60, "the program working on")


def test_a_command_that_is_held_ends_with_its_own_status(tmp_path):
    script, target = tmp_path / "work.py", tmp_path / "out.txt"
    script.write_text(
        "import time\nend = time.process_time() + 0.5\n"
        "def work():\n    while time.process_time() < end: sum(range(100))\nwork()\n"
        "raise SystemExit(7)\n"
    )
    done = varan("record", "--native", "-o", str(target), "--", sys.executable, str(script))
    assert done.returncode == 7, done.stderr
    assert "work (" in target.read_text()


CYTHON = """
    # cython: language_level=3
    cdef long grind(long n) noexcept:
        cdef long i, x = 0
        for i in range(n):
            x ^= (i * 3) % 11
        return x


    cdef class Mill:
        cdef long turns

        def __init__(self, long turns):
            self.turns = turns

        def run(self, callback):
            cdef long x = grind(self.turns)
            callback()
            return x
"""

RUNS_THE_MILL = """
    import threading, time
    import mill

    def called():
        x = 0
        for i in range(20000):
            x += i

    def sleeps():
        time.sleep(1000)

    def main():
        one = mill.Mill(1000000)
        print("ready", flush=True)
        while True:
            one.run(called)

    threading.Thread(target=sleeps, daemon=True).start()
    main()
"""


@pytest.fixture(scope="module")
def mill(tmp_path_factory):
    """A folder with a module that Cython made, with debug information, as setuptools builds them."""
    folder = tmp_path_factory.mktemp("mill")
    (folder / "mill.pyx").write_text(textwrap.dedent(CYTHON))
    subprocess.run([sys.executable, "-m", "cython", "mill.pyx"], cwd=folder, check=True)
    command = ["cc", "-O1", "-g", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}"]
    target = f"mill{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([*command, "-o", target, "mill.c"], cwd=folder, check=True)
    return folder


def frames_of(stack: str) -> list[tuple[str, str]]:
    """Function, and where: file's name and line."""
    return [(f.split(" (")[0], f.rpartition("/")[2].rstrip(")")) for f in stack.split(";")]


def test_cython_functions_have_their_names_and_lines(mill):
    target = mill / "out.txt"
    line = line_of(CYTHON, "x ^= (i * 3) % 11")
    seen: list[list[tuple[str, str]]] = []
    with Program(mill, RUNS_THE_MILL) as program:

        def both_seen():
            done = varan(
                *("record", "--native", "-o", str(target), "--pid", program.pid),
                *("--duration", "1s"),
            )
            assert done.returncode == 0, done.stderr
            for text in target.read_text().splitlines():
                seen.append(frames_of(text.rsplit(" ", 1)[0]))
            return any(s[-1] == ("mill.grind", f"mill.pyx:{line}") for s in seen) and any(
                ("called" in dict(s)) and ("mill.Mill.run" in dict(s)) for s in seen
            )

        wait_until(both_seen, 90, "stacks in the Cython function, and in what it calls back")
        assert program.process.poll() is None
    ground = next(s for s in seen if s[-1] == ("mill.grind", f"mill.pyx:{line}"))  # it is inlined
    assert ground[-2] == (
        "mill.Mill.run",
        f"mill.pyx:{line_of(CYTHON, 'cdef long x = grind(self.turns)')}",
    )
    back = next(s for s in seen if "called" in dict(s) and "mill.Mill.run" in dict(s))
    names = [name for name, _ in back]

    assert names[names.index("mill.Mill.run") - 1] == "main"
    assert names[names.index("mill.Mill.run") + 1] == "called"
    assert dict(back)["mill.Mill.run"] == f"mill.pyx:{line_of(CYTHON, 'callback()')}"


def test_dump_with_native_frames(mill):
    with Program(mill, RUNS_THE_MILL) as program:
        found = {}

        def both_seen():
            done = varan("dump", "--native", "--locals", "--json", program.pid)
            assert done.returncode == 0, done.stderr
            for thread in json.loads(done.stdout)["threads"]:
                functions = [frame["function"] for frame in thread["frames"]]
                if "main" in functions and "mill.Mill.run" in functions:
                    found["main"] = thread
                if "sleeps" in functions and functions[0] != "sleeps":
                    found["sleeps"] = thread
            return len(found) == 2

        wait_until(both_seen, 90, "the Cython function, and the C library in which the other waits")
        for task in Path(f"/proc/{program.pid}/task").iterdir():
            assert "TracerPid:\t0" in (task / "status").read_text()
        text = varan("dump", "--native", program.pid).stdout
    frames = {frame["function"]: frame for frame in found["main"]["frames"]}
    assert frames["mill.Mill.run"]["file"] == str(mill / "mill.pyx")
    assert frames["mill.Mill.run"]["line"] and "locals" not in frames["mill.Mill.run"]
    assert "one" in frames["main"]["locals"]
    assert found["sleeps"]["state"] == "idle"
    assert "libc" in found["sleeps"]["frames"][0]["file"]
    assert "    main (" in text


def test_dump_with_native_frames_wants_a_process(tmp_path):
    done = varan("dump", "--native", "--core", str(tmp_path / "core"))
    assert done.returncode == 2 and "running process" in done.stderr
