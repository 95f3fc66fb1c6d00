"""`varan metrics check`: mistakes with their line, advice as promtool gives it; from a file, a pipe and an address."""

from __future__ import annotations

import subprocess

import pytest
from scrape_target import OPEN, Exporter

from conftest import VARAN


def check(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess:
    command = [str(VARAN), "metrics", "check", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, input=stdin)


ABOUT = "# HELP {0} x\n# TYPE {0} {1}\n"
COUNTER = ABOUT.format("a_total", "counter")
HISTOGRAM = ABOUT.format("h_seconds", "histogram")
MISTAKES = {
    "twice": (COUNTER + 'a_total{x="1",y="2"} 1\na_total{y="2",x="1"} 2\n', 4, "stands twice"),
    "label twice": (COUNTER + 'a_total{x="1",x="2"} 1\n', 3, 'label "x" stands twice'),
    "second type": (COUNTER + "a_total 1\n# TYPE a_total counter\n", 4, "a second TYPE line"),
    "second help": (COUNTER + "# HELP a_total y\na_total 1\n", 3, "a second HELP line"),
    "late type": ("a_total 1\n" + COUNTER, 3, "comes after its samples"),
    "negative": (COUNTER + "a_total -1\n", 3, "below 0"),
    "no end": (
        HISTOGRAM + 'h_seconds_bucket{le="1"} 1\nh_seconds_count 1\n',
        3,
        'no bucket le="+Inf"',
    ),
    "falling": (
        HISTOGRAM + 'h_seconds_bucket{le="1"} 2\nh_seconds_bucket{le="+Inf"} 1\n',
        4,
        'the bucket le="+Inf" has fewer',
    ),
    "mixed": (
        HISTOGRAM + 'h_seconds_bucket{le="2"} 1\nh_seconds_bucket{le="1"} 1\n',
        4,
        "ascending order",
    ),
    "count": (
        HISTOGRAM + 'h_seconds_bucket{le="+Inf"} 1\nh_seconds_count 2\n',
        3,
        '_count is 2, and the bucket le="+Inf" holds 1',
    ),
    "bound": (HISTOGRAM + 'h_seconds_bucket{le="x"} 1\n', 3, 'le="x" is not a number'),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, tmp_path):
    text, line, words = MISTAKES[name]
    (tmp_path / "m.txt").write_text(text)
    done = check(str(tmp_path / "m.txt"))
    assert done.returncode == 1, done
    assert words in done.stderr
    assert any(f"m.txt:{line}: " in said and words in said for said in done.stderr.splitlines())


def test_syntax_is_named_with_its_column():
    done = check(stdin='a 1\nb{x="1} 2\n')
    assert done.returncode == 1
    assert "line 2, column" in done.stderr


def test_what_is_right_is_silent():
    text = COUNTER + 'a_total{x="1"} 1 1000\na_total{x="1"} 2 2000\n' + HISTOGRAM
    for route in "ab":
        text += "".join(
            f'h_seconds_bucket{{route="{route}",le="{le}"}} {n}\n'
            for n, le in enumerate(["0.1", "1", "10", "+Inf"])
        )
        text += f'h_seconds_count{{route="{route}"}} 3\nh_seconds_sum{{route="{route}"}} 3\n'
    done = check("-", stdin=text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LINT = """# TYPE no_help gauge
no_help 1
# HELP requests Some.
# TYPE requests counter
requests 1
# HELP depth_total Some.
# TYPE depth_total gauge
depth_total 1
# HELP camelCase Some.
# TYPE camelCase gauge
camelCase{someLabel="x"} 1
# HELP took_milliseconds Some.
# TYPE took_milliseconds gauge
took_milliseconds 1
# HELP lag_ms Some.
# TYPE lag_ms gauge
lag_ms 1
# HELP a:b Some.
# TYPE a:b gauge
a:b 1
# HELP gauge_of_x Some.
# TYPE gauge_of_x gauge
gauge_of_x 1
# HELP s_counter_x Some.
# TYPE s_counter_x gauge
s_counter_x 1
# HELP q_histogram Some.
# TYPE q_histogram gauge
q_histogram 1
# HELP thing_bucket Some.
# TYPE thing_bucket gauge
thing_bucket{le="1"} 1
# HELP thing_count Some.
# TYPE thing_count gauge
thing_count{quantile="1"} 1
"""


def test_advice_is_promtools():
    """The same remarks on the same metrics, whatever the order."""
    theirs = subprocess.run(
        ["promtool", "check", "metrics"], capture_output=True, text=True, timeout=60, input=LINT
    )
    done = check(stdin=LINT)
    assert done.returncode == theirs.returncode == 3, (done, theirs)
    said = {line.split(": ", 1)[1].replace(": ", " ", 1) for line in done.stdout.splitlines()}
    lines = (theirs.stderr + theirs.stdout).splitlines()
    assert said == {line for line in lines if line}


def test_from_an_address():
    e = Exporter("# HELP a Some.\n# TYPE a counter\na_total 1\n# EOF\n", OPEN)
    try:
        url = f"http://{e.address}/metrics"
        assert check(url).returncode == 0
        assert "openmetrics" in e.asked[-1]["Accept"]
        e.body = "# TYPE a counter\na_total x\n# EOF\n"
        done = check(url)
        assert done.returncode == 1
        assert f"{url}: line 2" in done.stderr
        e.kind, e.body = "text/html", "<html>"
        assert 'Content-Type "text/html"' in check(url).stderr
        e.status = 404
        assert "status 404" in check(url).stderr
    finally:
        e.close()
    done = check("http://127.0.0.1:1/metrics")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
