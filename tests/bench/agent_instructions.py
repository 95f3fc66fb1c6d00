"""The part of bench_agent.py that counts: instructions of the application's thread per request, by callgrind, beside the
same peers. Where a machine is too noisy for times, counts still tell: they come out the same to a percent, whatever else
runs. They say nothing of caches, of the kernel, and of the agents' own threads."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

import agent_micro
import frameworks
import turns
from contestants import CONTESTANTS, clean_environment, install_peers, peers

REQUESTS_MIN = 200
SPANS = {"span, no attributes, current": "span0", "span, 5 attributes, current": "span5"}


def _control(*words: str) -> None:
    subprocess.run(
        ["callgrind_control", *words],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def count(endpoint: str, work: str, way: str, chunk: int = frameworks.CHUNK) -> float:
    """Instructions per piece of work, of which the child does `chunk` at a time."""
    env = clean_environment()
    env[turns.COUNTING] = "1"
    env["PYTHONHASHSEED"] = "1"  # dictionaries of the same shape in each run
    script = turns.SCRIPT
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            ["valgrind", "--tool=callgrind", "-q", "--instr-atstart=no", "--separate-threads=yes",
             f"--callgrind-out-file={folder}/out.%p", sys.executable, script, "--child", work, way, endpoint],
            env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdin and process.stdout
        try:
            chunks = -(-REQUESTS_MIN // frameworks.CHUNK)
            for turn in range(chunks + 2):  # two to warm up
                if turn == 2:
                    _control("-i", "on", str(process.pid))
                process.stdin.write("\n")
                process.stdin.flush()
                if not process.stdout.readline():
                    raise RuntimeError(f"{work}, {way}: ended with {process.wait()}")
            _control("-d", str(process.pid))
            (dump,) = glob.glob(f"{folder}/out.*.1-01")  # the first dump of the first thread
            text = Path(dump).read_text()
        finally:
            process.kill()
            process.communicate()
    total = next(line for line in text.splitlines() if line.startswith("totals:"))
    return int(total.split()[1]) / (chunks * chunk)


def _rows_micro(endpoint: str, row: Callable[..., Any], only: str) -> list[Any]:
    """Spans alone; a loop's own instructions are part of them."""
    found = []
    for text, name in SPANS.items():
        if only in name:
            n = count(endpoint, name, "varan", agent_micro.WORKS[name][1])
            found.append(row(text, n, None, None, None, "instructions"))
    return found


def rows(endpoint: str, row: Callable[..., Any], only: str, against: list[str]) -> list[Any]:
    """The bare process is counted in any case: what the others add is told."""
    if shutil.which("valgrind") is None:
        raise SystemExit("valgrind is not installed: apt-get install valgrind")
    install_peers()
    found = _rows_micro(endpoint, row, only)
    for framework, title in frameworks.TITLES.items():
        for work, text in frameworks.WORKS.items():
            name = f"{framework}-{work}"
            if only not in name:
                continue
            ways = [way for way in CONTESTANTS if way in ("bare", "varan", *against)]
            counts = {way: count(endpoint, name, way) / 1e3 for way in ways}
            bare = counts.pop("bare")
            what = f"{title} request with {text}"
            unit = "1000 instructions"
            found.append(row(f"{what}, bare", bare, None, None, None, unit))
            ours = counts["varan"] - bare
            found.append(row(f"{what}, added", ours, None, None, None, unit))
            found += [
                row(f"{what}, added", ours, counts[way] - bare, peer, version, unit)
                for way, peer, version in peers()
                if way in counts
            ]
    return found
