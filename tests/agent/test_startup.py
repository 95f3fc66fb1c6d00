"""Every way a Python process begins: each sends its span once, or says why not."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
from pathlib import Path
from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program

SPAN = "import varan\nwith varan.span('started'): pass\n"
# Not to be had from PYTHONPATH: for ways in which the environment is not looked at.
START = "import varan\nvaran.start()\n" + SPAN


def run(program: Program, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *command], env={**program.env, **env}, cwd=program.folder, capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def started(collector: Collector) -> None:
    assert [s.name for s in collector.spans] == ["started"]


@pytest.mark.parametrize(
    "options",
    [["started.py"], ["-m", "started"], ["-c", SPAN], ["-u", "-W", "error", "-X", "dev", "started.py"], ["-O", "started.py"], ["-P", "started.py"]],
    ids=["script", "module", "command", "dev", "optimized", "safe-path"],
)  # fmt: skip
def test_python(program: Program, collector: Collector, options: list[str]) -> None:
    if "-P" in options and sys.version_info < (3, 11):
        pytest.skip("-P came with 3.11")
    program.write("started.py", SPAN)
    run(program, *options)
    started(collector)


@pytest.mark.parametrize("option", ["-S", "-E", "-I"])
def test_options_that_hide_the_environment(
    program: Program, collector: Collector, option: str
) -> None:
    """-E and -I hide PYTHONPATH, -S does not run sitecustomize: the program runs as ever, without the agent, unless it
    calls varan.start() itself."""
    program.write("plain.py", "print('works')\n")
    assert run(program, option, "plain.py").stdout == "works\n"
    assert collector.spans == []
    package = os.path.dirname(os.path.dirname(os.path.abspath(varan.__file__)))
    program.write("called.py", f"import sys\nsys.path.append({package!r})\n" + START)
    run(program, option, "called.py")
    started(collector)


def test_package_and_zipapp(program: Program, collector: Collector) -> None:
    source = program.folder / "source"
    source.mkdir()
    (source / "__main__.py").write_text(SPAN)
    zipapp.create_archive(source, program.folder / "app.pyz")
    run(program, "app.pyz")
    run(program, "source")
    assert [s.name for s in collector.spans] == ["started"] * 2


def test_an_environment_without_the_package(
    program: Program, collector: Collector, tmp_path: Path
) -> None:
    """`varan run` in front of another environment's Python of the same version: the package comes from beside it."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "other")], check=True
    )
    env = {**program.env, "PYTHONPATH": varan.bootstrap_path()}
    code = SPAN + "import sys; assert 'other' in sys.prefix"
    subprocess.run(
        [tmp_path / "other" / "bin" / "python", "-c", code], env=env, check=True, timeout=120
    )
    started(collector)


def test_called_from_the_application(program: Program, collector: Collector) -> None:
    program.env["PYTHONPATH"] = program.env["PYTHONPATH"].split(os.pathsep)[1]
    run(
        program, "-c", "import varan\nassert varan.start(service='mine') and varan.start()\n" + SPAN
    )
    started(collector)
    assert collector.spans[0].resource["service.name"] == "mine"


def test_started_late(program: Program, collector: Collector) -> None:
    """Modules that are there already are hooked, too."""
    program.env["PYTHONPATH"] = program.env["PYTHONPATH"].split(os.pathsep)[1]
    run(
        program,
        "-c",
        """
import flask, sqlite3, threading, logging, opentelemetry.trace
app = flask.Flask("late")
@app.get("/x/<name>")
def x(name):
    sqlite3.connect(":memory:").execute("select 1")
    return name
import varan
varan.start()
assert app.test_client().get("/x/you").status_code == 200
""",
    )
    assert sorted(s.name for s in collector.spans) == ["GET /x/<name>", "SELECT"]


def test_pytest(program: Program, collector: Collector) -> None:
    program.write("test_it.py", "def test_it():\n    " + SPAN.replace("\n", "\n    "))
    run(program, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    started(collector)


def test_ipython(program: Program, collector: Collector) -> None:
    run(program, "-m", "IPython", "--no-banner", "-c", SPAN, IPYTHONDIR=str(program.folder))
    assert len(collector.named("started")) == 1


def test_notebook(program: Program, collector: Collector) -> None:
    """A kernel of its own, several cells, a failing one, and the kernel's end."""
    program.write(
        "execute.py",
        """
        import nbformat
        from nbclient import NotebookClient
        cells = ["import varan, threading", "with varan.span('cell') as s: s.set('n', 1)", "1/0",
                 "t = threading.Thread(target=lambda: varan.span('thread').__enter__().end()); t.start(); t.join()"]
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        NotebookClient(book, timeout=120, allow_errors=True, kernel_name="python3").execute()
        assert "ZeroDivisionError" in str(book.cells[2].outputs)
        """,
    )  # fmt: skip
    run(
        program,
        "execute.py",
        IPYTHONDIR=str(program.folder),
        JUPYTER_RUNTIME_DIR=str(program.folder),
    )
    collector.wait(lambda: len([s for s in collector.spans if s.name in ("cell", "thread")]) >= 2)
    assert len(collector.named("cell")) == len(collector.named("thread")) == 1


FLASK_BY_CONTRIB = """
import flask, sys
from opentelemetry import trace
app = flask.Flask("x")
@app.get("/x/<name>")
def x(name):
    with trace.get_tracer("mine").start_as_current_span("inside"):
        return name
assert app.test_client().get("/x/you").status_code == 200
"""


@pytest.mark.parametrize("how", ["as-distro", "beside-bootstrap"])
def test_opentelemetry_instrument(program: Program, collector: Collector, how: str) -> None:
    """The command of OpenTelemetry with our distro: the hooks' spans, once, and no SDK beside."""
    if how == "as-distro":
        program.env["PYTHONPATH"] = program.env["PYTHONPATH"].split(os.pathsep)[1]
    program.write(
        "web.py", FLASK_BY_CONTRIB + "\nassert 'opentelemetry.sdk.trace' not in sys.modules\n"
    )
    command = os.path.join(os.path.dirname(sys.executable), "opentelemetry-instrument")
    done = subprocess.run(
        [command, sys.executable, "web.py"],
        env={**program.env, "OTEL_PYTHON_DISTRO": "varan", "OTEL_PYTHON_CONFIGURATOR": "varan"},
        cwd=program.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(s.name for s in collector.spans) == ["GET /x/<name>", "inside"]
    assert {s.scope for s in collector.spans} == {"varan.flask", "mine"}


INSTRUMENTOR = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry import trace
class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()
    def _instrument(self, **kwargs):
        import rare_library
        work, tracer = rare_library.work, trace.get_tracer("contrib.rare")
        def traced():
            with tracer.start_as_current_span("rare"):
                return work()
        rare_library.work = traced
    def _uninstrument(self, **kwargs):
        pass
"""


@pytest.mark.parametrize("unwanted", ["", "rare_library", "*"])
def test_contrib_packages_are_switched_on(
    program: Program, collector: Collector, unwanted: str
) -> None:
    """What the hooks do not do, and only once its library is imported."""
    dist = program.folder / "opentelemetry_instrumentation_rare-1.dist-info"
    dist.mkdir()
    (dist / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: opentelemetry-instrumentation-rare\nVersion: 1\n"
    )
    (dist / "entry_points.txt").write_text(
        "[console_scripts]\nx = y:z\n\n[opentelemetry_instrumentor]\nrare_library = rare_instr:Instrumentor\nbroken = nothing:X\n"
    )
    program.write("rare_instr.py", INSTRUMENTOR)
    program.write("rare_library.py", "def work():\n    return 5\n")
    program.env["PYTHONPATH"] += os.pathsep + str(program.folder)
    done = run(
        program, "-c",
        "import sys; assert 'rare_instr' not in sys.modules; import rare_library; assert rare_library.work() == 5",
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=unwanted,
    )  # fmt: skip
    assert [s.name for s in collector.spans] == ([] if unwanted else ["rare"])
    assert done.stderr == ""


def test_varan_run(program: Program, collector: Collector) -> None:
    """The command, for any program: here a shell that starts Python."""
    binary = Path(__file__).resolve().parents[2] / "build" / "varan"
    assert binary.exists(), "build first: tools/build"
    env: dict[str, Any] = {k: v for k, v in program.env.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(binary), "run", "--", "sh", "-c", f"{sys.executable} -c \"{SPAN}\""],
        env=env, cwd=program.folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    started(collector)
