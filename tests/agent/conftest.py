"""Fixtures of the agent's tests. The agent is one per process: tests of one process share one collector (`sent`), tests
of whole programs run them as children against a collector of their own (`collector`, `program`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import servers
from collector import Collector, Log, Point, Span

import varan

# A shell that runs the tests in the background has them ignore these; what they start must not.
for number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler)

FLUSH_S = 60  # a deadline, not a wait: what is asked for is there long before

# OpenTelemetry's last SDK for Python 3.9 cannot yet do all that the API of today says; what it cannot is not compared.
OLD_SDK = sys.version_info < (3, 10)

# What is tested is what arrives, not when: a server that stands still for a while gets nothing twice, and metrics go out
# when a test asks for them or a program ends, not between two lines of a test.
UNHURRIED = {
    "OTEL_EXPORTER_OTLP_TIMEOUT": str(FLUSH_S * 1000),
    "OTEL_METRIC_EXPORT_INTERVAL": str(3600 * 1000),
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    c = Collector()
    yield c
    c.close()


@pytest.fixture(scope="session")
def _shared() -> Iterator[Collector]:
    c = Collector()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in UNHURRIED.items():
            patch.setenv(name, value)
        assert varan.start(service="tests", endpoint=c.endpoint, team="lizard")
    yield c
    c.close()


class Sent:
    """What this process has sent since the test began."""

    def __init__(self, collector: Collector) -> None:
        self.collector = collector

    def spans(self) -> list[Span]:
        assert varan.flush(FLUSH_S)
        return self.collector.spans

    def span(self, name: str) -> Span:
        found = [s for s in self.spans() if s.name == name]
        assert len(found) == 1, f"{len(found)} spans named {name} among {self.collector.spans}"
        return found[0]

    def points(self, name: str) -> list[Point]:
        """The latest point of each set of attributes."""
        assert varan.flush(FLUSH_S)
        latest: dict[str, Point] = {}
        for point in self.collector.metric(name):
            latest[str(sorted(point.attributes.items(), key=str))] = point
        return list(latest.values())

    def point(self, name: str, **attributes: Any) -> Point:
        found = [p for p in self.points(name) if p.attributes == attributes]
        assert len(found) == 1, f"{name} {attributes} among {self.collector.points}"
        return found[0]

    def logs(self) -> list[Log]:
        assert varan.flush(FLUSH_S)
        return self.collector.logs


@pytest.fixture
def sent(_shared: Collector) -> Sent:
    varan.flush(FLUSH_S)
    _shared.spans.clear()
    _shared.logs.clear()
    _shared.points.clear()
    return Sent(_shared)


# Servers: one of each kind for all tests of a process.


@pytest.fixture(scope="session")
def postgresql() -> Iterator[int]:
    with servers.postgresql() as port:
        yield port


@pytest.fixture(scope="session")
def mariadb() -> Iterator[int]:
    with servers.mariadb() as port:
        yield port


@pytest.fixture(scope="session")
def redis_port() -> Iterator[int]:
    with servers.redis() as port:
        yield port


class Program:
    """Runs Python programs under the agent, as `varan run` does."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        # The package is not copied from where it lies: what is tested is what is installed.
        package = os.path.dirname(os.path.dirname(os.path.abspath(varan.__file__)))
        self.env = {
            k: v
            for k, v in os.environ.items()
            if k == "PYTHONMALLOC" or not k.startswith(("OTEL_", "VARAN_", "PYTHON"))
        }
        self.env["PYTHONPATH"] = os.pathsep.join([varan.bootstrap_path(), package])
        self.env["VARAN_ENDPOINT"] = endpoint
        self.env["VARAN_SERVICE"] = "program"
        self.env["VARAN_PROFILER"] = "off"  # its requests would be counted; it has tests of its own
        # What is tested is that everything arrives; what an exit may take has tests of its own.
        self.env["VARAN_EXIT_TIMEOUT_MS"] = str(FLUSH_S * 1000)
        self.env["PYTHONFAULTHANDLER"] = "1"
        self.env["XDG_RUNTIME_DIR"] = str(folder)  # gunicorn's socket is not everybody's
        self.env.update(UNHURRIED)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(textwrap.dedent(text))
        return path

    def run(
        self, text: str, *args: str, timeout: float = 120, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs the text as a program and returns it when it has ended well."""
        path = self.write("program.py", text)
        done = subprocess.run(
            [sys.executable, str(path), *args], env={**self.env, **env}, capture_output=True, text=True,
            timeout=timeout, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, *command: str, **env: str) -> subprocess.Popen[str]:
        with open(self.folder / "output.txt", "w") as output:
            return subprocess.Popen(
                command,
                env={**self.env, **env},
                text=True,
                cwd=self.folder,
                stdout=output,
                stderr=output,
            )

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()


@pytest.fixture
def program(tmp_path: Path, collector: Collector) -> Program:
    return Program(tmp_path, collector.endpoint)


@pytest.fixture(autouse=True)
def _no_span_left() -> Iterator[Any]:
    yield
    assert varan.current_span() is None, "the test left a span current"
