"""`varan profile` against a real server: processes are found by their command lines as they come and go, and what is
charged to their functions is what they spent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import VARAN, wait_until

PROGRAM = textwrap.dedent(
    """
    import os, sys, threading, time

    def spin(seconds):
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            sum(i * i for i in range(300))

    def work():
        while not os.path.exists("stop"):
            spin(0.04)
            nap()

    def nap():
        time.sleep(0.01)

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    print("ready", flush=True)
    thread.join()
    """
)


class Programs:
    def __init__(self, folder: Path):
        self.folder, self.running = folder, []

    def start(self, name: str, text: str = PROGRAM, **env: str) -> subprocess.Popen:
        path = self.folder / name
        path.write_text(text)
        process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **env},
        )
        self.running.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    def stop(self) -> None:
        (self.folder / "stop").touch()
        for process in self.running:
            process.wait(60)


@pytest.fixture
def programs(tmp_path):
    made = Programs(tmp_path)
    yield made
    made.stop()


class Profiler:
    def __init__(self, server, folder: Path, *options: str):
        self.log = folder / "profiler.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    str(VARAN),
                    "profile",
                    "--server",
                    server if isinstance(server, str) else server.url,
                    *options,
                ],
                stdout=log,
                stderr=log,
            )

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: self.said(text), 60, f"{text!r} in {self.log.read_text()!r}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def seconds(server, service: str, kind: str = "cpu", **params: str) -> dict[str, float]:
    rows = server.api("/profiles/table", service=service, type=kind, sort="sum", **params)["rows"]
    return {row["function"]: row["sum"] / 1e9 for row in rows}


def test_processes_come_and_go(server, tmp_path, programs):
    first = programs.start("shop-one.py")
    profiler = Profiler(
        server, tmp_path, "--continuous", "--match", f"{tmp_path}/shop-.*py", "--rate", "50"
    )
    profiler.wait_for(f"{first.pid} (")
    second = programs.start(
        "shop-two.py", OTEL_SERVICE_NAME="named", OTEL_RESOURCE_ATTRIBUTES="service.version=7"
    )
    other = programs.start("elsewhere.py")
    profiler.wait_for("profiling it as named")
    wait_until(lambda: "spin" in seconds(server, "shop-one"), 60, "a window of the first")

    def naps() -> tuple[float, float]:
        of = [seconds(server, "shop-one", kind, thread="worker") for kind in ("wall", "cpu")]
        return of[0].get("nap", 0), of[1].get("nap", 0)

    def wall_alone() -> bool:
        """One that has slept and waits for a busy processor may be charged what was worked before: seldom."""
        wall, cpu = naps()
        return wall > 10 * cpu

    wait_until(wall_alone, 120, lambda: f"naps being wall time alone, not {naps()}")
    programs.stop()
    profiler.wait_for(f"{second.pid} (")
    wait_until(lambda: profiler.log.read_text().count(") ended") == 2, 60, "both ends")
    assert profiler.stop() == 0
    assert not profiler.said(str(other.pid))
    spent = seconds(server, "shop-one", thread="worker")
    assert spent["work"] == pytest.approx(spent["spin"], rel=0.3)
    assert spent["work"] > 0.1
    # The main thread waits in join() the whole time.
    assert "spin" not in seconds(server, "shop-one", "wall", thread="MainThread")
    assert [
        one["value"] for one in server.api("/profiles/summary", service="named")["versions"]
    ] == ["7"]
    attributes = server.sql(
        "SELECT any(attributes['process.pid']), any(attributes['process.runtime.name']) FROM resources "
        "WHERE service = 'named'"
    )
    assert attributes[0] == [str(second.pid), "cpython"]


SOURCE_PROGRAM = PROGRAM.replace(
    """def work():
""",
    """def wrapped(f):
    return f

@wrapped
def work():
    text = '''
further left than the function
'''
# as this is
""",
)


def texts(server, service: str) -> dict[str, tuple[int, str]]:
    """First line and text of the program's functions."""
    rows = server.api("/profiles/table", service=service, limit=1000)["rows"]
    found = {}
    for file in {row["file"] for row in rows if row["file"].endswith(f"{service}.py")}:
        for one in server.api("/profiles/source", service=service, file=file)["sources"]:
            found[one["function"].rpartition(".")[2]] = one["first_line"], one["text"]
    return found


@pytest.mark.parametrize("wanted", [True, False])
def test_text_of_hot_functions(server, tmp_path, programs, wanted):
    service = "texts" if wanted else "no-texts"
    programs.start(f"{service}.py", text=SOURCE_PROGRAM)
    profiler = Profiler(
        server, tmp_path, "--continuous", "--match", f"{tmp_path}/{service}.py", "--rate", "50",
        *([] if wanted else ["--no-source"]),
    )  # fmt: skip
    wait_until(lambda: "work" in seconds(server, service), 60, "a window")
    if wanted:
        wait_until(lambda: "work" in texts(server, service), 60, "the text of a function")
    assert profiler.stop() == 0
    found = texts(server, service)
    if not wanted:
        assert found == {}
        return
    lines = SOURCE_PROGRAM.splitlines()
    first, last = lines.index("@wrapped"), lines.index("        nap()")
    assert found["work"] == (first + 1, "\n".join(lines[first : last + 1]))


def test_a_program_with_the_agent_is_left_alone(server, tmp_path, programs):
    (tmp_path / "agent.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [str(VARAN), "run", "--service", "own", "--", sys.executable, str(tmp_path / "agent.py")],
        cwd=tmp_path,
        env={**os.environ, "VARAN_ENDPOINT": server.otlp},
    )
    programs.running.append(process)
    profiler = Profiler(server, tmp_path, "--continuous", "--match", f"{tmp_path}/agent.py")
    profiler.wait_for("the agent in it profiles it already")
    assert profiler.stop() == 0


def test_a_server_that_is_not_there_yet(new_server, tmp_path, programs):
    held = socket.socket()  # bound and never listening: nobody else gets the port meanwhile
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    address = f"127.0.0.1:{held.getsockname()[1]}"
    programs.start("late.py")
    profiler = Profiler(
        f"http://{address}", tmp_path, "--continuous", "--match", f"{tmp_path}/late.py"
    )
    profiler.wait_for("profiles wait here and are sent later")
    late = new_server("--listen", address).start()
    profiler.wait_for("the server takes profiles again")
    assert profiler.stop() == 0
    held.close()
    wait_until(lambda: "spin" in seconds(late, "late"), 60, "the window")


def test_list_says_who_matches(tmp_path, programs):
    process = programs.start("listed.py", VARAN_SERVICE="by-name")
    done = subprocess.run(
        [str(VARAN), "profile", "--match", f"{tmp_path}/listed", "--list"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert str(process.pid) in done.stdout
    assert "by-name" in done.stdout
    none = subprocess.run(
        [str(VARAN), "profile", "--match", "no such process", "--list"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert none.returncode == 1
    assert "no Python process matches" in none.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "give --match REGEX or --pid PID"),
        (["--match", "a", "--pid", "1", "--continuous"], "not both"),
        (["--match", "a"], "give --continuous"),
        (["--match", "a", "--continuous", "--duration", "1s"], "not both"),
        (["--match", "(", "--continuous"], "--match (:"),
        (["--match", "a", "--continuous", "--rate", "1000"], "--rate is 1 to 250"),
        (["--match", "a", "--continuous", "python"], '"python" is not expected'),
        (["--macth", "a"], "--match"),
    ],
)
def test_mistakes_are_named(options, says):
    done = subprocess.run(
        [str(VARAN), "profile", *options], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert says in done.stderr


def test_a_process_that_is_not_there(server):
    done = subprocess.run(
        [str(VARAN), "profile", "--pid", "2147483646", "--duration", "5s", "--server", server.url],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
