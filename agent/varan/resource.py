"""Who sends: the resource attributes of this process. service.instance.id and process.pid are added by the extension,
because they change in forked children."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from . import _core

# What start() has settled on.
current: dict[str, object] = {}

_LAUNCHERS = (
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "waitress-serve",
    "flask",
    "celery",
    "fastapi",
    "uwsgi",
    "daphne",
)

# What their options name, and flask's commands.
_NO_APPLICATIONS = (
    *_LAUNCHERS,
    "uvicorn_worker",
    "eventlet",
    "gevent",
    "run",
    "routes",
    "shell",
    "worker",
    "beat",
)


def command_line() -> list[str]:
    """The arguments the process was started with; sys.argv may not exist yet."""
    try:
        with open("/proc/self/cmdline", "rb") as f:
            return [part.decode(errors="replace") for part in f.read(65536).split(b"\0") if part]
    except OSError:
        return list(getattr(sys, "orig_argv", None) or getattr(sys, "argv", []))


def _clean(name: str) -> str:
    name = os.path.basename(name.rstrip("/"))
    return name[:-3] if name.endswith(".py") else name


def _application(words: list[str]) -> str:
    """The application among a launcher's arguments: module:app, --app module, -A module."""
    for i, word in enumerate(words):
        if word in ("--app", "-A") and i + 1 < len(words):
            return _clean(words[i + 1].partition(":")[0].split(".")[0])
        if word.startswith("--app="):
            return _clean(word[6:].partition(":")[0].split(".")[0])
    for word in words:
        module, colon, app = word.partition(":")
        names = [*module.split("."), app.partition("(")[0]]
        if colon and all(name.isidentifier() for name in names):
            return names[0]
    for word in words:
        if word.endswith(".py"):
            return _clean(word)
    for before, word in reversed(list(zip(["", *words], words))):  # a module alone: shop.wsgi
        names = word.split(".")
        says = len(names) > 1 or not before.startswith("-")
        if says and all(n.isidentifier() for n in names) and names[0] not in _NO_APPLICATIONS:
            return names[0]
    return os.environ.get("FLASK_APP", "").partition(":")[0].partition(".")[0]


def guess_service(words: list[str]) -> str:
    """A name for the service from its command line; the folder's name when nothing better is there."""
    rest = list(words[1:])
    program = ""
    while rest:
        word = rest.pop(0)
        if word == "-m" and rest:
            program = rest.pop(0)
            break
        if word == "-c":
            break
        if word in ("-W", "-X"):
            rest = rest[1:]
        elif not word.startswith("-"):
            program = word
            break
    name = _clean(program)
    if name in _LAUNCHERS or name.split(".")[0] in _LAUNCHERS:
        name = _application(rest) or ""
    if name in ("", "__main__", "manage", "app", "main", "wsgi", "asgi", "run", "server"):
        # Names that say nothing: the folder says more.
        folder = (
            os.path.dirname(os.path.abspath(program)) if program.endswith(".py") else os.getcwd()
        )
        name = os.path.basename(folder) or name
    return name or "python"


def _container_id(folder: str = "/proc/self") -> str:
    """From the control group's path (v1) or the mounts (v2); empty outside a container."""
    for path, mark in ((f"{folder}/cgroup", "/"), (f"{folder}/mountinfo", "/containers/")):
        try:
            with open(path) as f:
                lines = f.read(262144).splitlines()
        except OSError:
            continue
        for line in lines:
            if mark not in line:
                continue
            for part in line.replace(".scope", "").replace("-", "/").split("/"):
                if len(part) == 64 and all(c in "0123456789abcdef" for c in part):
                    return part
    return ""


def _first_line(path: str) -> str:
    try:
        with open(path) as f:
            return f.readline(512).strip()
    except (OSError, ValueError):
        return ""


def _kubernetes(env: Mapping[str, str]) -> dict[str, object]:
    """What a pod knows of itself: the service account's namespace, its host name, and what the downward API was asked to
    put into the environment under the usual names."""
    if "KUBERNETES_SERVICE_HOST" not in env:
        return {}
    found: dict[str, object] = {}
    for key, names in (
        ("k8s.namespace.name", ("K8S_NAMESPACE_NAME", "K8S_NAMESPACE", "POD_NAMESPACE")),
        ("k8s.pod.name", ("K8S_POD_NAME", "POD_NAME", "HOSTNAME")),
        ("k8s.pod.uid", ("K8S_POD_UID", "POD_UID")),
        ("k8s.node.name", ("K8S_NODE_NAME", "NODE_NAME")),
        ("k8s.container.name", ("K8S_CONTAINER_NAME", "CONTAINER_NAME")),
        ("k8s.deployment.name", ("K8S_DEPLOYMENT_NAME",)),
        ("k8s.cluster.name", ("K8S_CLUSTER_NAME",)),
    ):
        value = next((env[name] for name in names if env.get(name)), "")
        if value:
            found[key] = value
    if "k8s.namespace.name" not in found:
        namespace = _first_line("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
        if namespace:
            found["k8s.namespace.name"] = namespace
    return found


def _process(words: list[str]) -> dict[str, object]:
    found: dict[str, object] = {"process.executable.path": sys.executable or ""}
    found["process.executable.name"] = os.path.basename(sys.executable or "")
    if words:
        found["process.command"] = words[0]
    return {key: value for key, value in found.items() if value}


def _host_id() -> str:
    return _first_line("/etc/machine-id") or _first_line("/var/lib/dbus/machine-id")


def detect(
    env: Mapping[str, str], service: str | None, from_environment: list[tuple[str, str]]
) -> dict[str, object]:
    words = command_line()
    system = os.uname()
    found: dict[str, object] = {
        "telemetry.sdk.name": "varan",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": _core.version,
        "process.executable.path": sys.executable,
        "process.command_args": words[:32],
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": ".".join(map(str, sys.version_info[:3])),
        "host.name": system.nodename,
        "host.arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(system.machine, system.machine),
        "os.type": system.sysname.lower(),
        "os.version": system.release,
    }
    found.update(_process(words))
    host = _host_id()
    if host:
        found["host.id"] = host
    found["telemetry.distro.name"] = "varan"
    found["telemetry.distro.version"] = _core.version
    found.update(_kubernetes(env))
    container = _container_id()
    if container:
        found["container.id"] = container
    found.update(from_environment)
    version = env.get("VARAN_SERVICE_VERSION", "")
    if version:
        found["service.version"] = version
    environment = env.get("VARAN_ENVIRONMENT", "")
    if environment:
        found["deployment.environment.name"] = environment
    name = (
        service
        or env.get("VARAN_SERVICE")
        or env.get("OTEL_SERVICE_NAME")
        or found.get("service.name")
    )
    found["service.name"] = name or guess_service(words)
    return found


def library_folders() -> list[str]:
    """Folders whose files are not the application's own."""
    folders = [
        os.path.dirname(os.__file__) + os.sep,
        os.path.dirname(os.path.abspath(__file__)) + os.sep,
    ]
    folders.append(os.path.dirname(sys.executable) + os.sep)  # scripts such as gunicorn's
    return folders
