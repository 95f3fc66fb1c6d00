"""`varan doctor`: what it says of programs as people have them, without running them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import varan
from conftest import ROOT, VARAN, wait_until


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(VARAN), "doctor", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
        check=False,
    )


def report(done: subprocess.CompletedProcess[str]) -> dict:
    assert done.stderr == ""
    return json.loads(done.stdout)


def states(done: subprocess.CompletedProcess[str], part: str) -> dict[str, tuple[str, str]]:
    assert done.returncode == 0, done.stderr
    items = report(done)["parts"][part]
    return {item["what"].split(" ")[0]: (item["state"], item["why"]) for item in items}


# The libraries' hooks are tried where a test is about them: importing all of them takes seconds.
NO_HOOKS = {"VARAN_DISABLED_HOOKS": "*"}
HEAVY = "anthropic,openai,botocore,grpc,sqlalchemy,celery,kafka,aiokafka,confluent_kafka"


def test_a_program_with_a_server(server, tmp_path: Path):
    app = tmp_path / "app.py"
    app.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")

    def asked() -> subprocess.CompletedProcess[str] | None:
        """It gives the server three seconds, as it should; on a machine that stands still these pass. Then once more."""
        done = doctor(
            *("--endpoint", server.otlp, "--", sys.executable, str(app)),
            VARAN_SERVICE="shop",
            VARAN_DISABLED_HOOKS=HEAVY,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done if f"{server.otlp} takes them" in done.stdout else None

    done = wait_until(asked, 60, "the server's answer")
    assert "✓ the agent's extension" in done.stdout
    assert "✓ service shop" in done.stdout
    assert "✓ flask" in done.stdout
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout
    assert not (tmp_path / "ran").exists(), "the application's own code ran"


def test_without_a_server_and_with_hooks_off(tmp_path: Path):
    broken = tmp_path / "redis"
    broken.mkdir()
    (broken / "__init__.py").write_text("")
    (tmp_path / "pymongo.py").write_text("raise RuntimeError('broken')\n")
    done = doctor(
        "--json", "--endpoint", "http://127.0.0.1:1", "--", sys.executable, "-c", "pass",
        VARAN_DISABLED_HOOKS=f"flask,{HEAVY}", PYTHONPATH=str(tmp_path),
    )  # fmt: skip
    assert report(done)["instrumented"] is True
    where, seen = states(done, "Where it goes"), states(done, "Libraries")
    assert where["traces,"][0] == "bad"
    assert "refused" in where["traces,"][1].lower()
    assert seen["flask"][0] == "note"
    assert "VARAN_DISABLED_HOOKS" in seen["flask"][1]
    assert seen["requests"] == ("ok", "requests out")
    assert seen["redis"][0] == "bad"  # a version without the classes that the hook is for
    assert seen["pymongo"][0] == "bad"
    assert "RuntimeError: broken" in seen["pymongo"][1]
    twins = states(done, "OpenTelemetry's instrumentations")
    assert "left off" in twins["django"][1]
    assert twins["flask"] == ("ok", "switched on")  # our hook is off


def test_settings_in_force():
    done = doctor(
        "--json", "--", sys.executable, "-c", "pass", **NO_HOOKS, VARAN_LOGLEVEL="debug",
        VARAN_LOG_LEVEL="loud", OTEL_EXPORTER_OTLP_HEADERS="authorization=hidden",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:2", OTEL_TRACES_SAMPLER="always_off",
        OTEL_METRICS_EXPORTER="none",
    )  # fmt: skip
    assert "hidden" not in done.stdout
    settings = states(done, "Settings")
    assert settings["VARAN_LOG_LEVEL=loud"][0] == "bad"
    assert settings["VARAN_LOGLEVEL=debug"][0] == "note"
    assert "is VARAN_LOG_LEVEL meant?" in done.stdout
    where = states(done, "Where it goes")
    assert "http://127.0.0.1:2: no answer" in where["traces,"][1]
    assert where["metrics"] == ("note", "not sent: OTEL_METRICS_EXPORTER is none")
    assert where["0"][0] == "note"


def test_switched_off():
    done = doctor("--json", "--", sys.executable, "-c", "pass", **NO_HOOKS, VARAN_DISABLED="1")
    assert done.returncode == 1
    assert report(done)["instrumented"] is False
    assert "switched off" in report(done)["verdict"]


def test_all_variables_are_known():
    """Those that the agent's sources name."""
    from varan.doctor.settings import KNOWN, OTHERS

    named = set()
    for path in (ROOT / "agent" / "varan").rglob("*.py"):
        named |= set(re.findall(r"""["'](VARAN_[A-Z_]+)["']""", path.read_text()))
    assert named - {"VARAN_DOCTOR"} == KNOWN | OTHERS


SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["gunicorn", "-w", "2", "shop.wsgi:app"], 0, "shop/wsgi.py"),
        (["gunicorn", "--chdir=shop", "wsgi"], 0, "shop/wsgi.py"),
        (["uvicorn", "--app-dir", "shop", "--reload", "wsgi:app"], 0, "shop/wsgi.py"),
        (["celery", "-A", "shop.wsgi", "worker"], 0, "shop/wsgi.py"),
        (["flask", "--app", "shop.wsgi", "run"], 0, "shop/wsgi.py"),
        (["python", "manage.py", "runserver"], 0, "manage.py"),
        (["python", "-X", "dev", "-m", "shop.wsgi"], 0, "shop/wsgi.py"),
        (["opentelemetry-instrument", "python", "manage.py"], 0, "manage.py"),
        (["sh", "start.sh"], 0, "a command"),
        (["gunicorn", "nix.wsgi:app"], 1, "there is no module nix.wsgi"),
        (["uvicorn", "shop.nix:app"], 1, "there is no module shop.nix"),
        (["python", "-m", "shop.nix"], 1, "no such module"),
        (["python", "nix.py"], 1, "no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_programs(tmp_path: Path, words: list[str], status: int, says: str):
    """Applications are found where their server would look, and nothing of theirs runs."""
    shop = tmp_path / "shop"
    shop.mkdir()
    for path in (shop / "__init__.py", shop / "wsgi.py", tmp_path / "manage.py"):
        path.write_text("raise SystemExit('ran')\n")
    (tmp_path / "start.sh").write_text("env python -c 'raise SystemExit' 3>&- 9>&-\n")
    done = subprocess.run(
        [str(VARAN), "doctor", "--", *words], capture_output=True, text=True, timeout=120,
        cwd=tmp_path, check=False,
        env={
            **os.environ, **NO_HOOKS, "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
            "OTEL_PYTHON_DISTRO": "varan", "OTEL_PYTHON_CONFIGURATOR": "varan",
        },
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (status, ""), done.stdout
    assert says in done.stdout


def test_another_agent_in_the_same_program(tmp_path: Path):
    (tmp_path / "ddtrace" / "bootstrap").mkdir(parents=True)
    (tmp_path / "ddtrace" / "__init__.py").write_text("")
    (tmp_path / "newrelic.py").write_text("")
    path = os.pathsep.join([str(tmp_path / "ddtrace" / "bootstrap"), str(tmp_path)])
    done = doctor("--json", "--", sys.executable, "-c", "pass", **NO_HOOKS, PYTHONPATH=path)
    seen = states(done, "Other agents")
    assert seen["ddtrace"][0] == "bad"
    assert seen["newrelic"] == ("note", "installed, not started by this command")


def test_an_interpreter_without_the_extension(tmp_path: Path):
    """As another version of Python than the package was built for."""
    package = tmp_path / "agent" / "varan"
    shutil.copytree(Path(varan.__file__).parent, package)
    for path in package.glob("_core*.so"):
        path.rename(package / "_core.cpython-35m-x86_64-linux-gnu.so")
    python = [sys.executable, "-c", "pass"]
    path = {"VARAN_AGENT_DIR": str(package), "PYTHONPATH": str(tmp_path / "agent")}
    done = doctor("--json", "--", *python, **path)
    assert done.returncode == 1
    assert "was built for another Python (_core.cpython-35m" in report(done)["verdict"]
    done = subprocess.run(
        [str(VARAN), "run", "--", *python], capture_output=True, text=True, timeout=60,
        env={**os.environ, **path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "built for another Python" in done.stderr
    assert "pip install varan" in done.stderr


def test_a_narrow_terminal(tmp_path: Path):
    """Colours, and no line is longer than the terminal is wide."""
    import pty
    import termios

    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 64))
    with open(child, "wb") as terminal:
        subprocess.run(
            [str(VARAN), "doctor", "--", sys.executable, "-c", "pass"], stdout=terminal, timeout=120,
            env={**os.environ, **NO_HOOKS, "TERM": "xterm"}, check=False,
        )  # fmt: skip
    data = b""
    try:
        while piece := os.read(parent, 65536):
            data += piece
    except OSError:  # the other end is closed
        pass
    os.close(parent)
    text = data.decode()
    assert "\x1b[1mProgram\x1b[0m" in text
    lines = re.sub(r"\x1b\[\d*m", "", text).splitlines()
    assert max(map(len, (line for line in lines if "/" not in line))) <= 64


@pytest.mark.parametrize("option", ["-I", "-E", "-S", "-uI"])
def test_options_that_shut_the_agent_out(option: str):
    done = doctor("--", sys.executable, option, "-c", "pass")
    assert done.returncode == 1
    assert f"option {option} keeps the agent out" in done.stderr
    done = doctor("--json", "--", sys.executable, option, "-c", "pass")
    assert done.returncode == 1
    assert report(done)["instrumented"] is False


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
