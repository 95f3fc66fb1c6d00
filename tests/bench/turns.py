"""How bench_agent.py compares: all contestants live at once, each in a process of its own, and take turns of a few
milliseconds, so that what disturbs the machine disturbs all of them alike. Who is first changes with each turn.

Work is measured by the CPU time of the working thread and flushed in between, outside the clock: what a peer's export
thread costs while it holds the GIL is not counted, to its advantage."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from contestants import clean_environment

SCRIPT = str(Path(__file__).parent / "bench_agent.py")
# Set: nothing is sent between chunks, by the thread whose work is counted.
COUNTING = "BENCH_COUNTING"


def take(run: Callable[[int], None], flush: Callable[[], None], chunk: int) -> None:
    """The child's side: for each line on stdin `chunk` pieces of work; prints the microseconds of one."""
    run(chunk)
    flush()
    gc.collect()
    counting = os.environ.get(COUNTING) == "1"
    for _ in sys.stdin:
        started = time.thread_time()
        run(chunk)
        took = time.thread_time() - started
        if not counting:
            flush()
        print(took / chunk * 1e6, flush=True)


class Child:
    def __init__(self, work: str, way: str, endpoint: str) -> None:
        self.name = f"{work}, {way}"
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, "--child", work, way, endpoint],
            env=clean_environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def turn(self) -> float:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.name}: ended with {self.process.wait()}")
        return float(line)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def match(endpoint: str, work: str, turns: int, ways: tuple[str, ...]) -> dict[str, list[float]]:
    """What each contestant needed, by turn."""
    children = {way: Child(work, way, endpoint) for way in ways}
    found: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for turn in range(turns):
            first = turn % len(ways)
            for way in ways[first:] + ways[:first]:
                found[way].append(children[way].turn())
    finally:
        for child in children.values():
            child.end()
    return found
