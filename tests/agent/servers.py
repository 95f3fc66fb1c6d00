"""Real database servers for the tests: each in a private folder, on a free port, ended with the test run."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

START_S = 120


def free_port() -> int:
    """Below the ports that the kernel gives to connections: none of them takes it before its server does."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, max(first, 20_000))
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Taken by a socket that does not listen: whoever connects is refused, and nobody else can serve there."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield int(s.getsockname()[1])


def program(name: str, *folders: str) -> str:
    """The path of a server that Debian keeps off the PATH."""
    found = shutil.which(name)
    for pattern in folders:
        found = found or next(iter(sorted(glob.glob(os.path.join(pattern, name)))), None)
    assert found, f"{name} is not installed: tools/setup --test"
    return found


def listens(port: int) -> bool:
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while not ready():
        assert process.poll() is None, log.read_text(errors="replace")
        assert time.monotonic() < end, (
            f"not ready after {START_S} s: {log.read_text(errors='replace')}"
        )
        time.sleep(0.05)


@contextlib.contextmanager
def _folder(user: str) -> Iterator[Path]:
    """A folder of that user's: the servers refuse to run as root."""
    path = Path(tempfile.mkdtemp(prefix="varan-db-"))
    try:
        if os.getuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _as(user: str) -> list[str]:
    return ["runuser", "-u", user, "--"] if os.getuid() == 0 else []


def _prepare(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def _running(
    command: list[str], folder: Path, port: int, ready: Callable[[], bool] | None = None
) -> Iterator[int]:
    log = folder / "log.txt"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_for(ready or (lambda: listens(port)), process, log)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def postgresql() -> Iterator[int]:
    """User and database `varan`, no password."""
    folders = "/usr/lib/postgresql/*/bin"
    with _folder("postgres") as folder:
        data = folder / "data"
        _prepare(
            [*_as("postgres"), program("initdb", folders), "-D", str(data), "-U", "varan", "-A", "trust", "-N"],
            folder,
        )  # fmt: skip
        port = free_port()
        command = [
            *_as("postgres"), program("postgres", folders), "-D", str(data), "-p", str(port), "-k", str(folder),
            "-h", "127.0.0.1", "-F",
        ]  # fmt: skip
        asked = [program("pg_isready", folders), "-q", "-h", "127.0.0.1", "-p", str(port)]

        def ready() -> bool:  # it listens before it takes connections
            return subprocess.run(asked, check=False).returncode == 0

        with _running(command, folder, port, ready):
            yield port


@contextlib.contextmanager
def mariadb() -> Iterator[int]:
    """User `varan`, password `secret`, database `varan`."""
    with _folder("mysql") as folder:
        port = free_port()
        start = folder / "start.sql"
        start.write_text(
            "CREATE DATABASE varan;\nCREATE USER varan@'%' IDENTIFIED BY 'secret';\n"
            "GRANT ALL ON *.* TO varan@'%';\n"
        )
        start.chmod(0o644)
        user = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        common = [
            "--no-defaults", f"--datadir={folder}/data", f"--socket={folder}/s", f"--pid-file={folder}/pid",
            f"--user={user}",
            f"--tmpdir={folder}",  # one that starts removes what others have in theirs
        ]  # fmt: skip
        _prepare(
            [program("mariadb-install-db", "/usr/bin"), *common, "--auth-root-authentication-method=normal",
             "--skip-test-db"],
            folder,
        )  # fmt: skip
        command = [
            program("mariadbd", "/usr/sbin"), *common, f"--port={port}", "--bind-address=127.0.0.1",
            "--skip-name-resolve", f"--init-file={start}", "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
        with _running(command, folder, port):
            yield port


@contextlib.contextmanager
def redis() -> Iterator[int]:
    folder = Path(tempfile.mkdtemp(prefix="varan-db-"))
    try:
        port = free_port()
        command = [program("redis-server"), "--port", str(port), "--save", "", "--dir", str(folder)]
        with _running(command, folder, port):
            yield port
    finally:
        shutil.rmtree(folder, ignore_errors=True)
