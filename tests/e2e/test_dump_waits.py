"""`varan dump`: which lock a thread waits for, who holds it, deadlocks; greenlets."""

from __future__ import annotations

import json
import sys

import pytest
from test_profile import PYTHONS, Program, line_of, varan

from conftest import wait_until

LOCKS = """
    import queue, threading, time

    first, second = threading.Lock(), threading.RLock()

    class Store:
        def __init__(self):
            self.mutex = threading.Lock()
            self.changed = threading.Condition(threading.Lock())

        def holds(self):
            with self.mutex:
                with self.changed:
                    started.release()
                    time.sleep(1000)

        def wants_mutex(self):
            with self.mutex:
                pass

        def wants_condition(self):
            with self.changed:
                pass

    def forth():
        with first:
            gate.wait()
            with second:
                pass

    def back():
        with second:
            gate.wait()
            first.acquire()

    def gets():
        queue.Queue().get()

    def joins():
        getter.join()

    def start(target):
        thread = threading.Thread(target=target, name=target.__name__, daemon=True)
        thread.start()
        return thread

    store, gate, started = Store(), threading.Barrier(2), threading.Semaphore(0)
    getter = start(gets)
    start(store.holds)
    started.acquire()
    for target in (store.wants_mutex, store.wants_condition, forth, back, joins):
        start(target)
    print("ready", flush=True)
    time.sleep(1000)
"""


def read(pid: str) -> dict[str, dict]:
    done = varan("dump", "--json", pid)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    return {"deadlocks": report["deadlocks"], **{t["name"]: t for t in report["threads"]}}


@pytest.mark.parametrize("python", PYTHONS)
def test_locks_their_holders_and_deadlocks(tmp_path, python):
    expected = {
        "wants_mutex": ("Store.mutex", "Lock", "holds"),
        "wants_condition": ("Store.changed", "Lock", "holds"),
        "forth": ("second", "RLock", "back"),
        "back": ("first", "Lock", "forth"),
    }
    waiting = (*expected, "joins", "gets")
    with Program(tmp_path, LOCKS, python) as program:
        last: dict = {}

        def settled():
            """Threads that begin wait for other locks before these, an instant each."""
            last.update(read(program.pid))
            if not last["deadlocks"] or not all(last.get(n, {}).get("waits_for") for n in waiting):
                return None
            names = {name: last[name]["waits_for"].get("name") for name in expected}
            return (
                last if names == {name: lock for name, (lock, _, _) in expected.items()} else None
            )

        found = wait_until(
            settled, 60, lambda: f"all threads waiting, two of them for each other: {last}"
        )
        text = varan("dump", program.pid).stdout
        assert program.process.poll() is None
    ids = {name: found[name]["native_id"] for name in (*waiting, "holds")}
    assert [sorted(circle) for circle in found["deadlocks"]] == [
        sorted((ids["forth"], ids["back"]))
    ]
    for name, (lock, kind, holder) in expected.items():
        waits = found[name]["waits_for"]
        assert (waits["name"], waits["type"], waits["held_by"]) == (lock, kind, ids[holder]), name
        assert waits["held_in"]["function"].endswith(holder)
    assert found["back"]["waits_for"]["held_in"]["line"] >= line_of(LOCKS, "with first:")
    assert found["joins"]["waits_for"]["end_of"] == ids["gets"]
    assert found["gets"]["waits_for"]["notification"]
    assert {lock["name"] for lock in found["holds"]["holds"]} == {"Store.mutex", "Store.changed"}
    assert "DEADLOCK" in text
    assert f"waits for Lock first, held by thread {ids['forth']} (forth) in forth (" in text


GREENLETS = """
    import greenlet

    def leaf():
        greenlet.getcurrent().parent.switch()

    def middle():
        return max([1, 2], key=lambda x: leaf() or 0)

    kept = [greenlet.greenlet(middle) for _ in range(20)]
    for one in kept:
        one.switch()
    print("ready", flush=True)
    leaf_time = __import__("time").sleep(1000)
"""


def test_greenlets(tmp_path):
    with Program(tmp_path, GREENLETS, sys.executable) as program:
        done = varan("dump", "--json", program.pid)
        text = varan("dump", program.pid).stdout
    greenlets = json.loads(done.stdout)["greenlets"]
    assert len(greenlets) == 20
    for one in greenlets:
        names = [frame["function"].rsplit(".", 1)[-1] for frame in one["frames"]]
        assert names == ["leaf", "<lambda>", "middle"], one
        assert one["type"] == "greenlet"
        assert one["frames"][0]["line"] == line_of(GREENLETS, "parent.switch()")
    assert "20 suspended greenlets" in text


def test_hundreds_of_gevent_greenlets(tmp_path):
    source = """
        import gevent

        def works(n):
            gevent.sleep(1000)

        for n in range(300):
            gevent.spawn(works, n)
        gevent.sleep(0)
        print("ready", flush=True)
        gevent.sleep(1000)
    """
    with Program(tmp_path, source, sys.executable) as program:
        done = varan("dump", "--json", program.pid)
    greenlets = json.loads(done.stdout)["greenlets"]
    inside = [g for g in greenlets if any(f["function"] == "works" for f in g["frames"])]
    assert len(inside) == 300 and {g["type"] for g in inside} == {"Greenlet"}
