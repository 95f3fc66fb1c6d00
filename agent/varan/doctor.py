"""What the agent would do in this program: `varan doctor -- CMD` starts CMD with VARAN_DOCTOR set, and the first Python
process in it reports here instead of running the application."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from typing import Any

from . import _core, config, contrib, imports
from .hooks import HOOKS

GOOD, NOTE, BAD = "ok", "note", "bad"
MARKS = {GOOD: "✓", NOTE: "·", BAD: "✗"}
END = b"\0"  # what the reader waits for: other processes may hold the pipe open

# Part of Python itself: always there.
STANDARD = {
    "logging",
    "threading",
    "concurrent",
    "multiprocessing",
    "subprocess",
    "asyncio",
    "sqlite3",
    "http",
}

# Module → package, where the names differ.
PACKAGES = {
    "MySQLdb": "mysqlclient", "kafka": "kafka-python", "grpc": "grpcio", "confluent_kafka": "confluent-kafka",
    "prometheus_client": "prometheus-client", "opentelemetry": "opentelemetry-api",
}  # fmt: skip

# Other agents, and what comes of both.
OTHERS = {
    "ddtrace": "patches the same libraries; start one of the two only (DD_TRACE_ENABLED=false)",
    "newrelic": "patches the same libraries; start one of the two only (NEW_RELIC_ENABLED=false)",
    "elasticapm": "patches the same libraries; start one of the two only (ELASTIC_APM_ENABLED=false)",
    "scout_apm": "patches the same libraries; start one of the two only (SCOUT_MONITOR=false)",
    "sentry_sdk": "works beside; its tracing costs again what the agent does (traces_sample_rate=0 spares it)",
}

# Libraries that people expect to see, which only OpenTelemetry's packages know.
ELSEWHERE = {
    "aiomysql": "aiomysql", "aiopg": "aiopg", "aio_pika": "aio-pika", "cassandra": "cassandra",
    "elasticsearch": "elasticsearch", "mysql": "mysql", "pymemcache": "pymemcache", "pymssql": "pymssql",
    "remoulade": "remoulade", "tortoise": "tortoiseorm", "peewee": "", "sanic": "", "litestar": "",
}  # fmt: skip


class Report:
    def __init__(self) -> None:
        self.parts: list[tuple[str, list[tuple[str, str, str]]]] = []

    def part(self, title: str) -> None:
        self.parts.append((title, []))

    def add(self, mark: str, what: str, why: str = "") -> None:
        self.parts[-1][1].append((mark, what, why))

    def text(self) -> str:
        lines = []
        for title, items in self.parts:
            lines.append(title)
            width = max((len(what) for _, what, why in items if why), default=0)
            for mark, what, why in items:
                lines.append(f"  {MARKS[mark]} {what:{width if why else 0}}  {why}".rstrip())
            lines.append("")
        return "\n".join(lines)

    def json(self) -> str:
        parts = {
            title: [{"state": mark, "what": what, "why": why} for mark, what, why in items]
            for title, items in self.parts
        }
        return json.dumps(parts, indent=2, ensure_ascii=False) + "\n"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        return False


def _version(module: str) -> str:
    from importlib import metadata

    for name in (PACKAGES.get(module, module), module.replace("_", "-")):
        try:
            return metadata.version(name)
        except Exception:
            continue
    return ""


def _interpreter(report: Report) -> None:
    report.part("Python")
    report.add(GOOD, f"{sys.implementation.name} {sys.version.split()[0]}", sys.executable)
    if _core.native:
        report.add(GOOD, "the agent's extension", os.path.dirname(os.path.abspath(__file__)))
    else:
        gil = getattr(sys, "_is_gil_enabled", None)
        why = "it does not load in this interpreter: nothing will be seen"
        if gil is not None and not gil():
            why = "free-threaded Python is not supported yet: nothing will be seen"
        report.add(BAD, "the agent's extension", why)
    site = sys.modules.get("sitecustomize")
    if site is not None and not hasattr(site, "_chain"):  # not the one that starts the agent
        report.add(GOOD, "sitecustomize of your own", f"{site.__file__} ran before the agent")


def _reach(target: Any) -> str:
    """Empty when a server takes OTLP there, else why not."""
    import http.client
    import socket

    connection: Any
    try:
        if target.socket:
            connection = http.client.HTTPConnection("localhost", timeout=3)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(3)
            connection.sock.connect(target.socket)
        elif target.secure:
            connection = http.client.HTTPSConnection(target.host, int(target.port), timeout=3)
        else:
            connection = http.client.HTTPConnection(target.host, int(target.port), timeout=3)
        connection.request(
            "POST",
            target.path,
            b"",
            {"Content-Type": "application/x-protobuf", "Content-Length": "0"},
        )
        status = connection.getresponse().status
        connection.close()
        return "" if status == 200 else f"answers {status} to OTLP"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _where(target: Any) -> str:
    if target.socket:
        return f"unix:{target.socket}{target.path}"
    return f"http{'s' if target.secure else ''}://{target.host}:{target.port}{target.path}"


def _settings(report: Report, settings: config.Settings) -> None:
    report.part("Settings")
    if settings.disabled:
        report.add(BAD, "the agent is switched off", "VARAN_DISABLED or OTEL_SDK_DISABLED is set")
    service = str(settings.resource.get("service.name", ""))
    told = any(os.environ.get(n) for n in ("VARAN_SERVICE", "OTEL_SERVICE_NAME"))
    report.add(GOOD, f"service {service}", "" if told else "guessed; VARAN_SERVICE says it")
    if settings.sampler[1] < 1:
        share = f"{settings.sampler[1] * 100:g} % of traces"
        report.add(NOTE, share, "OTEL_TRACES_SAMPLER; figures of endpoints stay whole")
    for name in ("traces", "logs", "metrics"):
        target = getattr(settings, name)
        if target is None:
            report.add(NOTE, name, "not sent: the exporter is none")
            continue
        trouble = _reach(target)
        report.add(BAD if trouble else GOOD, name, f"{_where(target)}  {trouble}".rstrip())


def _contrib_packages() -> dict[str, str]:
    return {
        name: value
        for folder in contrib._folders()
        for name, value in contrib._entry_points(folder)
    }


def _libraries(report: Report, settings: config.Settings) -> None:
    report.part("Libraries")
    seen: dict[str, set[str]] = {}
    for module, hook in HOOKS:
        seen.setdefault(module.split(".")[0], set()).add(hook)
    disabled = settings.disabled_hooks
    packages = _contrib_packages()
    for top, hooks in sorted(seen.items(), key=lambda pair: pair[0].lower()):
        if top in STANDARD or not _is_there(top):
            continue
        what = f"{top} {_version(top)}".rstrip()
        off = {h for h in hooks if h in disabled} or (
            hooks if top in disabled or "*" in disabled else set()
        )
        if off:
            report.add(
                NOTE, what, "off: VARAN_DISABLED_HOOKS or OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
            )
        else:
            report.add(GOOD, what)
    for module, package in sorted(ELSEWHERE.items()):
        if not _is_there(module):
            continue
        what = f"{module} {_version(module)}".rstrip()
        if package and package in packages:
            report.add(GOOD, what, f"by opentelemetry-instrumentation-{package}")
        elif package:
            report.add(
                NOTE,
                what,
                f"not seen; pip install opentelemetry-instrumentation-{package} is enough",
            )
        else:
            report.add(NOTE, what, "no spans of its own")
    if "*" not in disabled:
        report.add(
            GOOD,
            "Python itself",
            ", ".join(sorted(t for t in STANDARD & set(seen) if t not in disabled)),
        )


def _contrib(report: Report, settings: config.Settings) -> None:
    packages = _contrib_packages()
    available = frozenset(hook for _, hook in imports.HOOKS)
    if not packages:
        return
    report.part("OpenTelemetry's instrumentations")
    for name in sorted(packages):
        if name in contrib.NEVER:
            report.add(NOTE, name, "used by other instrumentations only")
        elif contrib.is_ours(name, available, settings.disabled_hooks):
            report.add(NOTE, name, "left off: the agent has its own, and spans would come twice")
        else:
            report.add(GOOD, name)


def _others(report: Report) -> None:
    found = [(name, why) for name, why in OTHERS.items() if _is_there(name)]
    if found:
        report.part("Other agents")
        for name, why in found:
            report.add(NOTE, f"{name} {_version(name)}".rstrip(), why)


def examine() -> Report:
    report = Report()
    settings = config.read(os.environ)
    _interpreter(report)
    _settings(report, settings)
    _libraries(report, settings)
    _contrib(report, settings)
    _others(report)
    return report


def run(how: str) -> None:
    """`how`: FORMAT:FD. Writes the report there and ends the process."""
    status = 0
    try:
        form, _, number = how.partition(":")
        report = examine()
        text = report.json() if form == "json" else report.text()
        data = text.encode("utf-8", "replace") + END
        fd = int(number)
        while data:
            data = data[os.write(fd, data) :]
    except Exception as error:
        sys.stderr.write(f"varan: the doctor fell ill: {type(error).__name__}: {error}\n")
        status = 1
    os._exit(status)
