"""OpenTelemetry's contrib instrumentations on Varan make the spans and metrics that they make on OpenTelemetry's own SDK:
the same programs once on each, compared attribute by attribute. One process per SDK runs them all, one after another;
what is whose is told by the time."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from collector import Collector
from contrib_programs import PROGRAMS

from conftest import Program
from varan.hooks import HOOKS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / ".cache" / "contrib"  # beside .venv, or other tests would find them switched on

# Runs the programs; the last line: when each began and ended, and on the stock SDK what it kept.
FRAME = """
import json, os, sys, time
stock = os.environ.get("STOCK") == "1"
if stock:
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    memory, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))

import http.server, threading, traceback
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:4]))
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")
    do_HEAD = do_POST = do_GET
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_address[1]}"

from contrib_programs import PROGRAMS
times, failed = {}, {}
for name in sys.argv[1:]:
    instrumentors = []
    def instrument(kind, **options):
        instrumentors.append(kind())
        instrumentors[-1].instrument(skip_dep_check=True, **options)  # versions newer than it has heard of
    begin = time.time_ns()
    try:
        exec(compile(PROGRAMS[name], name, "exec"), {"URL": URL, "instrument": instrument, "os": os, "sys": sys, "__name__": name})
    except BaseException:
        failed[name] = traceback.format_exc()
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    times[name] = [begin, time.time_ns()]

def attributes(a):
    return {k: list(v) if isinstance(v, tuple) else v for k, v in (a or {}).items()}
spans, points = [], []
if stock:
    from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
    spans = [{
        "name": s.name, "kind": s.kind.value + 1, "id": f"{s.context.span_id:016x}", "start": s.start_time,
        "parent": f"{s.parent.span_id:016x}" if s.parent else "", "status": s.status.status_code.value,
        "message": s.status.description or "", "attributes": attributes(s.attributes),
        "events": [[e.name, attributes(e.attributes)] for e in s.events], "links": len(s.links),
        "scope": [s.instrumentation_scope.name, s.instrumentation_scope.version],
    } for s in memory.get_finished_spans()]
    data = reader.get_metrics_data()
    for scope in (s for r in data.resource_metrics for s in r.scope_metrics) if data else ():
        for m in scope.metrics:
            kind = {Sum: "sum", Gauge: "gauge", Histogram: "histogram"}[type(m.data)]
            points += [{
                "name": m.name, "unit": m.unit, "description": m.description, "kind": kind, "scope": scope.scope.name,
                "monotonic": getattr(m.data, "is_monotonic", False), "attributes": attributes(p.attributes),
                "value": p.count if kind == "histogram" else p.value,
                "bounds": list(p.explicit_bounds) if kind == "histogram" else [],
            } for p in m.data.data_points]
print(json.dumps({"times": times, "failed": failed, "spans": spans, "points": points}))
"""

# What differs between two runs of one program: ids, ports, times, where the stack was.
VARYING = {
    "net.peer.port", "server.port", "net.host.port", "client.port", "exception.stacktrace", "messaging.message.id",
    "messaging.message_id", "celery.hostname", "messaging.conversation_id", "thread.id", "celery.reply_to", "rpc.grpc.port",
    "process.pid",
}  # fmt: skip

# What Varan adds (the class of the exception that ends a span, its details), and what the conventions have given up.
ADDED = {"error.type", "varan.exception.detail", "exception.escaped"}


def plain(text: str) -> str:
    text = re.sub(r"0x[0-9a-f]+", "0x…", re.sub(r":\d{4,5}\b", ":PORT", text))
    return re.sub(r"\b[0-9a-f]{32}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)


def settle(attributes: dict[str, Any]) -> dict[str, Any]:
    found = {k: plain(v) if isinstance(v, str) else v for k, v in attributes.items()}
    kept = {k: v for k, v in found.items() if v is not None and k not in ADDED}
    return {k: "…" if k in VARYING else v for k, v in kept.items()}


def comparable_spans(spans: list[dict[str, Any]], begin: int, end: int) -> list[str]:
    names = {s["id"]: s["name"] for s in spans}
    out = [
        {
            **{k: s[k] for k in ("name", "kind", "status", "links", "scope")},
            # the class with its module, or without
            "message": re.sub(r"^[\w.]+\.(?=\w+: )", "", plain(s["message"])),
            "parent": names.get(s["parent"], "remote" if s["parent"] else ""),
            "attributes": settle(s["attributes"]),
            "events": [[name, settle(attributes)] for name, attributes in s["events"]],
        }
        for s in spans
        if begin <= s["start"] <= end
    ]
    return sorted(json.dumps(s, sort_keys=True, indent=1, default=str) for s in out)


def comparable_points(points: list[dict[str, Any]]) -> list[str]:
    # Sums of what was measured (bytes, seconds still running) are the runs' own; how often is not.
    out = [{**p, "attributes": settle(p["attributes"])} for p in points]
    return sorted(json.dumps(p, sort_keys=True, indent=1, default=str) for p in out)


def ours_of(collector: Collector) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    spans = [
        {
            "name": s.name, "kind": s.kind, "id": s.span_id, "parent": s.parent_id, "message": s.message,
            "start": s.raw.start_time_unix_nano,
            # OTLP's numbers of the status are those of the API
            "status": s.status, "attributes": s.attributes, "events": [list(e) for e in s.events],
            "links": len(s.raw.links), "scope": [s.scope, s.scope_version],
        }
        for s in collector.spans
    ]  # fmt: skip
    latest: dict[str, dict[str, Any]] = {}
    for p in collector.points:
        if p.scope.startswith("varan") or not p.scope:
            continue
        histogram = p.kind == "histogram"
        latest[f"{p.scope} {p.name} {sorted(p.attributes.items(), key=str)}"] = {
            "name": p.name, "unit": p.unit, "description": p.description, "kind": p.kind, "scope": p.scope,
            "monotonic": p.monotonic, "attributes": p.attributes, "value": p.raw.count if histogram else p.value,
            "bounds": list(p.raw.explicit_bounds) if histogram else [],
        }  # fmt: skip
    return spans, list(latest.values())


def difference(what: str, stock: list[str], ours: list[str]) -> str:
    lines = difflib.unified_diff(
        *("\n".join(x).splitlines() for x in (stock, ours)), f"{what}, stock", f"{what}, varan", n=4, lineterm=""
    )  # fmt: skip
    return "\n".join(lines)


@pytest.mark.timeout(600)  # all the packages, twice
def test_same_spans_and_metrics(program: Program, collector: Collector) -> None:
    assert PACKAGES.is_dir(), "OpenTelemetry's contrib packages are missing: tools/setup --test"
    path = program.write("frame.py", FRAME)
    command = [sys.executable, str(path), *PROGRAMS]
    hooks, package = program.env["PYTHONPATH"].split(":")
    beside = f"{Path(__file__).parent}:{PACKAGES}"
    off = {name for _, name in HOOKS} - {"otel"}
    # Programs switch their own package on.
    contrib = {name.replace("_", "-") for name in PROGRAMS} | {"grpc_client", "grpc_server", "system_metrics"}  # fmt: skip
    environments = (
        {**program.env, "STOCK": "1", "PYTHONPATH": f"{package}:{beside}"},
        {
            **program.env,
            "PYTHONPATH": f"{hooks}:{package}:{beside}",
            "VARAN_DISABLED_HOOKS": ",".join(off),
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(contrib | set(PROGRAMS)),
        },
    )
    with open(program.folder / "errors.txt", "w") as errors:
        runs = [
            subprocess.Popen(
                command,
                env=env,
                cwd=program.folder,
                text=True,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            for env in environments
        ]
    stock, ours = [
        json.loads(process.communicate(timeout=480)[0].splitlines()[-1]) for process in runs
    ]
    assert not stock["failed"] and not ours["failed"], stock["failed"] or ours["failed"]
    ours["spans"], ours["points"] = ours_of(collector)
    differences = []
    for name in PROGRAMS:
        found = [comparable_spans(run["spans"], *run["times"][name]) for run in (stock, ours)]
        assert found[0], f"{name} makes no spans"
        differences.append(difference(name, *found))
    points = [comparable_points(run["points"]) for run in (stock, ours)]
    assert len(points[0]) >= 15
    differences.append(difference("metrics", *points))
    assert not any(differences), "\n".join(d for d in differences if d)
