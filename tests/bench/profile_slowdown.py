"""What a program feels of being looked into: pairs of short windows of one running program, with and without.

All contestants are attached to the same program and stopped; one at a time goes on for a window (SIGCONT), with a window
in which none does before it and after it. The program counts its own work. Each window is compared with the two beside
it, so that what the machine does slowly cancels out; the figure is the median over the windows, with a 95 % interval
from their ranks (binomial), which assumes nothing of how they are spread. The same is done for windows in which nothing
was attached (`nobody`): what it says is what this machine's noise makes of no effect at all."""

from __future__ import annotations

import math
import signal
import subprocess
import time
from pathlib import Path

from common import Results, median, wait_or_kill

SETTLE_S = 0.1  # after a contestant went on: it may catch up, caches fill
WINDOW_S = 0.3


def interval(values: list[float]) -> tuple[float, float]:
    """The median's 95 % interval, by ranks."""
    values = sorted(values)
    n = len(values)
    if n < 6:
        return values[0], values[-1]
    reach = 1.96 * math.sqrt(n) / 2
    low, high = math.floor(n / 2 - reach), math.ceil(n / 2 + reach) - 1
    return values[max(low, 0)], values[min(high, n - 1)]


def add_median(results: Results, what: str, values: list[float], peer=None, version=None) -> None:
    low, high = interval(values)
    results.add(
        f"{what} ({low:+.2f} … {high:+.2f}, {len(values)} pairs)",
        median(values),
        "%",
        peer,
        version,
    )


def cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def window(program) -> tuple[float, float]:
    """Work done a second, and a second of processor time."""
    time.sleep(SETTLE_S)
    begin, cpu, done = time.monotonic(), cpu_ns(program.process.pid), program.done()
    time.sleep(WINDOW_S)
    done = program.done() - done
    took, used = time.monotonic() - begin, cpu_ns(program.process.pid) - cpu
    return done / took, 1e9 * done / max(used, 1)


class Attached:
    """A contestant that is attached, and stopped except when it is its turn."""

    def __init__(self, command: list[str]):
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(1.5)  # symbols, first sight of the code
        assert self.process.poll() is None, command
        self.rest()

    def rest(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def work(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.work()
        self.process.send_signal(signal.SIGINT)
        wait_or_kill(self.process, 20)


def slower(now: float, before: float, after: float) -> float:
    return 100 * (1 - now / ((before + after) / 2))


def measure(results: Results, versions: dict, program, commands: dict, rate: int, seconds: float):
    """`commands`: by name, what makes the command from (pid, rate, seconds, target)."""
    names = [*commands, "nobody"]
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    attached = {}
    try:
        for name, make in commands.items():
            target = Path(program.folder.name) / f"{name}.slow"
            attached[name] = Attached(make(program.pid, rate, 3600, target))
        end = time.monotonic() + seconds
        before = window(program)
        while time.monotonic() < end or not wall["nobody"]:
            for name in names:
                if name in attached:
                    attached[name].work()
                now = window(program)
                if name in attached:
                    attached[name].rest()
                after = window(program)
                wall[name].append(slower(now[0], before[0], after[0]))
                cpu[name].append(slower(now[1], before[1], after[1]))
                before = after
    finally:
        for one in attached.values():
            one.end()
    for name in names:
        facts = (name, versions.get(name)) if name in versions else ()
        what = f"at {rate} Hz, {name}"
        add_median(results, f"slowdown of the program {what}", wall[name], *facts)
        add_median(results, f"less work by the same CPU time {what}", cpu[name], *facts)
