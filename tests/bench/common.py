"""What the benchmarks share: a server in a folder of its own, rows of results, the table."""

from __future__ import annotations

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 60


def machine() -> str:
    """One line: processor, cores, memory, kernel, Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as s:
        return int(s.getsockname()[1])


def wait_or_kill(process: subprocess.Popen, seconds: float) -> None:
    """For one that was told to end."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Results:
    """Rows as the benchmarks of all parts print them."""

    def __init__(self, name: str):
        self.name, self.rows = name, []

    def add(
        self, work, ours, unit, peer=None, peer_version=None, theirs=None, more_is_better=False
    ):
        ratio = None
        if theirs and ours:
            ratio = round(ours / theirs if more_is_better else theirs / ours, 2)
        self.rows.append(
            {
                "work": work,
                "ours": ours,
                "unit": unit,
                "peer": peer,
                "peer_version": peer_version,
                "theirs": theirs,
                "ratio": ratio,
            }
        )
        print("  " + self._line(self.rows[-1]), flush=True)

    @staticmethod
    def _line(row: dict) -> str:
        text = f"{row['work']:<52} {row['ours']:>12,.2f} {row['unit']:<10}"
        if row["theirs"] is not None:
            text += (
                f" {row['peer']} {row['peer_version']}: {row['theirs']:,.2f} ({row['ratio']} times)"
            )
        return text

    def write(self) -> None:
        folder = BUILD / "bench"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(self.rows, indent=1) + "\n")
        print(f"written: build/bench/{self.name}.json")


class Server:
    """`varan serve` on free ports, with its CPU time and memory. `path`: a folder that stays; else it has one that goes
    with it."""

    def __init__(self, *options: str, path: Path | None = None):
        self.folder = None if path else tempfile.TemporaryDirectory(prefix="varan-bench-")
        self.path = path or Path(self.folder.name)
        self.options = options
        self.start()

    def start(self) -> None:
        folder = self.path
        ports = folder / "ports.json"
        ports.unlink(missing_ok=True)
        command = [str(BUILD / "varan"), "serve", "--data-dir", str(folder / "data")]
        command += ["--port-file", str(ports), *self.options]
        for option in ("--listen", "--otlp-http", "--otlp-grpc"):
            command += [option, "127.0.0.1:0"]
        begin = time.monotonic()
        with (folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while True:
            if self.process.poll() is not None or time.monotonic() - begin > START_S:
                self.process.kill()
                sys.exit(f"the server did not start: {(folder / 'log').read_text()[-2000:]}")
            try:
                known = json.loads(ports.read_text())
                self.url = f"http://127.0.0.1:{known['page']}"
                self.otlp = f"127.0.0.1:{known['otlp_http']}"
                with urllib.request.urlopen(self.url + "/readyz", timeout=5) as answer:
                    if answer.status == 200:
                        break
            except (OSError, ValueError):
                time.sleep(0.002)
        self.ready_seconds = time.monotonic() - begin

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def close(self) -> None:
        self.stop()
        if self.folder:
            self.folder.cleanup()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def anonymous_mb(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e6
        return 0.0

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return answer.read()

    def profiles(self, path: str, **params: object) -> bytes:
        return self.get(f"/api/v1/profiles/{path}?{urllib.parse.urlencode(params)}")

    def sql(self, query: str) -> list[list]:
        body = json.dumps({"query": query, "format": "JSONCompact"}).encode()
        request = urllib.request.Request(
            self.url + "/api/v1/sql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())["data"]


def median(values) -> float:
    return statistics.median(list(values))


# What the profiled programs do: down(depth, n) adds n squares below `depth` calls.
WORK = """
def work(n):
    x = 0
    for i in range(n):
        x += i * i
    return x

def down(depth, n):
    return down(depth - 1, n) if depth else work(n)
"""
