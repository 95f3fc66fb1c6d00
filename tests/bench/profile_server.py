"""Continuous profiling: how long the server takes to merge a day, and what the agent's profiler costs its program.

Used by bench_profile.py; alone: .venv/bin/python tests/bench/profile_server.py [--quick]"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "tests" / "e2e")]

import profile_slowdown  # noqa: E402
from common import BUILD, Results, Server, machine  # noqa: E402

from payloads import Profiles  # noqa: E402

STACKS, FUNCTIONS, TEMPLATES, OF_TEMPLATE = 3000, 1500, 8, 400
SAMPLES = 120  # of one window: 12 requests with some stacks each, and threads that wait
TRACE = "5eed" * 8
WINDOW_S, BATCH = 10, 60  # windows of a request: it is about storage, not about sending


class Receiver(Server):
    def post(self, body: bytes) -> None:
        request = urllib.request.Request(
            f"http://{self.otlp}/v1development/profiles",
            data=body,
            headers={"Content-Type": "application/x-protobuf"},
        )
        for _ in range(100):
            try:
                urllib.request.urlopen(request, timeout=60).read()
                return
            except urllib.error.HTTPError as e:
                if e.code not in (429, 503):  # 503: it is starting
                    raise
                time.sleep(0.5)


# ---- A day of profiles ----


def population(random_: random.Random) -> list[list[str]]:
    """Stacks as a web service has them: a common beginning, then branches; 20 to 45 calls deep."""
    names = [f"function_{i} /app/module_{i % 90}.py" for i in range(FUNCTIONS)]
    roots = [
        [f"{random_.choice(names)}:{random_.randint(1, 500)}" for _ in range(14)] for _ in range(6)
    ]
    return [
        random_.choice(roots)
        + [
            f"{random_.choice(names)}:{random_.randint(1, 500)}"
            for _ in range(random_.randint(6, 31))
        ]
        for _ in range(STACKS)
    ]


def template(random_: random.Random, stacks: list[list[str]], process: int) -> bytes:
    """A request of BATCH windows; window n has the time n + 1, to be replaced."""
    request, mine = None, random_.sample(stacks, OF_TEMPLATE)
    for window in range(BATCH):
        about = {"process.pid": str(100 + process), "service.instance.id": f"day-{process}"}
        made = Profiles("day", f"1.{process % 2}", window + 1, **about)
        if request is None:
            request = made
        else:  # the same tables for all
            made.request, made.tables, made.known = request.request, request.tables, request.known
            made.strings = request.strings
            made.scope = request.scope
        for _ in range(SAMPLES):
            rank = min(int(random_.paretovariate(0.7)), OF_TEMPLATE)
            about = {"thread": f"worker-{random_.randrange(8)}"}
            if random_.random() < 0.7:
                about["endpoint"] = f"GET /endpoint/{random_.randrange(12)}"
                about["trace_id"] = random_.randbytes(16).hex()
                about["span_id"] = random_.randbytes(8).hex()
            kind = random_.choice(("cpu", "wall", "wall", "gil_wait"))
            made.add(mine[rank - 1], random_.randint(1, 5) * 10_000_000, kind, **about)
    return request.body()


def one_trace(stacks: list[list[str]], at_s: int) -> bytes:
    """A long request that was met again and again."""
    about = {"process.pid": "100", "service.instance.id": "day-0"}
    made = Profiles("day", "1.0", at_s * 10**9, **about)
    for i in range(SAMPLES):
        made.add(stacks[i % OF_TEMPLATE], 10_000_000, trace_id=TRACE, span_id=f"{i + 1:016x}")
    return made.request.SerializeToString()


def fill(server: Receiver, hours: int, processes: int) -> tuple[int, int]:
    """Samples sent, and the time of the last one (Unix seconds)."""
    random_ = random.Random(7)
    stacks = population(random_)
    templates = [template(random_, stacks, i % processes) for i in range(TEMPLATES)]
    end = int(time.time()) - 60
    batches = hours * 3600 // (WINDOW_S * BATCH)
    for batch in range(batches):
        for process in range(processes):
            body = templates[(batch * processes + process) % TEMPLATES]
            first = end - (batches - batch) * BATCH * WINDOW_S + process
            for window in range(BATCH):
                # field 3 of Profile, fixed64: its tag and the time
                was = b"\x19" + (window + 1).to_bytes(8, "little")
                now = b"\x19" + ((first + window * WINDOW_S) * 10**9).to_bytes(8, "little")
                body = body.replace(was, now)
            server.post(body)
    server.post(one_trace(stacks, end - hours * 1800))
    return batches * processes * BATCH * SAMPLES, end


def median_ms(ask, rounds: int) -> float:
    ask()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(times), 1)


def measure_day(results: Results, hours: int, processes: int, rounds: int) -> None:
    server = Receiver("--self-metrics=false")
    try:
        began = time.monotonic()
        samples, end = fill(server, hours, processes)
        print(f"  ({samples} samples of {hours} h sent in {time.monotonic() - began:.0f} s)")
        about = {"service": "day", "from": str(end - hours * 3600), "to": str(end)}
        middle = str(end - hours * 1800)
        halves = {"from": middle, "base_from": about["from"], "base_to": middle}
        summary = json.loads(server.profiles("summary", **about))
        one = max(summary["processes"], key=lambda found: found["sum"])["value"]
        middle_s = int(middle)
        of_trace = {"trace_id": TRACE, "from": str(middle_s - 60), "to": str(middle_s + 60)}
        for what, path, params in (
            ("merged flame graph", "flame", {}),
            (
                "merged flame graph, wall time, one endpoint",
                "flame",
                {"type": "wall", "endpoint": "GET /endpoint/3"},
            ),
            ("two halves compared", "flame", halves),
            ("merged flame graph, one process", "flame", {"process": one}),
            ("flame graph of one trace, in its minute", "flame", of_trace),
            ("flame graph of one trace, looked for all day", "flame", {"trace_id": TRACE}),
            ("callers and callees of a function", "function", {"function": "function_7"}),
            ("functions", "table", {}),
            ("functions, two halves compared", "table", halves),
            ("rates by endpoint", "series", {"by": "endpoint"}),
            ("rates by version, with releases", "series", {"by": "version"}),
            ("what there is, with processes", "summary", {}),
        ):
            asked = {**about, **params}
            ms = median_ms(lambda path=path, asked=asked: server.profiles(path, **asked), rounds)
            results.add(f"{what}: {hours} h of {processes} processes", ms, "ms")
    finally:
        server.close()


# ---- The agent's profiler ----

PROGRAM = textwrap.dedent(
    """
    import json, sys, threading, time
    from varan import _core
    threads, seconds, window = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    wait = threading.Event()

    def work(n):
        return sum(i * i for i in range(n))

    def busy(seconds):
        done, cpu, end = 0, time.thread_time(), time.monotonic() + seconds
        while time.monotonic() < end:
            work(1000)
            done += 1
        return done / (time.thread_time() - cpu)

    for _ in range(threads - 1):
        threading.Thread(target=wait.wait, daemon=True).start()
    if window == 0:
        busy(seconds)
        report = _core.profiler_stats()
    else:
        speeds, end, on = [], time.monotonic() + seconds, True
        while time.monotonic() < end or len(speeds) < 3 or not on:
            on = not on
            _core.set_profiler(on, True, 100, True)
            busy(0.8)
            speeds.append(busy(window))
        report = {"speeds": speeds}
    print(json.dumps(report))
    """
)


def run_agent(server: Server, threads: int, seconds: float, window: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(PROGRAM)
        done = subprocess.run(
            [
                *(str(BUILD / "varan"), "run", "--", sys.executable, str(program)),
                *(str(threads), str(seconds), str(window)),
            ],
            env={**os.environ, "VARAN_ENDPOINT": f"http://{server.otlp}", "VARAN_PROFILER": "wall"},
            capture_output=True,
            text=True,
            timeout=seconds * 10 + 60,
            check=True,
        )
        return json.loads(done.stdout)


def measure_agent(results: Results, seconds: float) -> None:
    """The share is that of its thread's own clock, the start included. What the program feels: windows of one process,
    with the profiler and without in turn, each compared with the two beside it."""
    server = Receiver("--self-metrics=false")
    try:
        for threads in (1, 20, 300):
            name = f"agent's profiler, {threads} threads, one busy"
            one = run_agent(server, threads, max(seconds, 5), 0)
            share = 100 * one["cpu_ns"] / one["running_ns"]
            results.add(f"{name}: of a processor", round(share, 2), "%")
            rate = one["walks"] * 1e9 / one["running_ns"]
            results.add(f"{name}: samples of each thread", round(rate, 1), "Hz")
            speeds = run_agent(server, threads, max(seconds, 5), 0.7)["speeds"]
            less = [
                100 * (1 - speeds[i] / ((speeds[i - 1] + speeds[i + 1]) / 2))
                for i in range(1, len(speeds) - 1, 2)
            ]
            profile_slowdown.add(results, f"{name}: less work by the same CPU time", less)
    finally:
        server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two hours instead of a day")
    os.chdir(ROOT)
    print(machine())
    mine = Results("profile_server")
    quick = parser.parse_args().quick
    measure_day(mine, 2 if quick else 24, 4, 3 if quick else 7)
    measure_agent(mine, 3 if quick else 20)
    mine.write()
