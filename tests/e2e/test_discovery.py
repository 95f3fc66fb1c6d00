"""Finding the interpreter where it is not easy: core files, binaries that tell nothing, libraries that embed it,
containers' process ids; and what is said when reading is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from test_dump_waits import LOCKS
from test_profile import (
    PYTHONS,
    SPLIT,
    Program,
    dump,
    line_of,
    stop_threads,
    thread_with,
    varan,
    wait_for_thread,
)

from conftest import VARAN, wait_until

WAITS = """
    import threading, time

    def waits(text):
        number = 5
        time.sleep(1000)

    threading.Thread(target=waits, args=("inside",), name="napper", daemon=True).start()
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""

NT_PRSTATUS, NT_PRPSINFO, NT_FILE = 1, 3, 0x46494C45


def note(kind: int, data: bytes) -> bytes:
    return struct.pack("<III", 5, len(data), kind) + b"CORE\0\0\0\0" + data + bytes(-len(data) % 4)


def registers(pid: int, thread: int) -> bytes:
    """The two that tell a futex: rdi, orig_rax."""
    words = Path(f"/proc/{pid}/task/{thread}/syscall").read_text().split()
    call, first = (int(words[0]), int(words[1], 16)) if words[0] != "running" else (-1, 0)
    values = [0] * 27
    values[14], values[15] = first, call & (2**64 - 1)
    return struct.pack("<27Q", *values)


def make_core(pid: int, target: Path) -> None:
    """A core file of a stopped process, as the kernel would write it: without what files hold."""
    stop_threads(pid)
    maps = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        words = line.split(None, 5)
        begin, end = (int(x, 16) for x in words[0].split("-"))
        path = words[5] if len(words) > 5 else ""
        if words[1][0] == "r" and path not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            maps.append((begin, end, words[1], int(words[2], 16), path))
    threads = sorted(int(t) for t in os.listdir(f"/proc/{pid}/task"))
    notes = b"".join(
        note(
            NT_PRSTATUS,
            bytes(12)
            + struct.pack("<hxxQQ4i", signal.SIGABRT, 0, 0, thread, 0, 0, 0)
            + bytes(64)
            + registers(pid, thread)
            + bytes(8),
        )
        for thread in threads
    )
    notes += note(NT_PRPSINFO, bytes(24) + struct.pack("<4i", pid, 0, 0, 0) + bytes(96))
    files = [m for m in maps if m[4].startswith("/")]
    table = struct.pack("<QQ", len(files), 4096)
    table += b"".join(struct.pack("<QQQ", m[0], m[1], m[3] // 4096) for m in files)
    notes += note(NT_FILE, table + b"".join(m[4].encode() + b"\0" for m in files))
    headers = 64 + 56 * (len(maps) + 1)
    rows, blocks = [struct.pack("<IIQQQQQQ", 4, 0, headers, 0, 0, len(notes), 0, 4)], [notes]
    at = headers + len(notes)
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for begin, end, rights, _, path in maps:
            flags = 4 | (2 if rights[1] == "w" else 0) | (1 if rights[2] == "x" else 0)
            block = b""
            if not path.startswith("/") or flags & 2:
                memory.seek(begin)
                block = memory.read(end - begin)
            rows.append(
                struct.pack("<IIQQQQQQ", 1, flags, at, begin, 0, len(block), end - begin, 4096)
            )
            blocks.append(block)
            at += len(block)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
    target.write_bytes(b"".join([ident, head, *rows, *blocks]))


@pytest.mark.parametrize("python", PYTHONS)
def test_core_file(tmp_path, python):
    core = tmp_path / "core"
    with Program(tmp_path, WAITS, python) as program:
        wait_for_thread(program.pid, "waits")
        make_core(program.process.pid, core)
        pid = program.process.pid
    done = varan("dump", "--json", "--locals", "--core", str(core))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["pid"] == pid and report["signal"] == signal.SIGABRT
    thread = thread_with(report, "waits")
    assert thread["name"] == "napper" and thread["native_id"]
    assert thread["frames"][0]["line"] == line_of(WAITS, "time.sleep(1000)")
    assert thread["frames"][0]["locals"]["text"] == "'inside'"
    text = varan("dump", "--core", str(core)).stdout
    assert "ended by SIGABRT" in text


def test_deadlock_in_a_core_file(tmp_path):
    core = tmp_path / "core"
    with Program(tmp_path, LOCKS) as program:
        wait_until(
            lambda: json.loads(varan("dump", "--json", program.pid).stdout)["deadlocks"],
            60,
            "the deadlock",
        )
        make_core(program.process.pid, core)
    assert "DEADLOCK" in varan("dump", "--core", str(core)).stdout


def test_damaged_core_files(tmp_path):
    """Cut off and overwritten anywhere: a message or a report, no crash and no hang."""
    core = tmp_path / "core"
    with Program(tmp_path, WAITS) as program:
        make_core(program.process.pid, core)
    size = core.stat().st_size
    with core.open("r+b", 0) as file:
        for at in range(0, 4000, 160):
            file.seek(at)
            before = file.read(16)
            file.seek(at)
            file.write(b"\xff" * 16)
            assert varan("dump", "--core", str(core)).returncode in (0, 1)
            file.seek(at)
            file.write(before)
    for left in (size - 100, size // 2, 5000, 200, 64, 10, 0):
        os.truncate(core, left)
        assert varan("dump", "--core", str(core)).returncode in (0, 1)
    done = varan("dump", "--core", "/nonexistent")
    assert done.returncode == 1 and "cannot read" in done.stderr
    done = varan("dump", "--core", str(VARAN))
    assert done.returncode == 1 and "is no core file" in done.stderr


def test_binary_without_symbols(tmp_path):
    """Debian's Python is one stripped binary; here it does not even tell where _PyRuntime is."""
    debian = Path("/usr/bin/python3").resolve()
    plain = Path(debian).read_bytes()
    for word in (b"_PyRuntime\0", b".PyRuntime\0", b"Py_Version\0"):
        plain = plain.replace(word, word[:-2] + b"X\0")
    binary = tmp_path / "application"
    binary.write_bytes(plain)
    binary.chmod(0o755)
    with Program(tmp_path, SPLIT, str(binary)) as program:
        report = wait_for_thread(program.pid, "waits")
        assert report["path"] == str(binary)
        assert report["version"].count(".") == 2
        assert thread_with(report, "main")["frames"][-1]["function"] == "<module>"
    with Program(tmp_path, SPLIT, str(debian)) as program:
        assert thread_with(dump(program.pid), "main")


def test_venv_and_replaced_binary(tmp_path):
    """The file behind a running program may be gone: after an upgrade, say."""
    binary = tmp_path / "python"
    shutil.copy(Path("/usr/bin/python3").resolve(), binary)
    with Program(tmp_path, SPLIT, str(binary)) as program:
        binary.unlink()
        assert thread_with(dump(program.pid), "main")


def test_process_ids_of_a_container(tmp_path):
    """In a namespace of process ids the threads know themselves by other numbers than we do."""
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(SPLIT))
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        command.insert(1, "--map-root-user")
    outer = subprocess.Popen([*command, sys.executable, str(script)], stdout=subprocess.PIPE)
    try:
        if outer.stdout.readline().strip() != b"ready":
            pytest.skip("this system lets nobody make a namespace")
        pid = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0]
        report = wait_for_thread(pid, "waits")
    finally:
        outer.kill()
        outer.wait(60)
    main, waiting = thread_with(report, "main"), thread_with(report, "waits")
    assert main["native_id"] == int(pid) and main["name"] == "main"
    assert waiting["native_id"] not in (None, main["native_id"]) and waiting["state"] == "idle"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_refused_to_another_user(tmp_path):
    with Program(tmp_path, SPLIT) as program:
        binary = tmp_path / "varan"
        shutil.copy(VARAN, binary)
        binary.chmod(0o755)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.geteuid() and str(folder).count("/") > 1:
                folder.chmod(folder.stat().st_mode | 0o011)
        done = subprocess.run(
            [str(binary), "dump", program.pid],
            capture_output=True,
            text=True,
            user=65534,
            group=65534,
            extra_groups=[],
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    for word in ("no permission", "belongs to user 0", "user 65534", "sudo"):
        assert word in done.stderr


def test_workers_that_a_server_forked_by_itself(tmp_path):
    """uWSGI does not tell Python that it forked: in the workers Python still calls their threads as the master's."""
    (tmp_path / "app.py").write_text("def application(environ, start):\n    pass\n")
    command = [str(Path(sys.executable).parent / "uwsgi"), "--master", "--processes", "2"]
    command += [
        "--enable-threads",
        "--threads",
        "2",
        "--module",
        "app",
        "--socket",
        "socket",
        "--die-on-term",
    ]
    with (tmp_path / "log").open("wb") as log:
        master = subprocess.Popen(
            command, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True
        )
    try:

        def workers() -> list[int]:
            assert master.poll() is None, (tmp_path / "log").read_text()
            text = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text()
            return len(text.split()) == 2 and [int(word) for word in text.split()]

        for worker in wait_until(workers, 60, "two workers"):

            def waiting(pid=worker) -> list | None:
                threads = dump(str(pid))["threads"]
                states = [thread["state"] for thread in threads]
                return threads if states == ["idle", "idle"] else None

            threads = wait_until(waiting, 60, "both threads waiting for requests")
            tasks = {int(task.name) for task in Path(f"/proc/{worker}/task").iterdir()}
            assert {thread["native_id"] for thread in threads} <= tasks
    finally:
        os.killpg(master.pid, signal.SIGKILL)
        master.wait(60)
