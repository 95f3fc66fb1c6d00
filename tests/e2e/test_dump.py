"""`varan dump` beyond stacks: names of threads, who waits for the GIL, local variables, asyncio's tasks."""

from __future__ import annotations

import json
import subprocess

import pytest
from test_profile import PYTHONS, Program, dump, thread_with, varan, wait_for_thread

from conftest import wait_until

THREADS = """
    import threading, time

    def busy():
        x = 0
        while True:
            x += 1

    def sleeper():
        time.sleep(1000)

    for number in range(3):
        threading.Thread(target=busy, name=f"wörker-{number}", daemon=True).start()
    threading.Thread(target=sleeper, name="napper", daemon=True).start()
    print("ready", flush=True)
    busy()
"""


def has_no_gil(python: str) -> bool:
    asks = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'))"
    return subprocess.check_output([python, "-c", asks], text=True).strip() == "1"


@pytest.mark.parametrize("python", PYTHONS)
def test_threads_have_their_names_and_wait_for_the_gil(tmp_path, python):
    with Program(tmp_path, THREADS, python) as program:
        names = {"main", "napper", "wörker-0", "wörker-1", "wörker-2"}
        report = wait_until(
            lambda: (
                (r := wait_for_thread(program.pid, "sleeper"))
                and {t["name"] for t in r["threads"]} == names
                and r
            ),
            60,
            "all names",
        )
        assert thread_with(report, "sleeper")["name"] == "napper"
        assert report["free_threaded"] == has_no_gil(python)

        if has_no_gil(python):
            return

        def somebody_waits():
            threads = dump(program.pid)["threads"]
            assert not any(t["holds_gil"] and t["waits_gil"] for t in threads)
            assert not any(t["waits_gil"] for t in threads if t["name"] == "napper")
            return any(t["waits_gil"] for t in threads)

        wait_until(somebody_waits, 60, "a thread that waits for the GIL")
        assert program.process.poll() is None


LOCALS = """
    import time

    class Thing:
        pass

    def shows(text, big, *rest, key=None):
        data, number, truth, nothing = b"\\x00ab'c", -12345678901234567890, True, None
        share, table = 0.1, {"a": [1, 2, (3,)], 2: None}
        empty, one, few, thing = (), (1,), {7}, Thing()
        long, many = "x" * 500, list(range(100))
        shared = 5
        def inner():
            return shared
        if number > 0:
            never = 1
        print("ready", flush=True)
        time.sleep(1000)

    shows("hé\\n", 10**30, 1, 2, key=3)
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_locals(tmp_path, python):
    with Program(tmp_path, LOCALS, python) as program:
        done = varan("dump", "--json", "--locals", program.pid)
        assert done.returncode == 0, done.stderr
        thread = thread_with(json.loads(done.stdout), "shows")
        shown = thread["frames"][0]["locals"]
        text = varan("dump", "--locals", program.pid).stdout
    assert "    number = -12345678901234567890\n" in text
    expected = {
        "text": "'hé\\n'",
        "big": "1" + "0" * 30,
        "rest": "(1, 2)",
        "key": "3",
        "data": "b'\\x00ab\\'c'",
        "number": "-12345678901234567890",
        "truth": "True",
        "nothing": "None",
        "share": "0.1",
        "empty": "()",
        "one": "(1,)",
        "few": "{7}",
        "shared": "5",
        "long": "'" + "x" * 160 + "'…",
        "many": "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 100 in all]",
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert shown["table"].startswith("{'a': [1, 2, <tuple at 0x")
    assert shown["thing"].startswith("<Thing at 0x") and "never" not in shown


TASKS = """
    import asyncio

    async def leaf(n):
        await asyncio.get_running_loop().create_future()

    async def generator(n):
        await leaf(n)
        yield 1

    async def middle(n):
        async for _ in generator(n):
            pass

    async def gathers():
        await asyncio.gather(middle(1), middle(2))

    async def waits():
        await asyncio.wait([asyncio.ensure_future(leaf(7))])

    async def shields():
        await asyncio.shield(asyncio.ensure_future(leaf(8)))

    async def works():
        print("ready", flush=True)
        while True:
            crunch()
            await asyncio.sleep(0)

    def crunch():
        for i in range(50000):
            i * i

    async def direct():
        await asyncio.create_task(works())

    async def main():
        kept = [asyncio.ensure_future(leaf(0)) for _ in range(300)]
        tasks = [asyncio.create_task(f()) for f in (gathers, waits, shields)]
        tasks.append(asyncio.create_task(direct(), name="dïrect"))
        await asyncio.wait_for(asyncio.gather(*tasks), 1000)

    asyncio.run(main())
"""


def functions(task: dict) -> list[str]:
    return [frame["function"] for frame in task["frames"]]


def read_tasks(pid: str) -> list[dict]:
    done = varan("dump", "--json", "--async-tree", pid)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["tasks"]


@pytest.mark.parametrize("python", PYTHONS)
def test_tasks_and_who_awaits_them(tmp_path, python):
    with Program(tmp_path, TASKS, python) as program:

        def complete():
            tasks = read_tasks(program.pid)
            running = [t for t in tasks if t["running_in"] and "crunch" in functions(t)]
            return len(tasks) >= 310 and len(running) == 1 and tasks

        tasks = wait_until(complete, 60, "one running task among hundreds")
        text = varan("dump", "--async-tree", program.pid).stdout
    by_id = {task["id"]: task for task in tasks}

    def awaiting(task: dict) -> list[str]:
        return sorted(functions(by_id[i])[-1] for i in task["awaited_by"])

    chain = ["leaf", "generator", "middle"]
    below_gather = [t for t in tasks if functions(t) == chain]
    assert len(below_gather) == 2
    assert all(awaiting(t) == ["gathers"] and t["waits_for"] == "Future" for t in below_gather)
    single = [awaiting(t) for t in tasks if functions(t) == ["leaf"] and t["awaited_by"]]
    assert sorted(single) == [["shields"], ["waits"]]
    running = next(t for t in tasks if t["running_in"])
    assert functions(running)[-1] == "works" and awaiting(running) == ["direct"]
    assert any(t["name"] == "dïrect" and functions(t) == ["direct"] for t in tasks)
    for name in ("gathers", "waits", "shields", "direct"):
        assert awaiting(next(t for t in tasks if functions(t)[-1:] == [name])) == ["main"]
    assert "Task dïrect: waits for a Task" in text


@pytest.mark.parametrize("python", PYTHONS)
def test_a_program_that_has_only_just_begun(python):
    for _ in range(5):
        process = subprocess.Popen([python, "-c", "import time; time.sleep(1000)"])
        try:
            done = varan("dump", str(process.pid))
            assert done.returncode == 0, done.stderr
        finally:
            process.kill()
            process.wait()
