"""Profiles of a large service over days: how long every question takes that the page and `varan query profile` ask.

The tables are filled by statements of the engine, rows as ingest writes them: a window of each process every
WINDOW_S, requests of an endpoint with a few stacks each, threads beside them, CPU, wall and GIL wait, two releases and
a canary.

Used by bench_profile.py; alone: .venv/bin/python tests/bench/profile_days.py [large|long|quick] [--keep DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import BUILD, ROOT, Results, Server, machine

WINDOW_S, ENDPOINTS = 15, 24
DAY_S, HOUR_S = 86400, 3600
SERVICE = "large"

ROW = f"""
SELECT number AS n, intDiv(n, {{rows}}) % {{processes}} AS p,
    {{first}} + intDiv(n, {{rows}} * {{processes}}) AS w,
    cityHash64(n, {{first}}) AS h, cityHash64(p, w, intDiv(n % {{rows}}, 5)) AS request,
    request % 10 < 7 AS serves,
    if(serves, toUInt64(floor({ENDPOINTS} * pow(request % 65521 / 65521, 2))), 100 + h % 8) AS place,
    toUInt64(floor(if(serves, 150, 40) * pow(intDiv(h, 65521) % 65521 / 65521, 3))) AS stack,
    intDiv(h, 3000000000) % 10 AS kind,
    w * {WINDOW_S} + p % {WINDOW_S} AS ts_s,
    multiIf(p % 20 = 19, '2.1-rc1', ts_s >= {{release}} + p * 20, '2.0.1', '2.0.0') AS v
FROM numbers_mt({{rows}} * {{processes}} * {{windows}})
"""

SAMPLES = f"""
INSERT INTO profile_samples SELECT toDateTime(ts_s, 'UTC'), '{SERVICE}', v,
    cityHash64('process', p, v), multiIf(kind < 4, 'cpu', kind < 9, 'wall', 'gil_wait'), 'nanoseconds',
    if(serves, concat('worker-', toString(intDiv(request, 1000) % 16)), concat('background-', toString(place - 100))),
    if(serves, concat('GET /endpoint/', toString(place)), ''),
    if(serves, reinterpretAsFixedString(toUInt128(request) * 18446744073709551557 + w), toFixedString('', 16)),
    if(serves, reinterpretAsFixedString(cityHash64(request, h % 3)), toFixedString('', 8)),
    cityHash64('stack', place, stack), 1 + (1 + h % 5) * if(kind < 9, 10000000, 300000)
FROM ({ROW})
"""

STACKS = f"""
INSERT INTO stacks SELECT toDate(arrayJoin({{days}})), cityHash64('stack', place, stack) AS id,
    arrayMap(f -> concat('function_', toString(f)), of) AS functions,
    arrayMap(f -> concat('/app/module_', toString(f % 90), '.py'), of), arrayMap(f -> toUInt32(1 + f % 400), line)
FROM (SELECT place, stack, 6 + cityHash64(place, stack) % 25 AS deep,
    arrayConcat(arrayMap(i -> cityHash64(place, stack, i) % 1500, range(deep)),
        arrayMap(i -> cityHash64(place % 6, i) % 1500, range(14))) AS of,
    arrayMap((f, i) -> if(i <= 2, f + stack % 7, f), of, arrayEnumerate(of)) AS line
FROM (SELECT if(number < {ENDPOINTS}, number, 76 + number) AS place FROM numbers({ENDPOINTS} + 8)) AS places,
    (SELECT number AS stack FROM numbers(150)) AS stacks
WHERE place < 100 OR stack < 40)
"""

RESOURCES = f"""
INSERT INTO resources SELECT cityHash64('process', p, v), '{SERVICE}', '', v, concat('instance-', toString(p), '-', v),
    '', map('process.pid', toString(1000 + p), 'host.name', concat('host-', toString(p % 8))), [1, 1],
    toDateTime(if(v = '2.0.1', {{release}} + p * 20, {{begin}}), 'UTC'), toDateTime({{end}}, 'UTC')
FROM (SELECT number AS p, arrayJoin(if(p % 20 = 19, ['2.1-rc1'], ['2.0.0', '2.0.1'])) AS v FROM numbers({{processes}}))
"""

SOURCES = f"""
INSERT INTO profile_sources SELECT toDate(arrayJoin({{days}})), '{SERVICE}', '2.0.1',
    concat('/app/module_', toString(f % 90), '.py'), concat('function_', toString(f)), 1 + f % 400,
    cityHash64(f), toDateTime({{end}}, 'UTC'), repeat(concat('    value = work(', toString(f), ')\n'), 20)
FROM (SELECT number AS f FROM numbers(1500))
"""

# What ingest writes beside each sample.
STEPS = (
    "INSERT INTO profile_steps SELECT toStartOfTenMinutes(ts), service, version, type, unit, thread, endpoint, "
    "stack_id, sum(value) FROM profile_samples WHERE {where} GROUP BY ALL"
)


def statements(processes: int, days: int, rows: int, end: int) -> list[str]:
    begin = end - days * DAY_S
    dates = [time.strftime("%Y-%m-%d", time.gmtime(begin + day * DAY_S)) for day in range(days + 1)]
    about = {"processes": processes, "rows": rows, "begin": begin, "end": end}
    about |= {"release": end - 10 * HOUR_S, "days": str(dates)}
    all_ = [one.format(**about) for one in (STACKS, RESOURCES, SOURCES)]
    # A day of many commits has been merged again and again, which makes the sums that are kept of it; here they come at
    # once. The server sets it back when it starts.
    for table in ("profile_samples", "profile_steps"):
        all_.append(f"ALTER TABLE {table} MODIFY SETTING materialize_projections_on_insert = 1")
    part_s = 250_000 * HOUR_S // (processes * rows * HOUR_S // WINDOW_S) * 8 // WINDOW_S * WINDOW_S
    for at in range(begin, end, part_s):
        to = min(at + part_s, end)
        first, windows = at // WINDOW_S, (to - at) // WINDOW_S
        all_.append(SAMPLES.format(first=first, windows=windows, **about))
        where = (
            f"ts >= toDateTime({first * WINDOW_S}) AND ts < toDateTime({to // WINDOW_S * WINDOW_S})"
        )
        all_.append(STEPS.format(where=where))
    return all_


class Service(Server):
    """A server with the days of one service."""

    def __init__(self, processes: int, days: int, rows: int, folder: Path):
        self.processes, self.days, self.rows = processes, days, rows
        kept = folder / "end"
        self.end = int(kept.read_text()) if kept.exists() else int(time.time()) // 60 * 60
        if not kept.exists():
            self.fill(folder)
            kept.write_text(str(self.end))
        super().__init__("--self-metrics=false", path=folder)
        end = time.monotonic() + 60
        while int(self.sql("SELECT count() FROM system.merges")[0][0]):
            if time.monotonic() > end:
                sys.exit("the server did not become ready")
            time.sleep(0.2)

    def fill(self, folder: Path) -> None:
        began = time.monotonic()
        script = ";\n".join(statements(self.processes, self.days, self.rows, self.end))
        subprocess.run(
            [str(BUILD / "tests/bench/run_sql"), str(folder / "data")],
            input=script.encode(),
            check=True,
            env={**os.environ, "VARAN_ENGINE_LIB": str(BUILD / "libchdb.so")},
        )
        samples = self.processes * self.days * DAY_S // WINDOW_S * self.rows
        print(
            f"  ({samples} samples: {self.processes} processes, {self.days} days, a window of {self.rows} each "
            f"{WINDOW_S} s; filled in {time.monotonic() - began:.0f} s)",
            flush=True,
        )

    def a_trace(self, at: int) -> tuple[str, str]:
        """A trace and one of its spans with profiles of that moment."""
        return tuple(
            self.sql(
                "SELECT lower(hex(trace_id)), lower(hex(span_id)) FROM profile_samples "
                f"WHERE ts >= toDateTime({at}) AND ts < toDateTime({at + 60}) AND type = 'cpu' AND endpoint != '' "
                f"AND service = '{SERVICE}' LIMIT 1"
            )[0]
        )


# ---- Questions ----


def questions(service: Service, span: int) -> list[tuple[str, str, dict]]:
    """What is asked of the last `span` seconds: words, path, parameters."""
    end, begin = service.end, service.end - span
    middle = end - span // 2
    halves = {"from": middle, "base_from": begin, "base_to": middle}
    release = {
        "version": "2.0.1",
        "base_version": "2.0.0",
        "from": service.end - 20 * HOUR_S if span >= DAY_S else begin,
    }
    one = max(
        json.loads(service.profiles("summary", service=SERVICE, **{"from": begin, "to": end}))[
            "processes"
        ],
        key=lambda p: p["sum"],
    )["value"]
    trace, span_id = service.a_trace(middle)
    function = "function_7"
    return [
        ("what there is, with processes", "summary", {}),
        ("flame graph", "flame", {}),
        ("flame graph by lines", "flame", {"lines": 1}),
        ("flame graph, wall time", "flame", {"type": "wall"}),
        ("flame graph, one endpoint", "flame", {"endpoint": "GET /endpoint/3"}),
        ("flame graph, one thread", "flame", {"thread": "worker-3"}),
        ("flame graph, one version", "flame", {"version": "2.0.1"}),
        ("flame graph, one process", "flame", {"process": one}),
        ("flame graph, two halves compared", "flame", halves),
        ("flame graph, two releases compared", "flame", release),
        ("flame graph of one trace", "flame", {"trace_id": trace}),
        ("flame graph of one span", "flame", {"trace_id": trace, "span_id": span_id}),
        ("sums of a trace's spans", "trace", {"trace_id": trace}),
        ("functions", "table", {}),
        ("lines", "table", {"lines": 1}),
        ("functions, one process", "table", {"process": one}),
        ("functions, two halves compared", "table", halves),
        ("callers and callees", "function", {"function": function}),
        ("callers and callees, two releases", "function", {"function": function, **release}),
        ("lines of a file", "source", {"file": "/app/module_7.py"}),
        *(
            (f"rates by {by}", "series", {"by": by})
            for by in ("type", "version", "endpoint", "thread")
        ),
        ("rates of all services", "series", {"service": None, "by": "service"}),
        ("a pprof file", "flame", {"format": "pprof"}),
    ]


def ask(service: Service, span: int, rounds: int, results: Results) -> None:
    about = {"service": SERVICE, "from": service.end - span, "to": service.end}
    name = f"{span // DAY_S} d" if span > DAY_S else f"{span // HOUR_S} h"
    name += f" of {service.processes} processes"
    medians, slowest = [], (0.0, "")
    for what, path, more in questions(service, span):
        asked = {k: v for k, v in {**about, **more}.items() if v is not None}
        service.profiles(path, **asked)
        times, cpu = [], service.cpu_seconds()
        for _ in range(rounds):
            began = time.perf_counter()
            service.profiles(path, **asked)
            times.append(1e3 * (time.perf_counter() - began))
        cpu = 1e3 * (service.cpu_seconds() - cpu) / rounds
        medians.append(statistics.median(times))
        slowest = max(slowest, (medians[-1], what))
        results.add(f"{what}: {name}", round(medians[-1], 1), "ms")
        print(f"      (CPU {cpu:.0f} ms, slowest of {rounds}: {max(times):.0f} ms)", flush=True)
    results.add(f"all questions: {name}", round(statistics.median(medians), 1), "ms")
    results.add(f"slowest question ({slowest[1]}): {name}", round(slowest[0], 1), "ms")


# Processes, days, rows of a window, and what is asked of them.
LARGE = (100, 1, 60, (HOUR_S, DAY_S))
LONG = (20, 7, 30, (DAY_S, 7 * DAY_S))
QUICK = (4, 1, 10, (HOUR_S, DAY_S))


def measure(results: Results, size: tuple, rounds: int, keep: str | None = None) -> None:
    processes, days, rows, spans = size
    folder = Path(keep or tempfile.mkdtemp(prefix="varan-bench-"))
    folder.mkdir(exist_ok=True, parents=True)
    try:
        service = Service(processes, days, rows, folder)
        try:
            for span in spans:
                ask(service, span, rounds, results)
        finally:
            service.stop()
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("size", nargs="?", default="quick", choices=("large", "long", "quick"))
    parser.add_argument("--keep", metavar="DIR", help="fill this folder, or ask what is in it")
    parser.add_argument("--rounds", type=int, default=5)
    os.chdir(ROOT)
    print(machine())
    options = parser.parse_args()
    sizes = {"large": LARGE, "long": LONG, "quick": QUICK}
    measure(Results("profile_days"), sizes[options.size], options.rounds, options.keep)
