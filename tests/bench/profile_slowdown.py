"""What a program feels of being looked into: a thousand short blocks of one running program, with and without.

The program does the same unit of work over and over and notes after each when it ended and how much processor time it
has used (its own thread's clock), so that a block of time is known to the nanosecond, without asking the kernel about
it from outside. Whoever looks is attached all the time, and stopped (SIGSTOP) except in blocks of its own; nothing is
pinned to a processor. Between two blocks of contestants, whose order is by chance, is one in which nobody looks. A
block's figure is its time per unit against the mean of the two blocks beside it: a machine's noise grows with the
distance in time, so blocks are as short as a few samples allow. `nobody` is a contestant that does nothing: what it
says is what this machine's noise makes of no effect at all.

Printed are the mean of the middle 60 % of the figures and its 95 % interval (bootstrap), by the clock on the wall (what
a user of the program feels) and by processor time (what the reading costs it: caches, the kernel's locks; not that the
recorder took a processor from it)."""

from __future__ import annotations

import contextlib
import mmap
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import WORK, Results, wait_or_kill

SETTLE_S = 0.03  # after a contestant went on: it may catch up, caches fill
BLOCK_S = 0.1
KEPT = 0.6  # of the blocks' figures
RESAMPLED = 2000
UNITS_MIN = 20  # of a block: it takes longer where the program is kept from working
SLOTS = 1 << 15

PROGRAM = (
    """
import mmap, struct, sys, time
with open(sys.argv[1], "r+b") as file:
    notes = mmap.mmap(file.fileno(), 0)
slots = (len(notes) - 8) // 16
"""
    + WORK
    + """

wall, cpu = time.monotonic_ns, time.thread_time_ns
done = 0
print("ready", flush=True)
while True:
    down(18, 10000)
    struct.pack_into("<qq", notes, 8 + 16 * (done % slots), wall(), cpu())
    done += 1
    struct.pack_into("<q", notes, 0, done)
"""
)


class Program:
    """Works, and notes when each unit of work was done."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="varan-bench-")
        notes = Path(self.folder.name) / "notes"
        notes.write_bytes(bytes(8 + 16 * SLOTS))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(notes)], stdout=subprocess.PIPE
        )
        with notes.open("r+b") as file:
            self.notes = mmap.mmap(file.fileno(), 0)
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = str(self.process.pid)

    def now(self) -> tuple[int, int, int]:
        """Units done; when the last of them ended, and the processor time until then (ns)."""
        done = struct.unpack_from("<q", self.notes, 0)[0]
        return done, *struct.unpack_from("<qq", self.notes, 8 + 16 * ((done - 1) % SLOTS))

    def __enter__(self) -> Program:
        while self.now()[0] < 100:
            time.sleep(0.1)
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.notes.close()
        self.folder.cleanup()


class Attached:
    """A contestant that is attached, and stopped except when it is its turn."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(1.5)  # symbols, first sight of the code
        assert self.process.poll() is None, command
        self.process.send_signal(signal.SIGSTOP)

    def __enter__(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def __exit__(self, *_) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        wait_or_kill(self.process, 20)


def block(program: Program) -> tuple[float, float]:
    """Nanoseconds per unit of work: on the wall, and of processor time."""
    time.sleep(SETTLE_S)
    done, wall, cpu = program.now()
    units, end = 0, time.monotonic() + BLOCK_S
    while units < UNITS_MIN or time.monotonic() < end:
        time.sleep(max(end - time.monotonic(), 0.01))
        done_then, wall_then, cpu_then = program.now()
        units = done_then - done
    return (wall_then - wall) / units, (cpu_then - cpu) / units


def middle(values: list[float]) -> float:
    """The mean of the middle part: nearly as exact as the mean, and hardly moved by outliers."""
    values = sorted(values)
    off = int(len(values) * (1 - KEPT) / 2)
    values = values[off : len(values) - off]
    return sum(values) / len(values)


def interval(values: list[float]) -> tuple[float, float]:
    chance = random.Random(1)
    means = sorted(middle(chance.choices(values, k=len(values))) for _ in range(RESAMPLED))
    return means[int(0.025 * RESAMPLED)], means[int(0.975 * RESAMPLED) - 1]


def add(results: Results, work: str, percent: list[float]) -> None:
    low, high = interval(percent)
    work += f" ({low:+.2f} … {high:+.2f}, {len(percent)} blocks)"
    results.add(work, middle(percent), "%")


Figures = dict[str, list[tuple[float, float]]]


def slower(now: tuple, before: tuple, after: tuple) -> tuple[float, float]:
    """Percent that a block took longer per unit than those beside it: wall, processor."""
    wall, cpu = (100 * (n / ((b + a) / 2) - 1) for n, b, a in zip(now, before, after, strict=True))
    return wall, cpu


def compare(program: Program, attached: dict[str, Attached], end: float) -> Figures:
    chance = random.Random(7)
    figures: Figures = {name: [] for name in (*attached, "nobody")}
    order = list(figures)
    before = block(program)
    while time.monotonic() < end or len(figures["nobody"]) < 5:
        chance.shuffle(order)
        for name in order:
            with attached.get(name, contextlib.nullcontext()):
                now = block(program)
            after = block(program)
            figures[name].append(slower(now, before, after))
            before = after
    return figures


def measure(results: Results, versions: dict, commands: dict, rate: int, seconds: float):
    """`commands`: by name, what makes the command from (pid, rate, seconds, target)."""
    attached: dict[str, Attached] = {}
    with Program() as program:
        try:
            for name, make in commands.items():
                target = Path(program.folder.name) / f"{name}.slow"
                attached[name] = Attached(make(program.pid, rate, 3600, target))
            figures = compare(program, attached, time.monotonic() + seconds)
        finally:
            for one in attached.values():
                one.end()
    for which, what in enumerate(("slowdown", "more CPU time per unit of work")):
        for name, pairs in figures.items():
            work = " ".join((f"{what} at {rate} Hz,", name, versions.get(name, ""))).rstrip()
            add(results, work, [pair[which] for pair in pairs])
