"""`varan top` on a terminal: its views, keys and filters."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from test_profile import Program, varan

from conftest import VARAN, wait_until

PROGRAM = """
    import os, subprocess, sys, threading, time

    def parse():
        return sum(i * i for i in range(2000))

    def handle():
        while True:
            parse()
            time.sleep(0.001)

    def waits():
        time.sleep(1000)

    def crunch():
        x = 0
        for i in range(100000):
            x += i

    parent = os.getppid()

    def main():
        print("ready", flush=True)
        while os.getppid() == parent:  # a child that is left behind ends by itself
            crunch()
        os._exit(0)

    if len(sys.argv) == 1:
        child = subprocess.Popen([sys.executable, __file__, "child"])
    threading.Thread(target=handle, name="wörker", daemon=True).start()
    threading.Thread(target=waits, name="idler", daemon=True).start()
    main()
"""


class Terminal:
    """`varan top` on a terminal of 24 lines; the screen is what was drawn last."""

    def __init__(self, *words: str, columns: int = 120):
        self.ours, self.theirs = os.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.before = termios.tcgetattr(self.theirs)
        self.process = subprocess.Popen(
            [str(VARAN), "top", "--interval", "200ms", *words],
            stdin=self.theirs,
            stdout=self.theirs,
        )
        self.bytes = b""

    def screen(self) -> str:
        while select.select([self.ours], [], [], 0.05)[0]:
            self.bytes += os.read(self.ours, 65536)
        drawn = self.bytes.split(b"\x1b[H")[1:]
        whole = [one for one in drawn if b"\x1b[J" in one]
        text = whole[-1].decode(errors="replace") if whole else ""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def shows(self, *patterns: str) -> str:
        def found():
            text = self.screen()
            return all(re.search(pattern, text) for pattern in patterns) and text

        return wait_until(found, 60, f"{patterns} on the screen:\n{self.screen()}")

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait(60)
        os.close(self.ours)
        os.close(self.theirs)


def table(*words: str, until: str) -> str:
    """What is printed of one interval; of one in which the machine did not stand still."""

    def printed():
        done = varan("top", "--count", "1", *words)
        assert done.returncode == 0, done.stderr
        return re.search(until, done.stdout) and done.stdout

    return wait_until(printed, 60, f"{until} in a table")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    with Program(tmp_path_factory.mktemp("top"), PROGRAM) as running:
        yield running
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
        for child in children.read_text().split() if children.exists() else ():
            os.kill(int(child), 9)


def test_narrow_terminals(program):
    """Names stay readable: other columns go first, then the path, then the name's middle."""
    with Terminal(program.pid, columns=40) as top:
        text = top.shows(r"own% +total%  function", r"%  crunch")
        assert "GIL%" not in text
        top.press("t")
        top.shows(r"GIL% +wait%  name", r"%  MainThread|%  main")
        top.press("?")
        lines = top.shows("sort\n|filter by").splitlines()
        assert max(map(len, lines)) <= 40 and len(lines) <= 24
        assert any("space holds the screen" in line for line in lines)


def test_functions_lines_and_sorting(program):
    with Terminal(program.pid) as top:
        text = top.shows(r"own% +total% +GIL%", r"crunch \(.*program\.py:\d+\)", "GIL \\d+%")
        assert "[functions]" in text
        top.press("l")
        top.shows(r"\[lines\]", r"crunch \(.*program\.py:\d+\)")
        top.press("f5")
        top.shows(r"\[functions\]")
        top.press("2")  # total: <module> holds everything of its thread
        rows = wait_until(
            lambda: (
                (lines := top.screen().splitlines()[4:])
                and lines[0].split()[-2:-1] == ["<module>"]
                and lines
            ),
            60,
            "the module on top",
        )
        assert float(rows[0].split()[1].rstrip("%")) > 0


def test_threads_and_narrowing(program):
    with Terminal(program.pid) as top:
        top.press("t")
        top.press(
            "3"
        )  # by all the time since the start: others may crowd out a thread for a moment
        # Which the idle one never was at work; it is last.
        top.shows("active%", r"\n[^\n]*main: ", "wörker: ", r"\n *0\.0%[^\n]*idler")
        wait_until(lambda: re.search(r"active%.*\n.*main: ", top.screen()), 60, "main on top")
        top.press("j" * 20)  # down to the idle one
        top.press("k" * 20)
        top.press("\r")
        top.shows("one thread only", r"\[functions\]", r"crunch \(")
        assert "parse (" not in top.screen()
        top.press("\x1b")
        wait_until(lambda: "one thread only" not in top.screen(), 60, "all threads again")


def test_filter(program):
    with Terminal(program.pid) as top:
        top.shows(r"crunch \(")
        top.press("/PARSE")
        top.shows("filter: PARSE_")
        top.press("\r")
        wait_until(
            lambda: "parse" in (text := top.screen()) and "crunch (" not in text,
            60,
            "what matches and nothing else",
        )
        # A key may come in two pieces; its Escape is none that takes the filter away.
        top.press("\x1b[A" * 100 + "l")
        assert "crunch (" not in top.shows(r"\[lines\]")
        top.press("\x1b")
        top.shows(r"crunch \(")
    text = table("--filter", "crunch", program.pid, until=r"crunch \(")
    assert "handle (" not in text


def test_processes(program):
    with Terminal("--subprocesses", program.pid, columns=300) as top:
        top.press("p")
        text = top.shows(r"2 processes", r"└ .*program\.py child")
        assert re.search(rf" {program.pid}  \S*python\S* \S*program\.py\n", text)


def test_flame_graph(program):
    with Terminal(program.pid, columns=300) as top:
        top.press("g")
        top.shows(r"\[flame\]", r"\nall", "<module>", "main", "crunch")

        def crunch_is_marked():
            """Once its branch is the first: after the first looks another may be."""
            top.press("\x1b[A" * 6 + "\x1b[B" * 3)  # up; down: <module>, main, crunch
            return re.search(r"crunch \(.*\)  total \d+\.\d%  own \d+\.\d%", top.screen())

        wait_until(crunch_is_marked, 60, "the marked branch")
        top.press("\r")
        text = top.shows(r"crunch \(")
        assert "handle" not in text.split("crunch")[0]
        top.press("\x1b[A\x1b[C\x1b\x1b\x1b")
        top.shows(r"\nall", r"\bThr|handl")  # the other thread again, whose boxes are narrow
    text = table("--view", "flame", program.pid, until="crunch")
    assert re.search(r"\d+\.\d% +all\n", text)


def test_any_key_and_any_size(program):
    """Keys that mean nothing, all at once, and a screen that is too small for anything."""
    for columns in (1, 7, 40, 300):
        with Terminal(program.pid, columns=columns) as top:
            wait_until(lambda top=top: top.screen(), 60, "a screen")
            for view in "fltpg?":
                top.press(
                    view
                    + "\x1b[Z\x1bOP\x1b[200~\x1b[5~\x1b[6~jjkk\x7f\t\r\x1b12345 r/x\x7f\x7f\x1b"
                )
                top.press("\xff\x01")
                top.screen()
            assert top.process.poll() is None
            top.press("q")
            wait_until(
                lambda top=top: top.screen() is None or top.process.poll() is not None,
                60,
                "the end",
            )
            assert top.process.returncode == 0
            after = termios.tcgetattr(top.theirs)
            assert after == top.before  # the terminal is as it was


def test_mistakes():
    done = varan("top", "--view", "pie", "1")
    assert done.returncode == 2 and "functions, lines, threads" in done.stderr
    done = varan("top", "--interval", "1ms", sys.executable)
    assert done.returncode == 2 and "--interval" in done.stderr
