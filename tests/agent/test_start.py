"""Starting: by sitecustomize, by start(), without the extension; the environment's settings; the service's name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from collector import Collector

import varan
from conftest import Program
from varan import config, resource


def test_users_sitecustomize_runs_first(program: Program, collector: Collector) -> None:
    own = program.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(
        "import sys\nsys.from_user = 'varan' not in sys.modules\nMARK = 5\n"
    )
    program.env["PYTHONPATH"] += os.pathsep + str(own)
    done = program.run(
        """
        import sys, sitecustomize, varan
        assert sys.from_user and sitecustomize.MARK == 5
        with varan.span("started"):
            pass
        """
    )
    assert done.stderr == "" and [s.name for s in collector.spans] == ["started"]


def test_users_broken_sitecustomize(program: Program, collector: Collector) -> None:
    own = program.folder / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("1/0\n")
    program.env["PYTHONPATH"] += os.pathsep + str(own)
    done = program.run("import varan\nwith varan.span('started'): pass")
    assert "ZeroDivisionError" in done.stderr and len(collector.spans) == 1


def test_without_the_extension(program: Program, tmp_path: Path) -> None:
    """Another interpreter's build: the program runs, one line on stderr, the API accepts everything."""
    package = tmp_path / "copy" / "varan"
    shutil.copytree(
        os.path.dirname(varan.__file__),
        package,
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    # The copy before an installed one, which has the extension.
    program.env["PYTHONPATH"] = os.pathsep.join([str(package / "bootstrap"), str(package.parent)])
    done = program.run(
        """
        import varan
        assert "copy" in varan.__file__, varan.__file__
        @varan.span("deco", a=1)
        def f():
            return 3
        with varan.span("x", k=1) as s:
            s.set("a", 1); s.add_event("e"); s.set_status("error"); s.record_exception(ValueError())
            assert f() == 3 and varan.current_span() is None
        assert varan.flush() and varan.stats() == {} and not varan.start()
        """
    )
    assert done.stderr.count("\n") == 1 and "the agent is off" in done.stderr


def test_isolated_sitecustomize_without_package(program: Program) -> None:
    """The package is not installed: it is found beside sitecustomize.py."""
    program.env["PYTHONPATH"] = varan.bootstrap_path()
    done = program.run("import varan; print(varan.stats()['spans_finished'])")
    assert done.stdout == "0\n"


@pytest.mark.parametrize("name", ["VARAN_DISABLED", "OTEL_SDK_DISABLED"])
def test_disabled(program: Program, collector: Collector, name: str) -> None:
    program.run(
        "import varan\nwith varan.span('x') as s: assert not s.is_recording()", **{name: "true"}
    )
    assert collector.requests == []


def test_bad_environment_is_named_once(program: Program, collector: Collector) -> None:
    done = program.run(
        "import varan\nwith varan.span('x'): pass",
        OTEL_TRACES_SAMPLER="sometimes", VARAN_INTERVAL_MS="soon", OTEL_SPAN_EVENT_COUNT_LIMIT="-5",
    )  # fmt: skip
    assert len(done.stderr.splitlines()) == 3
    for name in ("OTEL_TRACES_SAMPLER", "VARAN_INTERVAL_MS", "OTEL_SPAN_EVENT_COUNT_LIMIT"):
        assert name in done.stderr
    assert len(collector.spans) == 1


def test_resource(program: Program, collector: Collector) -> None:
    program.run(
        "import varan\nwith varan.span('x'): pass",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=t%20est,service.version=1.2,bad", VARAN_SERVICE="",
        OTEL_SERVICE_NAME="named",
    )  # fmt: skip
    found = collector.spans[0].resource
    assert found["service.name"] == "named" and found["service.version"] == "1.2"
    assert found["deployment.environment.name"] == "t est"
    assert (
        found["telemetry.sdk.language"] == "python" and found["process.runtime.name"] == "cpython"
    )
    assert found["process.command_args"][1].endswith("program.py") and isinstance(
        found["process.pid"], int
    )
    assert (
        len(found["service.instance.id"]) == 36
        and found["host.name"]
        and found["os.type"] == "linux"
    )


CONTAINER = "3f2a" * 16


@pytest.mark.parametrize(
    "file, line, wanted",
    [
        ("cgroup", f"12:cpu,cpuacct:/docker/{CONTAINER}", CONTAINER),
        ("cgroup", f"1:name=systemd:/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope", CONTAINER),
        ("cgroup", f"1:name=systemd:/kubepods/besteffort/pod5/{CONTAINER}", CONTAINER),
        ("mountinfo", f"8 7 254:1 /var/lib/docker/containers/{CONTAINER}/hostname /etc/hostname rw - ext4 /dev/a rw", CONTAINER),
        ("cgroup", "0::/user.slice/session-2.scope", ""), ("cgroup", "0::/", ""), ("other", "", ""),
    ],
)  # fmt: skip
def test_container(tmp_path: Path, file: str, line: str, wanted: str) -> None:
    (tmp_path / file).write_text(line + "\n")
    assert resource._container_id(str(tmp_path)) == wanted


def test_pod(program: Program, collector: Collector) -> None:
    program.run(
        "import varan\nwith varan.span('s'): pass", HOSTNAME="shop-5c", KUBERNETES_SERVICE_HOST="10.0.0.1",
        POD_NAMESPACE="sales", K8S_POD_UID="u-1", NODE_NAME="node-7", K8S_DEPLOYMENT_NAME="shop", CONTAINER_NAME="web",
    )  # fmt: skip
    (span,) = collector.wait(lambda: collector.named("s"))
    assert {k: v for k, v in span.resource.items() if k.startswith("k8s.")} == {
        "k8s.namespace.name": "sales", "k8s.pod.name": "shop-5c", "k8s.pod.uid": "u-1", "k8s.node.name": "node-7",
        "k8s.deployment.name": "shop", "k8s.container.name": "web",
    }  # fmt: skip


@pytest.mark.parametrize(
    "words, wanted",
    [
        ("python shop.py", "shop"), ("python -m shop.cli --x", "shop.cli"), ("python -W ignore -u /srv/orders.py", "orders"),
        ("python /usr/bin/gunicorn -w 2 shop.web:app", "shop"), ("python -m uvicorn --port 80 api:create_app()", "api"),
        ("python -m flask --app shop run", "shop"), ("python /srv/billing/app.py", "billing"),
        ("python /venv/bin/celery -A tasks worker", "tasks"), ("python -m hypercorn -b 0.0.0.0:80 web:app", "web"),
        ("python gunicorn -w 2 shop.wsgi", "shop"), ("python gunicorn shop.wsgi -k uvicorn.workers.UvicornWorker", "shop"),
        ("python gunicorn -k gevent -w 2 shop", "shop"), ("python gunicorn -k gevent shop.wsgi", "shop"),
        ("python /srv/shop/manage.py runserver", "shop"),
    ],
)  # fmt: skip
def test_service_name(words: str, wanted: str) -> None:
    assert resource.guess_service(words.split()) == wanted


@pytest.mark.parametrize(
    "url, wanted",
    [
        ("http://h:1", ("h", "1", "", "/v1/x")), ("http://h", ("h", "80", "", "/v1/x")),
        ("http://[::1]:4318/a/", ("::1", "4318", "", "/a/v1/x")), ("h:5", ("h", "5", "", "/v1/x")),
        ("http://u:p@h:1/b/c", ("h", "1", "", "/b/c/v1/x")), ("unix:/run/s", ("localhost", "80", "/run/s", "/v1/x")),
        ("unix:///run/s", ("localhost", "80", "/run/s", "/v1/x")),
        ("https://h", ("h", "443", "", "/v1/x")), ("ftp://h", None), ("http://", None), ("http://h:x", None), ("http://h:99999", None), ("unix:", None),
        ("http://h/a b", None), ("unix:/" + "x" * 200, None), ("http://h/a\r\nb", None),
    ],
)  # fmt: skip
def test_endpoint(url: str, wanted: object) -> None:
    if wanted is None:
        with pytest.raises(ValueError):
            config.parse_endpoint(url, "/v1/x")
    else:
        target = config.parse_endpoint(url, "/v1/x")
        assert tuple(target)[:4] == wanted and target.secure == url.startswith("https:")


@pytest.mark.parametrize(
    "sampler, arg, kept, of_sampled, of_unsampled",
    [
        ("always_on", "", 200, 1, 1), ("always_off", "", 0, 0, 0), ("parentbased_always_off", "", 0, 1, 0),
        ("parentbased_always_on", "", 200, 1, 0), ("traceidratio", "0", 0, 0, 0), ("traceidratio", "1", 200, 1, 1),
        ("parentbased_traceidratio", "0.5", None, 1, 0),
    ],
)  # fmt: skip
def test_sampling(
    program: Program,
    collector: Collector,
    sampler: str,
    arg: str,
    kept: int | None,
    of_sampled: int,
    of_unsampled: int,
) -> None:
    program.run(
        """
        import varan
        from varan import _core
        for i in range(200):
            with varan.span("root") as s:
                with varan.span("child") as c:
                    assert c.sampled == s.sampled and c.trace_id == s.trace_id
        for flags, name in (("01", "sampled"), ("00", "unsampled")):
            app = lambda environ, start_response: [start_response("200 OK", []) or b""]
            environ = {"REQUEST_METHOD": name, "HTTP_TRACEPARENT": f"00-{'4' * 31}7-{'5' * 16}-{flags}"}
            seen = []
            def application(environ, start_response):
                with varan.span(name):
                    seen.append(varan.current_span().traceparent())
                return []
            _core.run_wsgi(_core.Tracer("t"), application, environ, print)
            assert seen[0].startswith("00-" + "4" * 31 + "7-")
        """,
        OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=arg,
    )  # fmt: skip
    roots = collector.named("root")
    if kept is None:
        assert 50 < len(roots) < 150
    else:
        assert len(roots) == kept
    assert {s.trace_id for s in collector.named("child")} == {s.trace_id for s in roots}
    assert (len(collector.named("sampled")), len(collector.named("unsampled"))) == (
        of_sampled,
        of_unsampled,
    )


def test_start_up_time(program: Program) -> None:
    """The agent's part of a start; generous here, measured by the benchmark."""
    path = program.write("empty.py", "import time; print(time.process_time())")

    def cpu(env: dict[str, str]) -> float:
        runs = [
            subprocess.run([sys.executable, str(path)], env=env, capture_output=True, text=True)
            for _ in range(5)
        ]
        return min(float(run.stdout) for run in runs)

    bare = {k: v for k, v in program.env.items() if k != "PYTHONPATH"}
    assert cpu(program.env) - cpu(bare) < 0.15


def test_every_hook_is_documented() -> None:
    """A hook that a user cannot find is one that he cannot switch off."""
    from pathlib import Path

    from varan.hooks import HOOKS

    text = (Path(__file__).resolve().parents[2] / "docs" / "instrumentation.md").read_text()
    assert [hook for _, hook in HOOKS if f"`{hook}`" not in text] == []
