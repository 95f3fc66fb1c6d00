"""Pre-forked workers and threads under load: every request's span arrives, once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import AGENT_ENDS_PATIENTLY, VARAN, wait_until

APP = textwrap.dedent(
    """
    import logging, os, sqlite3, threading
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
        return str(os.getpid())
    """
)
REQUESTS = 600


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
    service = f"gunicorn-{name}"
    command = [str(VARAN), "run", "--service", service, "--"]
    command += [sys.executable, "-m", "gunicorn", *options, "-b", "127.0.0.1:0", "app:app"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            env={**os.environ, "VARAN_ENDPOINT": server.otlp, **AGENT_ENDS_PATIENTLY},
        )

    def get(number: int) -> int:
        with urllib.request.urlopen(f"http://{address}/work/{number}", timeout=60) as answer:
            return int(answer.read())

    def listening() -> str | None:
        text = (tmp_path / "log").read_text()
        assert process.poll() is None, text
        found = re.search(r"Listening at: http://(127\.0\.0\.1:\d+)", text)
        return found and found[1]

    try:
        address = wait_until(listening, 60, "gunicorn")
        with ThreadPoolExecutor(8) as pool:
            answered = list(pool.map(get, range(REQUESTS)))
            end = time.monotonic() + 60
            # Some more for a worker that came up when the others had done all.
            while len(set(answered)) < processes and time.monotonic() < end:
                answered += pool.map(get, range(len(answered), len(answered) + 8))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
    count = f"""SELECT countIf(kind = 2), uniqExactIf(span_id, kind = 2), countIf(kind = 3),
                uniqExactIf(attributes['url.path'], kind = 2) FROM spans WHERE service = '{service}'"""
    # What was finished before SIGTERM is flushed at the workers' exit; the answer to it is durable.
    logs = f"""SELECT countIf(body LIKE 'worked on %'), uniqExactIf(body, body LIKE 'worked on %'),
               countIf(body LIKE 'worked on %' AND trace_id != unhex(repeat('00', 16)))
               FROM logs WHERE service = '{service}'"""
    for query, want in ((count, [len(answered)] * 4), (logs, [len(answered)] * 3)):
        found: list[int] = []

        def arrived(query=query, found=found, want=want) -> bool:
            found[:] = map(int, server.sql(query)[0])
            return found == want

        wait_until(arrived, 60, lambda found=found, want=want: f"{want}, not {found}:")
    instances = server.sql(
        "SELECT uniqExact(r.instance) FROM spans s JOIN resources r ON r.id = s.resource_id "
        f"WHERE s.service = '{service}' AND s.kind = 2"
    )
    assert int(instances[0][0]) == processes
