"""Commands as a person types them: help, mistakes, `varan dev` and `varan run`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requests

from conftest import AGENT_ENDS_PATIENTLY, VARAN, wait_until


def varan(*words: str, seconds: float = 60, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(VARAN), *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        env={**os.environ, **environment},
        check=False,
    )


def test_help_lists_the_commands_and_every_option():
    done = varan("--help")
    assert done.returncode == 0
    for command in ("serve", "dev", "run", "query", "sql"):
        assert command in done.stdout
    done = varan("serve", "--help")
    assert done.returncode == 0
    for option in (
        "--data-dir",
        "--listen",
        "--otlp-http",
        "--otlp-grpc",
        "--clickhouse",
        "--config",
    ):
        assert option in done.stdout
    assert "VARAN_DATA_DIR" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["serv"], "serve"),
        (["serve", "--data-dri", "x"], "--data-dir"),
        (["serve", "--listen", "nonsense"], "nonsense"),
        (["serve", "--retention-days", "-1"], "-1"),
        (["serve", "--metrics-5m-retention-days", "a week"], "a week"),
        (["serve", "--logs-retention-days", ""], "--logs-retention-days"),
        (["query"], "services"),
        (["query", "traces", "--limit", "x"], "--limit"),
        (["run"], "--"),
        ([], "serve"),
    ],
)
def test_mistakes_are_named(words, says):
    done = varan(*words)
    assert done.returncode != 0
    assert says in done.stderr + done.stdout
    assert "Traceback" not in done.stderr and len(done.stderr) < 5000


def test_configuration_file_mistakes_name_file_and_line(tmp_path):
    config = tmp_path / "varan.yml"
    config.write_text("data_dir: /tmp/x\nretention_dais: 3\n")
    done = varan("serve", "--config", str(config))
    assert done.returncode != 0
    assert f"{config}:2" in done.stderr and "retention" in done.stderr
    config.write_text("listen: [1, 2\n")
    done = varan("serve", "--config", str(config))
    assert done.returncode != 0 and str(config) in done.stderr


def test_missing_engine_says_what_to_do(tmp_path):
    done = varan(
        *("serve", "--data-dir", str(tmp_path), "--engine-lib", "/nonexistent/libchdb.so"),
        *("--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"),
    )
    assert done.returncode != 0
    assert "/nonexistent/libchdb.so" in done.stderr


def test_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = varan(
            *("serve", "--data-dir", str(tmp_path), "--listen", address),
            *("--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"),
        )
    assert done.returncode != 0 and address in done.stderr


def test_data_folder_in_use_is_named(server):
    done = varan(
        *("serve", "--data-dir", str(server.folder / "data")),
        *("--listen", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"),
    )
    assert done.returncode != 0
    assert str(server.process.pid) in done.stderr or "in use" in done.stderr


def test_no_server_is_said_plainly():
    done = varan("query", "services", "--server", "http://127.0.0.1:9")
    assert done.returncode != 0 and "127.0.0.1:9" in done.stderr


def test_filter_mistakes_point_at_the_column(server):
    done = varan("query", "traces", "service=x AND (duration>", "--server", server.url)
    assert done.returncode != 0 and "^" in done.stderr
    done = varan("query", "traces", "duration>5parsecs", "--server", server.url)
    assert done.returncode != 0 and "^" in done.stderr


def test_run_traces_an_application_and_passes_its_status_on(server, tmp_path):
    (tmp_path / "app.py").write_text(
        textwrap.dedent(
            """
            import logging, sqlite3, sys
            import varan
            logging.basicConfig(level=logging.INFO)
            with varan.span("job", kind_of="e2e"):
                sqlite3.connect(":memory:").execute("SELECT 'secret-literal'").fetchall()
                logging.getLogger("app").warning("from the application")
            sys.exit(7)
            """
        )
    )
    command = [str(VARAN), "run", "--service", "cli-run", "--", sys.executable, "app.py"]
    environment = {**os.environ, "VARAN_ENDPOINT": server.otlp, **AGENT_ENDS_PATIENTLY}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    spans = wait_until(
        lambda: (
            (
                rows := server.sql(
                    "SELECT name, db_statement FROM spans WHERE service = 'cli-run' ORDER BY ts"
                )
            )
            and len(rows) > 1
            and rows
        ),
        60,
        "the application's spans",
    )
    assert next(name for name, _ in spans) == "job" and len(spans) == 2
    assert "secret-literal" not in str(spans)
    lines = wait_until(
        lambda: server.api("/logs", filter="service=cli-run")["logs"], 60, "its log line"
    )
    assert [line["body"] for line in lines] == ["from the application"]
    assert lines[0]["span_id"]


def test_an_end_that_stands_still_for_a_moment_is_clean(new_server):
    """As on a machine that is put to sleep: it is no end that takes too long."""
    server = new_server().start()
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "finishing what is in progress" in server.log.read_text(), 60, "the end")
    stat = Path(f"/proc/{server.process.pid}/stat")

    def has_ended() -> bool:
        return server.process.poll() is not None

    def stands_still() -> bool:
        return stat.read_text().rpartition(")")[2].split()[0] == "T"

    def ended() -> bool:
        """Else it was stopped, and goes on."""
        server.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: has_ended() or stands_still(), 60, "a stop")
        server.process.send_signal(signal.SIGCONT)
        return has_ended()

    wait_until(ended, 60, "the end")
    assert server.process.returncode == 0, server.log.read_text()


def test_dev_starts_a_server_runs_the_command_and_stops(tmp_path):
    held = socket.socket()  # bound and never listening: nobody else gets the port meanwhile
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    page = f"127.0.0.1:{held.getsockname()[1]}"
    (tmp_path / "app.py").write_text(
        "import time\nprint('the app runs', flush=True)\ntime.sleep(1000)\n"
    )
    command = [str(VARAN), "dev", "--data-dir", str(tmp_path / "data"), "--listen", page]
    command += ["--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0"]
    output = tmp_path / "out"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--", sys.executable, "app.py"], cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: b"the app runs" in output.read_bytes(), 60, "the application running")
        assert page in output.read_text()
        assert requests.get(f"http://{page}/readyz", timeout=60).status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)

    def gone() -> bool:
        try:
            requests.get(f"http://{page}/healthz", timeout=10)
        except requests.ConnectionError:
            return True
        except requests.Timeout:
            pass
        return False

    wait_until(gone, 60, "the server that dev started being stopped")
    held.close()
