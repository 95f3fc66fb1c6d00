"""Series for comparing with Prometheus: what a fleet sends in two hours, with everything that goes wrong.

Times lie on a grid of 15 s, moved per series. Begun at .013 s of a second they are never at .777 nor at .000: queries
ask at .777 and subqueries step over whole seconds, so that whether a window includes its left edge (Prometheus 2
does, 3 does not) cannot matter.
"""

from __future__ import annotations

import math
import random

from remote_write import STALE_BYTES, Native, Series

STEP_MS = 15_000
STEPS = 480  # two hours


def build(start_ms: int) -> list[Series]:
    chance = random.Random(42)
    return [
        *_requests(start_ms, chance),
        *_levels(start_ms, chance),
        *_histograms(start_ms, chance),
        *_odd(start_ms, chance),
        *_native(start_ms, chance),
    ]


def _times(start_ms: int, offset_ms: int, chance: random.Random, jitter_ms: int = 0):
    return [start_ms + offset_ms + i * STEP_MS + chance.randint(0, jitter_ms) for i in range(STEPS)]


def _requests(start_ms: int, chance: random.Random) -> list[Series]:
    """Counters: restarts (resets), a gap with and without a stale marker, late and early ends."""
    made = []
    for n, (job, instance) in enumerate(
        [("api", "a:80"), ("api", "b:80"), ("web", "a:81"), ("web", "b:81")]
    ):
        times = _times(start_ms, n * 3000, chance, jitter_ms=400)
        for route in ("/", "/search", "/checkout/“42”"):
            for status in ("200", "404", "500"):
                labels = {"job": job, "instance": instance, "route": route, "status": status}
                series = Series({"__name__": "http_requests_total", **labels, "env": "prod"})
                value = float(chance.randint(1000, 100_000))
                for i, time in enumerate(times):
                    value += chance.randint(0, 40 if status == "200" else 3)
                    if instance == "b:80" and i in (120, 300):  # a restart
                        value = float(chance.randint(0, 5))
                    if instance == "a:81" and 200 <= i < 280:  # down: marked, then nothing
                        if i == 200:
                            series.samples.append((time, STALE_BYTES))
                        continue
                    if instance == "b:81" and 150 <= i < 190:  # a gap without a marker
                        continue
                    if route == "/search" and status == "404" and i < 240:  # starts late
                        continue
                    if route == "/" and status == "500" and i > 330:  # ends, unmarked
                        continue
                    series.samples.append((time, value))
                    if i % 16 == 0 and status == "200":
                        trace = {"trace_id": f"{chance.getrandbits(128):032x}"}
                        series.exemplars.append((time, chance.random(), trace))
                made.append(series)
    return made


def _levels(start_ms: int, chance: random.Random) -> list[Series]:
    made = []
    for n, room in enumerate(("hall", "attic", "cellar", "roof", "garage")):
        times = _times(start_ms, n * 1100, chance, jitter_ms=300)
        series = Series({"__name__": "temperature_celsius", "room": room, "floor": str(n // 2)})
        series.samples = [
            (time, 12 - 9 * n + 8 * math.sin(i / 37 + n) + chance.gauss(0, 0.4))
            for i, time in enumerate(times)
        ]
        made.append(series)
    for n, instance in enumerate(("a:80", "b:80")):
        for area in ("heap", "stack"):
            times = _times(start_ms, n * 3000, chance, jitter_ms=400)
            labels = {"job": "api", "instance": instance, "area": area}
            series = Series({"__name__": "memory_bytes", **labels})
            series.samples = [
                (time, float(2**28 + (i % 97) * 2**20 + n * 2**24)) for i, time in enumerate(times)
            ]
            made.append(series)
            limit = Series({"__name__": "memory_limit_bytes", "job": "api", "instance": instance})
        limit.samples = [(time, float(2**30)) for time in _times(start_ms, n * 3000, chance)]
        made.append(limit)
        up = Series({"__name__": "up", "job": "api", "instance": instance})
        up.samples = [
            (time, float(not (n == 1 and 100 <= i < 130)))
            for i, time in enumerate(_times(start_ms, n * 3000, chance))
        ]
        made.append(up)
        for version, first, last in (("1.0", 0, 239), ("1.1", 240, STEPS)):
            labels = {"job": "api", "instance": instance, "version": version}
            info = Series({"__name__": "build_info", **labels})
            times = _times(start_ms, n * 3000, chance)
            info.samples = [(time, 1.0) for time in times[first:last]]
            if last < STEPS:
                info.samples.append((times[last], STALE_BYTES))
            made.append(info)
    return made


BOUNDS = ("0.005", "0.01", "0.05", "0.1", "0.5", "1", "2.5", "+Inf")


def _histograms(start_ms: int, chance: random.Random) -> list[Series]:
    made = []
    for n, instance in enumerate(("a:80", "b:80", "c:80")):
        times = _times(start_ms, n * 2500, chance, jitter_ms=200)
        labels = {"job": "api", "instance": instance}
        name = "rpc_duration_seconds"
        buckets = [
            Series({"__name__": f"{name}_bucket", **labels, "le": bound}) for bound in BOUNDS
        ]
        total = Series({"__name__": f"{name}_count", **labels})
        summed = Series({"__name__": f"{name}_sum", **labels})
        counts, amount = [500.0 * (k + 1) for k in range(len(BOUNDS))], 900.0
        for i, time in enumerate(times):
            if n == 1 and i == 250:
                counts, amount = [0.0] * len(BOUNDS), 0.0
            for _ in range(chance.randint(1, 12)):
                took = chance.lognormvariate(math.log(0.06 * (n + 1)), 0.9)
                amount += took
                for k, bound in enumerate(BOUNDS):
                    counts[k] += took <= float(bound)
            for bucket, count in zip(buckets, counts, strict=True):
                bucket.samples.append((time, count))
            total.samples.append((time, counts[-1]))
            summed.samples.append((time, amount))
        made += [*buckets, total, summed]
    for quantile in ("0", "0.5", "0.99", "1"):
        series = Series({"__name__": "gc_pause_seconds", "job": "api", "quantile": quantile})
        series.samples = [
            (time, float(quantile) * 0.01 + chance.random() * 0.001)
            for time in _times(start_ms, 500, chance)
        ]
        made.append(series)
    return made


def _odd(start_ms: int, chance: random.Random) -> list[Series]:
    """NaN, infinities, zeros, huge and tiny values, constant ones."""
    nan, inf = math.nan, math.inf
    kinds = {
        "nan": lambda i: nan if i % 5 == 0 else float(i % 11),
        "inf": lambda i: inf if i % 7 == 0 else float(i),
        "neginf": lambda i: -inf if i % 9 == 0 else -float(i),
        "zero": lambda _: 0.0,
        "negzero": lambda i: -0.0 if i % 2 else 0.0,
        "huge": lambda i: 1e300 * (1 + i % 3),
        "tiny": lambda i: 1e-300 * (1 + i % 3),
        "constant": lambda _: 42.0,
        "square": lambda i: float((i // 20) % 2),
        "allnan": lambda _: nan,
    }
    made = []
    for kind, value in kinds.items():
        series = Series({"__name__": "odd_value", "kind": kind})
        series.samples = [(t, value(i)) for i, t in enumerate(_times(start_ms, 900, chance))]
        made.append(series)
    sparse = Series({"__name__": "sparse_total", "job": "cron"})
    sparse.samples = [(start_ms + i * 240_000, 5000.0 + i * 3) for i in range(30)]
    once = Series({"__name__": "seen_once", "job": "cron"})
    once.samples = [(start_ms + 3_600_000, 7.0)]
    stamp = Series({"__name__": "last_run_timestamp_seconds", "job": "cron"})
    stamp.samples = [(t, float(t // 1000 - 42)) for t in _times(start_ms, 100, chance)]
    return [*made, sparse, once, stamp]


def _native(start_ms: int, chance: random.Random) -> list[Series]:
    made = []
    for n, instance in enumerate(("a:80", "b:80")):
        labels = {"__name__": "rpc_native_seconds", "job": "api", "instance": instance}
        series = Series(labels)
        counts, amount, zeros = [10] * 12, 100.0, 3
        for i, time in enumerate(_times(start_ms, n * 2100, chance, jitter_ms=100)):
            if n == 1 and i == 300:
                counts, amount, zeros = [0] * 12, 0.0, 0
            for _ in range(chance.randint(1, 9)):
                k = min(11, max(0, int(chance.gauss(5, 2))))
                counts[k] += 1
                amount += 2 ** ((k - 6) / 8)
            zeros += i % 10 == 0
            native = Native(
                count=sum(counts) + zeros,
                sum=amount,
                zero_count=zeros,
                offset=-6,
                counts=tuple(counts),
            )
            series.histograms.append((time, native))
        made.append(series)
    return made
