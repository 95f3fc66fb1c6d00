"""Pre-forked workers and threads under load: every request's span arrives, once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import VARAN, wait_until

APP = textwrap.dedent(
    """
    import logging, sqlite3, threading
    from flask import Flask

    logging.basicConfig(level=logging.INFO)
    app = Flask(__name__)
    local = threading.local()

    @app.get("/work/<int:number>")
    def work(number):
        if not hasattr(local, "db"):
            local.db = sqlite3.connect(":memory:")
        local.db.execute("SELECT ? + 1", (number,)).fetchone()
        app.logger.info("worked on %d", number)
        return "done"
    """
)
REQUESTS = 600


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("name", "options", "processes"),
    [
        ("prefork", ["--workers", "2"], 2),
        ("preload", ["--workers", "2", "--preload"], 2),
        ("threads", ["--workers", "1", "--threads", "6"], 1),
    ],
)
def test_no_lost_and_no_doubled_span(server, tmp_path, name, options, processes):
    (tmp_path / "app.py").write_text(APP)
    address = f"127.0.0.1:{free_port()}"
    service = f"gunicorn-{name}"
    command = [str(VARAN), "run", "--service", service, "--"]
    command += [sys.executable, "-m", "gunicorn", *options, "-b", address, "app:app"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env={**os.environ, "VARAN_ENDPOINT": server.otlp},
        )

    def get(number: int) -> bool:
        with urllib.request.urlopen(f"http://{address}/work/{number}", timeout=20) as answer:
            return answer.read() == b"done"

    def up() -> bool:
        assert process.poll() is None, (tmp_path / "log").read_text()
        try:
            with socket.create_connection(address.split(":"), timeout=1):
                return True
        except OSError:
            return False

    try:
        wait_until(up, 30, "gunicorn")
        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(get, range(REQUESTS)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    count = f"""SELECT countIf(kind = 2), uniqExactIf(span_id, kind = 2), countIf(kind = 3),
                uniqExactIf(attributes['url.path'], kind = 2) FROM spans WHERE service = '{service}'"""
    want = [[REQUESTS, REQUESTS, REQUESTS, REQUESTS]]
    # What was finished before SIGTERM is flushed at the workers' exit; the answer to it is durable.
    wait_until(
        lambda: [[int(one) for one in row] for row in server.sql(count)] == want,
        10,
        f"{want} in {server.sql(count)}",
    )
    logs = server.sql(
        f"SELECT countIf(body LIKE 'worked on %'), uniqExactIf(body, body LIKE 'worked on %'), "
        f"countIf(body LIKE 'worked on %' AND trace_id != unhex(repeat('00', 16))) "
        f"FROM logs WHERE service = '{service}'"
    )
    assert [int(one) for one in logs[0]] == [REQUESTS] * 3
    instances = server.sql(
        "SELECT uniqExact(r.instance) FROM spans s JOIN resources r ON r.id = s.resource_id "
        f"WHERE s.service = '{service}' AND s.kind = 2"
    )
    assert int(instances[0][0]) == processes
