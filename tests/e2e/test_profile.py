"""`varan dump`, `record` and `top` on real programs, under every Python that is named."""

from __future__ import annotations

import gzip
import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from browser import PATIENCE_MS, browser
from playwright.sync_api import expect

from conftest import ROOT, VARAN, wait_until

__all__ = ["browser"]  # the fixture

# Others by name, and what tools/cpython-builds has built.
PYTHONS = [sys.executable, *filter(None, os.environ.get("VARAN_TEST_PYTHONS", "").split(":"))]
PYTHONS += map(str, sorted((ROOT / ".cache/cpython").glob("*/bin/python3")))

SPLIT = """
    import threading, time

    def three(n):
        x = 0
        for i in range(3 * n):
            x += i
        return x

    def one(n):
        x = 0
        for i in range(n):
            x += i
        return x

    def waits():
        time.sleep(1000)

    def main():
        print("ready", flush=True)
        while True:
            three(2000)
            one(2000)

    threading.Thread(target=waits, daemon=True).start()
    main()
"""


def line_of(source: str, text: str) -> int:
    """The number of the last line that ends with `text`."""
    lines = textwrap.dedent(source).splitlines()
    return max(i for i, line in enumerate(lines, 1) if line.endswith(text))


def varan(*words: str, seconds: float = 60, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(VARAN), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        **options,
    )


class Program:
    """A Python program that says "ready" once it is where the test wants it."""

    def __init__(self, folder: Path, source: str, python: str = sys.executable, *words: str):
        self.path = folder / "program.py"
        self.path.write_text(textwrap.dedent(source))
        self.process = subprocess.Popen(
            [python, str(self.path), *words], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline().strip() == "ready"
        self.pid = str(self.process.pid)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()


def dump(pid: str) -> dict:
    done = varan("dump", "--json", pid)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def thread_with(report: dict, function: str) -> dict | None:
    for thread in report["threads"]:
        if any(frame["function"] == function for frame in thread["frames"]):
            return thread
    return None


def wait_for_thread(pid: str, function: str) -> dict:
    """The report once a thread waits in this function: "ready" may be said an instant before it does."""

    def waits():
        report = dump(pid)
        thread = thread_with(report, function)
        inside = (
            thread and thread["state"] == "idle" and thread["frames"][0]["function"] == function
        )
        return inside and report

    return wait_until(waits, 60, f"a thread waiting in {function}")


def stop_threads(pid: int) -> None:
    """Stops a process: the signal is sent at once, a thread that runs stops a moment later."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(
        lambda: all(
            path.read_text().rpartition(")")[2].split()[0] == "T"
            for path in Path(f"/proc/{pid}/task").glob("*/stat")
        ),
        60,
        "all threads stopped",
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_dump_shows_every_thread(tmp_path, python):
    with Program(tmp_path, SPLIT, python) as program:

        def complete():
            report = dump(program.pid)
            waiting = thread_with(report, "waits")
            return waiting and waiting["state"] == "idle" and thread_with(report, "main") and report

        report = wait_until(complete, 60, "a waiting and a running thread")
        assert report["version"].startswith("3.")
        main, waiting = thread_with(report, "main"), thread_with(report, "waits")
        assert main["name"] == "main" and main["native_id"] == program.process.pid
        assert waiting["native_id"] not in (None, main["native_id"])
        assert [f["function"] for f in main["frames"][-2:]] == ["main", "<module>"]
        assert main["frames"][-1]["line"] == line_of(SPLIT, "main()")
        assert waiting["frames"][0]["line"] == line_of(SPLIT, "sleep(1000)")
        assert main["frames"][0]["file"] == str(program.path)
        text = varan("dump", program.pid)
        assert f"Thread {program.pid} (main)" in text.stdout, text.stderr
        assert f"<module> ({program.path}:{line_of(SPLIT, 'main()')})" in text.stdout
        assert program.process.poll() is None


def read_collapsed(path: Path) -> dict[str, int]:
    """Samples by innermost function."""
    own: dict[str, int] = {}
    for line in path.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        function = stack.split(";")[-1].split(" (")[0]
        own[function] = own.get(function, 0) + int(count)
    return own


def cpu_ticks(pid: str) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def naps(pid: int) -> int:
    """How often a process went to sleep by itself, as a profiler does between two looks."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def record(pid: str, target: Path, *words: str, cpu_s: float = 0.5, looks: int = 100) -> str:
    """`varan record`, ended once the program has worked for so long and has been looked at so often: on a machine that
    is slow or stands still, a time tells neither. Returns what it says."""
    begun = cpu_ticks(pid)
    recording = subprocess.Popen(
        [str(VARAN), "record", "-o", str(target), "--pid", pid, "--rate", "500", *words],
        stderr=subprocess.PIPE,
        text=True,
    )

    def enough() -> bool:
        if recording.poll() is not None:
            return True
        return cpu_ticks(pid) - begun >= 100 * cpu_s and naps(recording.pid) >= looks

    try:
        wait_until(enough, 120, f"{looks} looks in {cpu_s} s of the program")
        recording.send_signal(signal.SIGINT)
        _, says = recording.communicate(timeout=60)
    finally:
        recording.kill()
        recording.wait(60)
    assert recording.returncode == 0, says
    return says


@pytest.mark.parametrize("python", PYTHONS)
def test_shares_are_those_of_the_program(tmp_path, python):
    """Three quarters of the work are in one function: so must be the samples. The program is asked
    for its own CPU time by nobody: both functions run the same loop, 3:1."""
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT, python) as program:
        own: dict[str, int] = {}
        # until there are enough samples, however slow the machine is; while others crowd it, looks
        # come in bunches and are worth less than as many at chance moments: then some more
        for _ in range(30):
            done = varan(
                *("record", "-o", str(target), "--pid", program.pid),
                *("--duration", "2s", "--rate", "997"),
            )
            assert done.returncode == 0, done.stderr
            for function, count in read_collapsed(target).items():
                own[function] = own.get(function, 0) + count
            both = own.get("three", 0) + own.get("one", 0)
            if both >= 4000 and own["three"] / both == pytest.approx(0.75, abs=0.03):
                break
        assert program.process.poll() is None
    assert both >= 1500
    assert own["three"] / both == pytest.approx(0.75, abs=0.03)
    assert both / sum(own.values()) > 0.97  # the waiting thread is not counted


def test_formats(tmp_path):
    with Program(tmp_path, SPLIT) as program:
        for name in ("p.html", "p.speedscope.json", "p.trace.json", "p.pb.gz", "p.txt"):
            says = record(program.pid, tmp_path / name, looks=30, cpu_s=0.2)
            assert "samples in" in says and "torn" in says and "late" in says
            assert "three (" in says
    page = (tmp_path / "p.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert {"three", "main"} <= {function[0] for function in data["functions"]}
    assert "http" not in page.replace("http-equiv", ""), "the page must need nothing else"
    speedscope = json.loads((tmp_path / "p.speedscope.json").read_text())
    assert speedscope["profiles"][0]["type"] == "sampled"
    events = json.loads((tmp_path / "p.trace.json").read_text())["traceEvents"]
    assert sum(e["ph"] == "B" for e in events) == sum(e["ph"] == "E" for e in events) > 0
    assert b"three" in gzip.decompress((tmp_path / "p.pb.gz").read_bytes())


def test_flame_graph_in_a_browser(browser, tmp_path):
    """Search, zoom, callers, lines, thread and theme work on the page as a file, without an error."""
    target, problems, requests = tmp_path / "p.html", [], []
    with Program(tmp_path, SPLIT) as program:
        record(program.pid, target, "--idle")
    page = browser.new_page(viewport={"width": 1200, "height": 700})
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(target.as_uri())
    rows = page.locator("#rows tr")
    expect(rows.filter(has_text="three").first).to_be_visible()
    page.fill("#search", "^three$")
    expect(page.locator("#found")).to_contain_text("% match")
    assert float(page.locator("#found").inner_text().split(" ")[0]) > 20
    page.fill("#search", "(")  # no regular expression: taken as it is
    expect(page.locator("#found")).to_contain_text("0.0 %")
    page.fill("#search", "")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 30, box["y"] + 30)
    expect(page.locator("#tip")).to_contain_text("samples")
    expect(page.locator("#tip")).to_contain_text("of all")
    page.mouse.click(box["x"] + 30, box["y"] + 30)  # a frame below "all": zoomed to the width
    page.mouse.move(box["x"] + box["width"] - 30, box["y"] + 30)
    expect(page.locator("#tip b")).not_to_have_text("all")
    page.keyboard.press("Escape")
    for button in ("invert", "lines"):
        page.click(f"#{button}")
        expect(page.locator(f"#{button}")).to_have_attribute("aria-pressed", "true")
    expect(rows.filter(has_text="three:").first).to_be_visible()
    page.select_option("#thread", index=1)
    before = page.evaluate("document.documentElement.dataset.theme")
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") != before
    page.close()
    assert problems == []
    assert requests == [target.as_uri()]


def test_record_a_command(tmp_path):
    target, program = tmp_path / "out.txt", tmp_path / "work.py"
    program.write_text("x = 0\nfor i in range(20_000_000): x += i\nraise SystemExit(3)\n")
    done = varan("record", "-o", str(target), "--", sys.executable, str(program))
    assert done.returncode == 3, done.stderr  # the command's own status
    assert "work.py" in target.read_text()


def start_recording(target: Path, pid: str) -> subprocess.Popen:
    """A recording that has begun: its open files of the program's threads show it."""
    recording = subprocess.Popen(
        [str(VARAN), "record", "-o", str(target), "--rate", "1000", "--idle", "--pid", pid],
        stderr=subprocess.PIPE,
        text=True,
    )

    def reads_threads() -> bool:
        for fd in Path(f"/proc/{recording.pid}/fd").iterdir():
            try:
                if "/task/" in os.readlink(fd):
                    return True
            except FileNotFoundError:
                pass  # closed meanwhile
        return False

    wait_until(reads_threads, 60, "the recording having begun")
    return recording


def test_interrupt_writes_the_file(tmp_path):
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT) as program:
        recording = start_recording(target, program.pid)
        recording.send_signal(signal.SIGINT)
        _, says = recording.communicate(timeout=60)
        assert recording.returncode == 0, says
        assert "wrote" in says
        assert program.process.poll() is None
    assert target.exists()


def test_process_that_dies_while_recorded(tmp_path):
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT) as program:
        recording = start_recording(target, program.pid)
        before, looked = cpu_ticks(program.pid), naps(recording.pid)
        wait_until(
            lambda: cpu_ticks(program.pid) > before + 10 and naps(recording.pid) > looked + 50,
            60,
            "the program working and being looked at",
        )
        program.process.kill()
        program.process.wait(60)
        _, says = recording.communicate(timeout=60)
    assert recording.returncode == 0, says
    assert "<module>" in target.read_text()


def test_subprocesses(tmp_path):
    target = tmp_path / "out.txt"
    source = """
        import os, subprocess, sys
        parent = os.getppid()
        if len(sys.argv) > 1:
            def child_work():
                while os.getppid() == parent:
                    sum(range(1000))
            print("ready", flush=True)
            child_work()
            sys.exit()
        child = subprocess.Popen([sys.executable, __file__, "child"])
        child.wait()
    """
    with Program(tmp_path, source) as program:

        def seen() -> bool:
            done = varan(
                *("record", "--subprocesses", "-o", str(target), "--pid", program.pid),
                *("--duration", "1s"),
            )
            assert done.returncode == 0, done.stderr
            return target.exists() and "child_work" in target.read_text()

        wait_until(seen, 60, "the work of the child")


def test_idle_and_gil(tmp_path):
    target = tmp_path / "out.txt"
    with Program(tmp_path, SPLIT) as program:
        record(program.pid, target, "--idle")
        assert "waits" in read_collapsed(target)
        record(program.pid, target, "--gil")
        assert "three" in target.read_text()
        assert "waits" not in target.read_text()


def test_deep_recursion_is_cut_not_lost(tmp_path):
    source = """
        import sys, time
        sys.setrecursionlimit(20000)
        def down(n):
            if n:
                return down(n - 1)
            print("ready", flush=True)
            time.sleep(1000)
        down(5000)
    """
    with Program(tmp_path, source) as program:
        thread = thread_with(wait_for_thread(program.pid, "down"), "down")
    assert thread["cut"] and len(thread["frames"]) == 2048
    assert thread["frames"][0]["line"] == line_of(source, "sleep(1000)")


def test_many_threads(tmp_path):
    source = """
        import threading
        started, stop = threading.Semaphore(0), threading.Event()
        def worker():
            started.release()
            stop.wait()
        for _ in range(300):
            threading.Thread(target=worker, daemon=True).start()
        for _ in range(300):
            started.acquire()
        print("ready", flush=True)
        stop.wait()
    """
    with Program(tmp_path, source) as program:
        report = wait_until(
            lambda: (
                (r := dump(program.pid))
                and sum(t["state"] == "idle" and len(t["frames"]) >= 3 for t in r["threads"]) >= 300
                and r
            ),
            60,
            "300 waiting threads",
        )
        assert len({t["native_id"] for t in report["threads"]}) == 301


def test_top_prints_tables(tmp_path):
    with Program(tmp_path, SPLIT) as program:

        def prints(*words: str, tables: int) -> str:
            done = varan("top", program.pid, "--count", str(tables), "--interval", "500ms", *words)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("own%") == tables
            return done.stdout

        # A table of a moment in which the machine stood still has no rows.
        text = wait_until(
            lambda: "three (" in (t := prints(tables=2)) and t, 60, "tables with their rows"
        )
        assert "GIL" in text
        wait_until(
            lambda: re.search(r"three \(.*program\.py:\d+\)", prints("--lines", tables=1)),
            60,
            "a table of lines",
        )


def test_top_on_a_terminal_ends_with_q(tmp_path):
    with Program(tmp_path, SPLIT) as program:
        ours, theirs = os.openpty()
        top = subprocess.Popen(
            [str(VARAN), "top", "--interval", "100ms", program.pid], stdin=theirs, stdout=theirs
        )
        shown = b""

        def has_table():
            nonlocal shown
            if select.select([ours], [], [], 0.1)[0]:
                shown += os.read(ours, 65536)
            return b"three (" in shown

        wait_until(has_table, 60, "the table on the terminal")
        os.write(ours, b"l2q")
        wait_until(lambda: has_table() and top.poll() is not None, 60, "the end after q")
        assert top.returncode == 0
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    "command", [["dump"], ["top"], ["record", "-o", "-", "--format", "pprof", "--pid"]]
)
def test_messages(tmp_path, command):
    done = varan(*command, "2147483646")
    assert done.returncode == 1 and "there is no process" in done.stderr
    other = subprocess.Popen(["sleep", "1000"])
    try:
        wait_until(
            lambda: os.readlink(f"/proc/{other.pid}/exe").endswith(("sleep", "coreutils")),
            60,
            "sleep running",
        )
        done = varan(*command, str(other.pid))
        assert done.returncode == 1 and "runs no CPython" in done.stderr
    finally:
        other.kill()
        other.wait(60)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["record"], "id of a process"),
        (["record", "--pid", "1", "--", "true"], "not both"),
        (["record", "-o", "x.bin", "--pid", "1"], "--format"),
        (["record", "--rate", "0", "--pid", "1"], "--rate"),
        (["record", "-o", "/nonexistent/x.html", "--pid", "1"], "cannot write"),
        (["dump"], "process id"),
        (["dump", "x"], '"x"'),
        (["top", "--rate", "99999", "1"], "--rate"),
    ],
)
def test_mistakes(words, says):
    done = varan(*words)
    assert done.returncode in (1, 2) and says in done.stderr
