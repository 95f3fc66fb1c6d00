"""What looking into a program costs, beside py-spy and Austin: processor time per stack, the rate that can be held, and
what the program feels of it.

The program has threads that work at twenty calls' depth and wait in turn, as a server's do. Every contestant reads the
stacks of all threads, waiting ones included; py-spy in its non-blocking mode, as Varan and Austin always are. Processor
time is the kernel's: once as schedstat counts it over a window in the middle of the run, and once of the whole
recording, from the start of the command to its end. A stack is one thread at one moment, as the contestant's own output
counts them. Contestants take turns; figures are medians.

    python tests/bench/bench_profile.py [PART ...] [--rounds N] [--seconds S] [--quick]

Parts, each of three minutes at most: threads1, threads20, threads270 (at 100 Hz and 1 kHz), most (the highest rate),
slowdown (what the program feels; five minutes), agent (the profiler in the agent), server (a day of profiles), large
(every question about a day of 100 processes), long (about a week of 20); all of them without a name. --rounds: how
often each contestant runs; --seconds: how long each time.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import profile_days
import profile_server
import profile_slowdown
from common import BUILD, ROOT, WORK, Results, machine, median

PROGRAM = (
    """
import sys, threading, time, mmap, struct

threads, share = int(sys.argv[1]), float(sys.argv[2])
with open(sys.argv[3], "r+b") as file:
    counter = mmap.mmap(file.fileno(), 4096)
"""
    + WORK
    + """

def loop(place):
    done = 0
    while True:
        begin = time.thread_time()
        down(18, 10000)
        done += 1
        struct.pack_into("<Q", counter, 8 * (place % 512), done)
        if share < 1:
            time.sleep((time.thread_time() - begin) * (1 / share - 1))

for place in range(1, threads):
    threading.Thread(target=loop, args=(place,), daemon=True).start()
print("ready", flush=True)
loop(0)
"""
)

SCRIPTS = Path(sys.executable).parent


class Program:
    """The program that is looked into: `share` of the time each of its threads wants to work."""

    def __init__(self, threads: int, share: float):
        self.folder = tempfile.TemporaryDirectory(prefix="varan-bench-")
        self.counter = Path(self.folder.name) / "counter"
        self.counter.write_bytes(bytes(4096))
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(threads), str(share), str(self.counter)],
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout.readline() == b"ready\n"
        self.pid = str(self.process.pid)
        time.sleep(0.5)

    def done(self) -> int:
        data = self.counter.read_bytes()
        return sum(int.from_bytes(data[i : i + 8], "little") for i in range(0, 4096, 8))

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def version(command: list[str]) -> str:
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.search(r"\d+\.\d+[.\d]*", text)[0]


def varan_command(pid: str, rate: int, seconds: float, target: Path) -> list[str]:
    return [
        *(str(BUILD / "varan"), "record", "--idle", "--pid", pid, "--rate", str(rate)),
        *("--duration", f"{seconds}s", "--format", "collapsed", "--output", str(target)),
    ]


def pyspy_command(pid: str, rate: int, seconds: float, target: Path) -> list[str]:
    return [
        *(str(SCRIPTS / "py-spy"), "record", "--nonblocking", "--idle", "--pid", pid),
        *("--rate", str(rate), "--duration", str(round(seconds)), "--format", "raw"),
        *("--output", str(target)),
    ]


def austin_command(pid: str, rate: int, seconds: float, target: Path) -> list[str]:
    return [
        *(str(SCRIPTS / "austin"), "-p", pid, "-i", f"{round(1e6 / rate)}us"),
        *("-x", str(round(seconds)), "-o", str(target)),
    ]


COMMANDS = {"varan": varan_command, "py-spy": pyspy_command, "austin": austin_command}


def count_stacks(name: str, target: Path) -> int:
    lines = target.read_text(errors="replace").splitlines() if target.exists() else []
    if name == "austin":  # a line per stack; the number is its time
        return sum(1 for line in lines if line.startswith("P"))
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if " " in line)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads of a process."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # ended meanwhile
    return total / 1e9


def children_seconds() -> float:
    """Processor time of all that was started here and has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Run:
    """One recording of `program` by `name`: shares of a core (`whole`: with start and end), stacks
    a second, what it said."""

    def __init__(self, name: str, program: Program, rate: int, seconds: float):
        target = Path(program.folder.name) / f"{name}.out"
        target.unlink(missing_ok=True)
        before = children_seconds()
        process = subprocess.Popen(
            COMMANDS[name](program.pid, rate, seconds, target),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started = time.monotonic()
        time.sleep(seconds * 0.25)  # start-up: symbols, first sight of the code objects
        begin, cpu, work = time.monotonic(), cpu_seconds(process.pid), program.done()
        time.sleep(seconds * 0.6)
        self.core = (cpu_seconds(process.pid) - cpu) / (time.monotonic() - begin)
        self.work = (program.done() - work) / (time.monotonic() - begin)
        try:
            _, self.says = process.communicate(
                timeout=started + 1.02 * seconds + 0.5 - time.monotonic()
            )
        except subprocess.TimeoutExpired:  # it fell behind and would go on until it has all samples
            process.send_signal(signal.SIGINT)
            _, self.says = process.communicate(timeout=60)
        self.whole = (children_seconds() - before) / seconds
        self.stacks = count_stacks(name, target) / seconds

    def microseconds(self) -> float:
        return 1e6 * self.core / self.stacks if self.stacks else 0.0

    def microseconds_whole(self) -> float:
        return 1e6 * self.whole / self.stacks if self.stacks else 0.0


def said(run: Run, word: str) -> int:
    found = re.search(rf"(\d+) {word}", run.says)
    return int(found[1]) if found else 0


def measure(results: Results, versions: dict, threads: int, rate: int, rounds: int, seconds: float):
    share = min(1.0, 0.8 / threads)
    runs: dict[str, list[Run]] = {name: [] for name in COMMANDS}
    with Program(threads, share) as program:
        for _ in range(rounds):
            for name in COMMANDS:
                runs[name].append(Run(name, program, rate, seconds))
    cores = {name: median(run.core * 100 for run in runs[name]) for name in runs}
    costs = {name: median(run.microseconds() for run in runs[name]) for name in runs}
    wholes = {name: median(run.microseconds_whole() for run in runs[name]) for name in runs}
    rates = {name: median(run.stacks / threads for run in runs[name]) for name in runs}
    what = f"{threads} thread{'s' * (threads > 1)} at {rate} Hz"
    for peer in ("py-spy", "austin"):
        facts = (peer, versions[peer])
        results.add(f"{what}: CPU per stack", costs["varan"], "us", *facts, costs[peer])
        results.add(
            f"{what}: CPU per stack, with start and end ({seconds:g} s)",
            wholes["varan"],
            "us",
            *facts,
            wholes[peer],
        )
        results.add(f"{what}: profiler", cores["varan"], "% core", *facts, cores[peer])
        results.add(
            f"{what}: rate reached", rates["varan"], "Hz", *facts, rates[peer], more_is_better=True
        )
    late = median(
        100 * (said(r, "late") + said(r, "missed")) / (rate * seconds) for r in runs["varan"]
    )
    results.add(f"{what}: late or missed", late, "%")


def measure_most(results: Results, versions: dict, threads: int, rounds: int, seconds: float):
    """The rate that is held when ten thousand a second are asked for."""
    runs: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with Program(threads, min(1.0, 0.8 / threads)) as program:
        for _ in range(rounds):
            for name in COMMANDS:
                runs[name].append(Run(name, program, 10000, seconds).stacks / threads)
    for peer in ("py-spy", "austin"):
        results.add(
            f"{threads} threads: highest rate",
            median(runs["varan"]),
            "Hz",
            *(peer, versions[peer], median(runs[peer])),
            more_is_better=True,
        )


def measure_slowdown(results: Results, versions: dict, rounds: int, seconds: float):
    nonblocking = {name: COMMANDS[name] for name in ("varan", "py-spy")}
    profile_slowdown.measure(results, versions, nonblocking, 100, 11 * rounds * seconds)
    alone = {"varan": varan_command}
    profile_slowdown.measure(results, versions, alone, 1000, 2 * rounds * seconds)


def measure_threads(threads: int):
    def run(results: Results, versions: dict, rounds: int, seconds: float) -> None:
        for rate in (100, 1000):
            measure(results, versions, threads, rate, rounds, seconds)

    return run


PARTS = {
    "threads1": measure_threads(1),
    "threads20": measure_threads(20),
    "threads270": measure_threads(270),
    "most": lambda results, versions, rounds, seconds: measure_most(
        results, versions, 20, rounds, seconds
    ),
    "slowdown": measure_slowdown,
    "agent": lambda results, versions, rounds, seconds: profile_server.measure_agent(
        results, rounds * seconds
    ),
    "server": lambda results, versions, rounds, seconds: profile_server.measure_day(
        results, *((2, 4, 3) if rounds == 1 else (24, 4, 7))
    ),
    "large": lambda results, versions, rounds, seconds: profile_days.measure(
        results, profile_days.QUICK if rounds == 1 else profile_days.LARGE, rounds
    ),
    "long": lambda results, versions, rounds, seconds: profile_days.measure(
        results, profile_days.QUICK if rounds == 1 else profile_days.LONG, rounds
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--quick", action="store_true", help="one short round of everything")
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    if options.quick or os.environ.get("BENCH_QUICK") == "1":
        options.rounds, options.seconds = 1, 3
    versions = {name: version([str(SCRIPTS / name), "--version"]) for name in ("py-spy", "austin")}
    print(machine())
    results = Results("profile")
    for part in options.parts or PARTS:
        print(f"{part}:")
        PARTS[part](results, versions, options.rounds, options.seconds)
    if options.parts:
        print("(build/bench/profile.json is written by a run of all parts)")
    else:
        results.write()


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
