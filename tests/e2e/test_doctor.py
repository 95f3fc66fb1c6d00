"""`varan doctor`: what it says of programs as people have them, without running them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import VARAN


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VARAN), "doctor", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def states(done: subprocess.CompletedProcess[str], part: str) -> dict[str, tuple[str, str]]:
    assert done.returncode == 0, done.stderr
    items = json.loads(done.stdout)[part]
    return {item["what"].split(" ")[0]: (item["state"], item["why"]) for item in items}


def test_a_program_with_a_server(server, tmp_path: Path):
    app = tmp_path / "app.py"
    app.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    done = doctor("--endpoint", server.otlp, "--", sys.executable, str(app))
    assert done.returncode == 0, done.stderr
    assert "✓ the agent's extension" in done.stdout
    assert "✓ traces" in done.stdout
    assert "✓ Flask" in done.stdout or "✓ flask" in done.stdout
    assert "✗" not in done.stdout
    assert not (tmp_path / "ran").exists(), "the application's own code ran"


def test_without_a_server_and_with_hooks_off(tmp_path: Path):
    done = doctor(
        "--json", "--endpoint", "http://127.0.0.1:1", "--", sys.executable, "-c", "pass",
        VARAN_DISABLED_HOOKS="flask", VARAN_SERVICE="shop",
    )  # fmt: skip
    settings, seen = states(done, "Settings"), states(done, "Libraries")
    assert settings["traces"][0] == "bad"
    assert "refused" in settings["traces"][1].lower()
    assert seen["flask"][0] == "note"
    assert "VARAN_DISABLED_HOOKS" in seen["flask"][1]
    assert seen["requests"][0] == "ok"


def test_through_a_script_and_a_console_script(tmp_path: Path):
    script = tmp_path / "start.sh"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -m nothing_here\n")
    script.chmod(0o755)
    assert "extension" in doctor("--", str(script)).stdout
    gunicorn = Path(sys.executable).parent / "gunicorn"
    assert "extension" in doctor("--", str(gunicorn), "app:app").stdout


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-uI"])
def test_options_that_shut_the_agent_out(option: str):
    done = doctor("--", sys.executable, option, "-c", "pass")
    assert done.returncode == 1
    assert f"option {option} keeps the agent out" in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--", "true"], 1, "without a Python that takes the agent"),
        (["--", "no-such-program"], 127, "no such program"),
        (["--"], 2, "name the program after --"),
        (["--jsn", "--", "true"], 2, "--json"),
    ],
)
def test_mistakes(words: list[str], status: int, says: str):
    done = doctor(*words)
    assert done.returncode == status
    assert says in done.stderr
