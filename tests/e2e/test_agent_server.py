"""The agent's metrics and figures in a real server: names of prometheus_client as they are, and RED that stays true when
few spans are sent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import varan
from conftest import AGENT_ENDS_PATIENTLY, VARAN, Server, wait_until


def run_under_agent(server: Server, folder: Path, text: str, **env: str) -> str:
    path = folder / "program.py"
    path.write_text(textwrap.dedent(text))
    package = str(Path(varan.__file__).resolve().parent.parent)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "VARAN_", "PYTHON"))}
    kept["PYTHONPATH"] = os.pathsep.join([varan.bootstrap_path(), package])
    kept |= {"VARAN_ENDPOINT": server.otlp, **AGENT_ENDS_PATIENTLY}
    done = subprocess.run(
        [sys.executable, str(path)], env={**kept, **env}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sql(server: Server, query: str) -> list[dict]:
    done = subprocess.run(
        [str(VARAN), "sql", "--server", server.url, "--format", "JSONEachRow", query],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


PROMETHEUS = """
    import prometheus_client as p
    from prometheus_client.parser import text_string_to_metric_families as parse
    p.Counter("http_requests", "Requests.", ["path"]).labels("/a").inc(3)
    p.Counter("total_of_total", "Odd.").inc()
    p.Gauge("job:busy__workers", "Colons and underscores are kept.").set(2.5)
    p.Gauge("free_bytes_ratio", "Not to be renamed.").set(1)
    p.Histogram("latency_seconds", "Latency.", buckets=(0.1, 1)).observe(0.5)
    p.Summary("size_bytes", "Sizes.").observe(10)
    p.Info("build", "Build.").info({"version": "7"})
    import json, varan
    varan.flush()
    found = set()
    for family in parse(p.generate_latest().decode()):
        for s in family.samples:
            if "le" in s.labels:  # OTLP has numbers, not their texts
                s.labels["le"] = s.labels["le"].removesuffix(".0")
            found.add(json.dumps([s.name, s.labels], sort_keys=True))
    print(json.dumps(sorted(found)))
"""


def test_prometheus_names_are_kept(server: Server, tmp_path: Path) -> None:
    wanted = set(json.loads(run_under_agent(server, tmp_path, PROMETHEUS, VARAN_SERVICE="names")))

    def stored() -> set[str]:
        rows = sql(server, "SELECT metric, labels FROM series WHERE labels['job'] = 'names'")
        found = set()
        for row in rows:
            labels = {k: v for k, v in row["labels"].items() if k not in ("job", "instance")}
            found.add(json.dumps([row["metric"], labels], sort_keys=True))
        return found

    wait_until(lambda: wanted <= stored(), 60, "the series that prometheus_client tells of")
    extra = {json.loads(s)[0] for s in stored() - wanted}
    # The agent's own, and what a resource is.
    own = ("process_", "cpython_", "varan_", "target_info")
    assert {name for name in extra if not name.startswith(own)} == set()


def test_rates_stay_true_when_few_spans_are_sent(server: Server, tmp_path: Path) -> None:
    run_under_agent(
        server,
        tmp_path,
        """
        import varan
        for i in range(1000):
            try:
                with varan.span("request"):
                    if i % 4 == 0:
                        raise ValueError("bad")
            except ValueError:
                pass
        """,
        VARAN_SERVICE="sampled",
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.1",
    )
    query = "SELECT sum(count) n, sumIf(count, status = 2) e FROM red WHERE service = 'sampled'"
    wait_until(
        lambda: [int(r["n"]) for r in sql(server, query)] == [1000], 60, "a count of 1000 requests"
    )
    assert int(sql(server, query)[0]["e"]) == 250
    # A hundred, and what chance does to it.
    kept = "SELECT count() n FROM spans WHERE service = 'sampled'"
    wait_until(
        lambda: 40 < int(sql(server, kept)[0]["n"]) < 170, 60, "a tenth of the spans being kept"
    )
