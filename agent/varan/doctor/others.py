"""Other agents in the same program, and what comes of both."""

from __future__ import annotations

import importlib.util
import os

from .libraries import is_active, version_of
from .report import BAD, NOTE, Report

PATCHERS = {
    "ddtrace": "DD_TRACE_ENABLED=false",
    "newrelic": "NEW_RELIC_ENABLED=false",
    "elasticapm": "ELASTIC_APM_ENABLED=false",
    "scout_apm": "SCOUT_MONITOR=false",
    "appsignal": "APPSIGNAL_ACTIVE=false",
    "instana": "AUTOWRAPT_BOOTSTRAP=",
}
BESIDE = {
    "sentry_sdk": ("works beside; its tracing costs again what the agent does", "traces_sample_rate=0 in sentry_sdk.init()"),
    "pyroscope": ("works beside; profiles are taken twice", "VARAN_PROFILER=off, or leave it out"),
}  # fmt: skip


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        return False


def _opentelemetry(report: Report) -> None:
    provider = os.environ.get("OTEL_PYTHON_TRACER_PROVIDER", "")
    if provider not in ("", "varan"):
        report.add(
            BAD, f"OTEL_PYTHON_TRACER_PROVIDER={provider}", "the application's own spans go to that provider",
            "unset it, or set it to varan",
        )  # fmt: skip
    if _is_there("opentelemetry.sdk"):
        report.add(
            NOTE, f"opentelemetry-sdk {version_of('opentelemetry-sdk')}",
            "not needed; an application that sets a TracerProvider of its own keeps it, and its spans go where that sends",
            "leave set_tracer_provider() out, or let its exporter send here (OTEL_EXPORTER_OTLP_ENDPOINT)",
        )  # fmt: skip


def look(report: Report) -> None:
    report.part("Other agents")
    for name, switch in PATCHERS.items():
        if not _is_there(name):
            continue
        what = f"{name} {version_of(name)}".rstrip()
        if is_active(name):
            why = "starts in this program, too, and patches the same libraries: both cost, and spans nest oddly"
            report.add(BAD, what, why, f"start one of the two only ({switch})")
        else:
            report.add(NOTE, what, "installed, not started by this command")
    for name, (why, do) in BESIDE.items():
        if _is_there(name):
            report.add(NOTE, f"{name} {version_of(name)}".rstrip(), why, do)
    _opentelemetry(report)
