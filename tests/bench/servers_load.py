"""The part of bench_agent.py with servers under load: requests per second and the 99th percentile with the agent and
without. Both servers live at once and are loaded in turns of a few seconds; a figure is the median over the turns."""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

FLASK = """
import sqlite3, flask
app = flask.Flask("bench")
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
@app.get("/item/<int:i>")
def item(i):
    return {"n": len(db.cursor().execute("SELECT name FROM items WHERE id = ?", (i,)).fetchall())}
"""
FASTAPI = """
import sqlite3, fastapi
app = fastapi.FastAPI()
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
@app.get("/item/{i}")
async def item(i: int):
    return {"n": len(db.cursor().execute("SELECT name FROM items WHERE id = ?", (i,)).fetchall())}
"""
# title → application, command; each server keeps one CPU busy, the load another
SERVERS = {
    "gunicorn, Flask": (FLASK, ["gunicorn", "-w", "1", "--threads", "4", "-b", "127.0.0.1:PORT", "bench_app:app"]),
    "uvicorn, FastAPI": (
        FASTAPI,
        ["uvicorn", "--port", "PORT", "--log-level", "warning", "--no-access-log", "bench_app:app"],
    ),
}  # fmt: skip
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
START_S = 60


class Server:
    def __init__(self, command: list[str], env: dict[str, str], folder: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as s:
            self.port = s.getsockname()[1]
        words = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], env=env, cwd=folder, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError(f"{words[0]} does not start") from None
                time.sleep(0.05)

    def load(self, seconds: int) -> tuple[float, float]:
        """Requests per second, and the 99th percentile in milliseconds."""
        words = ["wrk", "-t1", "-c4", "--latency", f"-d{seconds}"]
        url = f"http://127.0.0.1:{self.port}/item/2"
        text = subprocess.run([*words, url], check=True, capture_output=True, text=True).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
        assert rate and p99 and "Non-2xx" not in text, text
        return float(rate[1]), float(p99[1]) * UNITS_MS[p99[2]]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def rows(endpoint: str, row: Callable[..., Any], turns: int, seconds: int, only: str = "") -> Any:
    """With the agent ("ours") beside without ("theirs")."""
    import varan

    bare = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "VARAN_", "PYTHON"))}
    package = os.path.dirname(os.path.dirname(os.path.abspath(varan.__file__)))
    path = os.pathsep.join([varan.bootstrap_path(), package])
    ours = {**bare, "VARAN_ENDPOINT": endpoint, "VARAN_SERVICE": "bench", "PYTHONPATH": path}
    found = []
    for title, (application, command) in SERVERS.items():
        if only not in title:
            continue
        servers: list[Server] = []
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "bench_app.py").write_text(application)
            try:
                servers += [Server(command, env, folder) for env in (ours, bare)]
                for server in servers:
                    server.load(1)
                runs = []
                for turn in range(turns):  # each goes first as often
                    found_ = {i: servers[i].load(seconds) for i in ((0, 1), (1, 0))[turn % 2]}
                    runs.append((found_[0], found_[1]))
            finally:
                for server in servers:
                    server.stop()
        for i, (text, unit) in enumerate((("requests/s", "1/s"), ("p99", "ms"))):
            mine, theirs = (statistics.median(run[way][i] for run in runs) for way in (0, 1))
            r = row(f"{title}: {text} under load", mine, theirs, "without agent", "", unit)
            # the median of the turns' own ratios, above 1 where the agent is better
            r["ratio"] = round(
                statistics.median(a[i] / b[i] if unit == "1/s" else b[i] / a[i] for a, b in runs),
                3,
            )
            found.append(r)
    return found
