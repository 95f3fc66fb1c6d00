"""What the environment says, where the data would go, and whether anybody answers there."""

from __future__ import annotations

import os
from typing import Any

from .. import _report, config
from .report import BAD, GOOD, NOTE, Report

REACH_TIMEOUT_S = 3.0

# What the agent reads; the server's variables are not an application's business.
KNOWN = {
    "VARAN_BUFFER_BYTES", "VARAN_DEBUG", "VARAN_DISABLED", "VARAN_DISABLED_HOOKS", "VARAN_DJANGO_MIDDLEWARE",
    "VARAN_ENDPOINT", "VARAN_ENVIRONMENT", "VARAN_ERROR_HEADERS", "VARAN_EXCEPTION_LOCALS", "VARAN_EXIT_TIMEOUT_MS", "VARAN_INTERVAL_MS", "VARAN_LOG_CONSOLE", "VARAN_LOG_LEVEL",
    "VARAN_LOG_RATE", "VARAN_METRICS_HOST", "VARAN_METRICS_PORT", "VARAN_METRIC_INTERVAL_MS", "VARAN_METRIC_SERIES",
    "VARAN_PROFILER", "VARAN_PROFILER_HZ", "VARAN_PROFILE_SOURCE", "VARAN_RED", "VARAN_RUNTIME_METRICS", "VARAN_SERVICE",
    "VARAN_SERVICE_VERSION", "VARAN_TRACES",
}  # fmt: skip
OTHERS = {"VARAN_AGENT_DIR", "VARAN_SERVER"}  # read by the commands of `varan`
SECRET = ("HEADERS", "KEY", "TOKEN", "PASSWORD")
VALUE_CHARS_MAX = 80


def _connect(target: Any, certificate: str) -> Any:
    import http.client
    import socket

    if target.socket:
        connection = http.client.HTTPConnection("localhost", timeout=REACH_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(REACH_TIMEOUT_S)
        connection.sock.connect(target.socket)
        return connection
    if target.secure:
        import ssl

        context = ssl.create_default_context(cafile=certificate or None)
        return http.client.HTTPSConnection(
            target.host, int(target.port), timeout=REACH_TIMEOUT_S, context=context
        )
    return http.client.HTTPConnection(target.host, int(target.port), timeout=REACH_TIMEOUT_S)


def _reach(target: Any, headers: str, certificate: str) -> str:
    """Empty when a server takes OTLP there, else why not."""
    connection = None
    try:
        connection = _connect(target, certificate)
        fields = {"Content-Type": "application/x-protobuf", "Content-Length": "0"}
        for line in headers.splitlines():
            name, _, value = line.partition(": ")
            fields[name] = value
        connection.request("POST", target.path, b"", fields)
        status = connection.getresponse().status
        return "" if status == 200 else f"answers {status}"
    except Exception as error:
        text = str(getattr(error, "strerror", None) or error)
        return f"no answer ({text or type(error).__name__})"
    finally:
        if connection is not None:
            connection.close()


def _where(target: Any) -> str:
    if target.socket:
        return f"unix:{target.socket}"
    host = f"[{target.host}]" if ":" in target.host else target.host
    base = target.path.partition("/v1")[0]
    return f"http{'s' if target.secure else ''}://{host}:{target.port}{base}"


def _what_to_do(target: Any, trouble: str) -> str:
    if "401" in trouble or "403" in trouble:
        return "OTEL_EXPORTER_OTLP_HEADERS=authorization=… says who you are"
    if target.secure and "SSL" in trouble:
        return "does http:// answer there? OTEL_EXPORTER_OTLP_CERTIFICATE names the file of a CA of your own"
    if target.port == "4317":
        return "4317 is gRPC's port; OTLP over HTTP has 4318"
    if "answers" in trouble:
        return f"that server does not take OTLP at {target.path}; is it Varan's or a collector's OTLP port?"
    return "start a server (varan serve; varan dev -- CMD does by itself), or say where: VARAN_ENDPOINT=http://host:4318"


def _destinations(report: Report, settings: config.Settings) -> None:
    """One line for all signals that fare alike at the same place."""
    lines: dict[tuple[str, str], list[str]] = {}
    targets: dict[tuple[str, str], Any] = {}
    for i, name in enumerate(("traces", "logs", "metrics", "profiles")):
        target = getattr(settings, name)
        if target is None:
            report.add(NOTE, name, f"not sent: OTEL_{name.upper()}_EXPORTER is none")
        elif name == "profiles" and not settings.profiler[0]:
            report.add(NOTE, name, "not taken: VARAN_PROFILER is off")
        else:
            trouble = _reach(target, settings.headers[i], settings.files[i][0])
            key = (_where(target), trouble)
            lines.setdefault(key, []).append(name)
            targets[key] = target
    for (where, trouble), names in lines.items():
        if not trouble:
            report.add(GOOD, ", ".join(names), f"{where} takes them")
        elif names == ["profiles"] and "404" in trouble:
            report.add(NOTE, "profiles", f"{where} takes none (OTLP's profiles are young)")
        else:
            do = _what_to_do(targets[where, trouble], trouble)
            report.add(BAD, ", ".join(names), f"{where}: {trouble}", do)


def _shown(name: str, value: str) -> str:
    if any(part in name for part in SECRET):
        return "…"
    return value if len(value) <= VALUE_CHARS_MAX else value[:VALUE_CHARS_MAX] + "…"


def _variables(report: Report, troubles: dict[str, str]) -> None:
    import difflib

    report.part("Settings")
    for name in sorted(os.environ):
        if not name.startswith(("VARAN_", "OTEL_")) or name in OTHERS or name == "VARAN_DOCTOR":
            continue
        what = f"{name}={_shown(name, os.environ[name])}"
        trouble = troubles.pop(f"variable {name}", "")
        if trouble:
            report.add(
                BAD, what, trouble.partition(" is ")[2] and "is " + trouble.partition(" is ")[2]
            )
        elif name.startswith("VARAN_") and name not in KNOWN:
            near = difflib.get_close_matches(name, KNOWN, 1)
            hint = f"is {near[0]} meant?" if near else ""
            report.add(NOTE, what, "not a variable that the agent reads", hint)
        else:
            report.add(GOOD, what)
    for text in troubles.values():
        report.add(BAD, text)


def _gather(troubles: dict[str, str]) -> config.Settings:
    """The settings; what is said about bad ones goes to `troubles`, by key."""
    tell, _report.once = _report.once, lambda key, text: troubles.setdefault(key, text)  # type: ignore[assignment,misc]
    try:
        return config.read(os.environ)
    finally:
        _report.once = tell


def look(report: Report) -> config.Settings:
    troubles: dict[str, str] = {}
    settings = _gather(troubles)
    report.part("Where it goes")
    service = str(settings.resource.get("service.name", ""))
    told = any(os.environ.get(n) for n in ("VARAN_SERVICE", "OTEL_SERVICE_NAME"))
    told = told or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    report.add(
        GOOD,
        f"service {service}",
        "" if told else "guessed from the command; VARAN_SERVICE=… names it",
    )
    for name, key in (
        ("version", "service.version"),
        ("environment", "deployment.environment.name"),
    ):
        if settings.resource.get(key):
            report.add(GOOD, f"{name} {settings.resource[key]}")
    if settings.sampler[1] < 1:
        share = f"{settings.sampler[1] * 100:g} % of traces"
        report.add(NOTE, share, "OTEL_TRACES_SAMPLER; figures of endpoints stay whole")
    if settings.keep is not None:
        report.add(
            NOTE,
            "traces are chosen at their end",
            "VARAN_TRACES: errors, slow and rare ones are kept",
        )
    _destinations(report, settings)
    _variables(report, troubles)
    if settings.disabled:
        report.obstacle(
            "the agent is switched off", "VARAN_DISABLED or OTEL_SDK_DISABLED is set", "unset it"
        )
    return settings
