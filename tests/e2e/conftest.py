"""A real server per test module, on free ports and in a folder of its own, and helpers to ask it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

# A shell that runs the tests in the background has them ignore these; what they start must not.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

# How long the agent may take at the end of a program to send what it holds: the machine may be busy, rows are counted.
AGENT_ENDS_PATIENTLY = {"VARAN_EXIT_TIMEOUT_MS": "30000"}
ROOT = Path(__file__).resolve().parent.parent.parent
VARAN = Path(os.environ.get("VARAN_BINARY", ROOT / "build" / "varan"))


def poll(condition, seconds: float):
    """Calls `condition` until it returns something true, or for so long; returns what it did last."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


def wait_until(condition, seconds: float = 60, what: str | Callable[[], str] = "the condition"):
    """Calls `condition` until it returns something true, and returns that; fails after `seconds`. A message that tells
    how things stand is a function."""
    value = poll(condition, seconds)
    if not value:
        said = what() if callable(what) else what
        pytest.fail(f"{said} did not come true within {seconds} s")
    return value


class Server:
    """One `varan serve` process and its addresses."""

    def __init__(self, folder: Path, *options: str):
        self.folder, self.options = folder, options
        self.port_file, self.log = folder / "ports.json", folder / "server.log"
        self.process: subprocess.Popen | None = None

    def start(self, seconds: float = 120) -> Server:
        self.port_file.unlink(missing_ok=True)
        command = [str(VARAN), "serve", "--data-dir", str(self.folder / "data")]
        # What a test finds in storage is what it sent; tests of the server's own metrics say so.
        command += ["--port-file", str(self.port_file), "--self-metrics=false"]
        # That an end is clean is looked at; how long it takes depends on the machine.
        command += ["--exit-timeout", "50s"]
        for option in ("--listen", "--otlp-http", "--otlp-grpc"):
            command += [option, "127.0.0.1:0"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            wait_until(self._ready, seconds, f"the server in {self.folder} getting ready")
        except BaseException:  # nobody else would end it, and it would make those after it slow
            self.kill()
            raise
        return self

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail(
                f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}"
            )
        try:
            ports = json.loads(self.port_file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        self.url = f"http://127.0.0.1:{ports['page']}"
        self.otlp = f"http://127.0.0.1:{ports['otlp_http']}"
        self.grpc = f"127.0.0.1:{ports['otlp_grpc']}"
        try:
            return requests.get(self.url + "/readyz", timeout=10).status_code == 200
        except requests.RequestException:  # not there yet, or busy: it is asked again
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def stop(self) -> int:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        return self.process.returncode if self.process else 0

    def alive(self) -> bool:
        return self.process.poll() is None

    def memory_mb(self) -> float:
        """Anonymous resident memory."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no RssAnon")

    def api(self, path: str, **params):
        """GET /api/v1 + path; the answer's JSON. `from` is a word of Python: write from_=…"""
        params = {key.rstrip("_"): value for key, value in params.items()}
        answer = requests.get(f"{self.url}/api/v1{path}", params=params, timeout=60)
        assert answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text[:500]}"
        return answer.json()

    def sql(self, query: str) -> list[list]:
        answer = requests.post(
            f"{self.url}/api/v1/sql", json={"query": query, "format": "JSONCompact"}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """A test that is run once more gets servers of its own: the old ones hold what it sent before."""
    if getattr(item, "execution_count", 1) > 1:
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            for definition in definitions:
                if definition.scope == "module":
                    definition.finish(item._request)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("server")).start()
    yield running
    assert running.alive(), f"the server died:\n{running.log.read_text()[-4000:]}"
    assert running.stop() == 0, f"unclean end:\n{running.log.read_text()[-4000:]}"


@pytest.fixture
def new_server(tmp_path):
    """Makes servers that a test may kill; stops what is left."""
    made = []

    def make(*options: str, folder: Path | None = None) -> Server:
        made.append(Server(folder or tmp_path, *options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


class Shop:
    def __init__(self, addresses: dict):
        self.page, self.gateway = addresses["page"], addresses["gateway"]

    def api(self, path: str, **params):
        answer = requests.get(
            f"{self.page}/api/v1{path}",
            params={key.rstrip("_"): value for key, value in params.items()},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    ports, output = folder / "ports-up.json", folder / "up.log"
    command = [sys.executable, str(ROOT / "examples/shop/up.py"), "--varan", str(VARAN)]
    command += [
        "--folder",
        str(folder / "demo"),
        "--ports",
        str(ports),
        "--rate",
        "12",
        "--any-ports",
    ]
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:

        def addresses():
            assert process.poll() is None, output.read_text()
            return json.loads(ports.read_text() or "{}") if ports.exists() else None

        yield Shop(wait_until(addresses, 180, "the demonstration being up"))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, output.read_text()
