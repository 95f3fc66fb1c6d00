"""Spans that are counted before sampling, and traces chosen at their end."""

from __future__ import annotations

from collections import Counter

from collector import Collector

from conftest import Program

WORK = """
    import varan
    for i in range({n}):
        try:
            with varan.span("request"):
                with varan.span("step") as step:
                    if i % 10 == 0:
                        raise ValueError("bad")
        except ValueError:
            pass
"""


def counted(collector: Collector) -> dict[tuple[str, int, int, int], int]:
    found: Counter[tuple[str, int, int, int]] = Counter()
    for p in collector.metric("varan.red"):
        a = p.attributes
        found[a["operation"], a["kind"], a["status"], a["entry"]] += p.raw.count
        assert p.raw.count == sum(p.raw.bucket_counts) and p.temporality == 1
        assert len(p.raw.bucket_counts) == len(p.raw.explicit_bounds) + 1
        assert p.raw.time_unix_nano - p.raw.start_time_unix_nano == 10**10 - 1
        mean = sum(c * b for c, b in zip(p.raw.bucket_counts, p.raw.explicit_bounds))
        assert abs(mean - p.raw.sum) <= 0.0101 * p.raw.sum
    return dict(found)


def test_all_spans_are_counted_when_few_are_sampled(program: Program, collector: Collector) -> None:
    program.run(
        WORK.format(n=2000),
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.05",
    )
    assert counted(collector) == {
        ("request", 1, 0, 1): 1800, ("request", 1, 2, 1): 200,
        ("step", 1, 0, 0): 1800, ("step", 1, 2, 0): 200,
    }  # fmt: skip
    assert 0 < len(collector.named("request")) < 300
    assert {s.resource["varan.red"] for s in collector.spans} == {"process"}


def test_nothing_is_counted_twice_when_all_are_sent(program: Program, collector: Collector) -> None:
    program.run(WORK.format(n=10))
    assert len(collector.spans) == 20 and not collector.metric("varan.red")
    assert "varan.red" not in collector.spans[0].resource


def test_operations_beyond_the_cap_are_counted_together(
    program: Program, collector: Collector
) -> None:
    program.run(
        """
        import varan
        for i in range(6000):  # a period may have begun: then there are two halves
            with varan.span(f"operation {i}"):
                pass
        """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    found = counted(collector)
    assert sum(found.values()) == 6000
    assert found["(other)", 1, 0, 1] >= 500 and not collector.spans


def test_unsampled_requests_have_their_route_and_status(
    program: Program, collector: Collector
) -> None:
    program.run(
        """
        import flask
        app = flask.Flask("shop")

        @app.get("/item/<int:i>")
        def item(i):
            return ("no", 503) if i == 1 else "yes"

        for i in range(5):
            app.test_client().get(f"/item/{i}", headers={
                "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"})
        """,
        OTEL_TRACES_SAMPLER="always_off",
    )
    found = {k: v for k, v in counted(collector).items() if k[1] == 2}
    assert found == {("GET /item/<int:i>", 2, 0, 1): 4, ("GET /item/<int:i>", 2, 2, 1): 1}


def test_errors_slow_and_rare_traces_are_kept(program: Program, collector: Collector) -> None:
    program.run(
        """
        import time, varan
        def request(name, error=False, seconds=0):
            try:
                with varan.span(name):
                    with varan.span("step"):
                        if error:
                            raise ValueError("bad")
                        time.sleep(seconds)
            except ValueError:
                pass
        for i in range(3000):
            request("usual")
        request("usual", error=True)
        request("usual", seconds=0.3)
        request("seldom")
        print(varan.stats()["spans_not_kept"])
        """,
        VARAN_TRACES="tail:0",
    )
    kept = Counter((s.name, s.attributes["varan.kept"]) for s in collector.spans if not s.parent_id)
    assert kept["usual", "rare"] == 5 and kept["seldom", "rare"] == 1
    assert kept["usual", "error"] == 1 and 1 <= kept["usual", "slow"] < 300
    # On a machine that stands still now and then there may be others, among the first ones, too.
    long = [s for s in collector.spans if s.name == "usual" and s.duration_ns > 0.3e9]
    assert "slow" in {s.attributes["varan.kept"] for s in long}
    roots = {s.span_id for s in collector.spans if not s.parent_id}
    steps = collector.named("step")
    assert len(steps) == len(roots) and {s.parent_id for s in steps} == roots, "whole traces"
    found = counted(collector)
    assert sum(n for (name, *_), n in found.items() if name == "usual") == 3002


def test_waiting_spans_are_bounded(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import varan
        with varan.span("long"):
            for i in range(60000):
                with varan.span("step", text="x" * 100):
                    pass
        stats = varan.stats()
        print(stats["spans_finished"], stats["spans_dropped_buffer_full"])
        """,
        VARAN_TRACES="tail",
    )
    finished, dropped = map(int, done.stdout.split())
    assert finished == 60001 and 30000 < dropped < 60000
    assert collector.named("long")


def test_children_begin_with_nothing_waiting(program: Program, collector: Collector) -> None:
    program.run(
        """
        import os, varan
        with varan.span("parent"):
            with varan.span("before"):
                pass
            if os.fork() == 0:
                with varan.span("child"):
                    pass
                os._exit(0)
            os.wait()
        """,
        VARAN_TRACES="tail",
    )
    assert sorted(s.name for s in collector.spans) == ["before", "child", "parent"]
