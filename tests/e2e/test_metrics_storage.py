"""Samples survive what may happen to a server: kill -9 under remote write, questions about everything, far too
many series. Counted on both sides: what was acknowledged, and what is stored."""

from __future__ import annotations

import os
import random
import threading
import time

import pytest
import requests
from remote_write import HEADERS, Series, encode

from conftest import wait_until

WRITE = "/prometheus/api/v1/write"
ROUNDS = int(os.environ.get("VARAN_METRICS_CRASH_ROUNDS", "5"))
MANY = int(os.environ.get("VARAN_MANY_SERIES", "120000"))
FEW = 20_000  # the limit that the many meet
PASSING = 24_000  # series: several times what 4 MiB hold


class Writer(threading.Thread):
    """Sends one sample of each of its series after another, all values different; remembers what was acknowledged.
    What was not is sent again first, as Prometheus does."""

    def __init__(self, name: str, series: int = 20):
        super().__init__(daemon=True)
        self.sender, self.series, self.stopping = name, series, threading.Event()
        self.acknowledged, self.step, self.start_ms = 0, 0, int(time.time() * 1000) - 3_600_000
        self.failed: list[str] = []
        self.url = ""

    def request(self) -> list[Series]:
        at = self.start_ms + self.step * 100
        return [
            Series(
                {"__name__": "crash_total", "sender": self.sender, "number": str(i)},
                [(at, float(self.step * self.series + i))],
            )
            for i in range(self.series)
        ]

    def go_on(self, url: str) -> Writer:
        """The same sender against a server that was started anew."""
        other = Writer(self.sender, self.series)
        other.acknowledged, other.step, other.start_ms = self.acknowledged, self.step, self.start_ms
        other.url = url + WRITE
        other.start()
        return other

    def run(self) -> None:
        session = requests.Session()
        while not self.stopping.is_set():
            try:
                body = encode(self.request())
                answer = session.post(self.url, data=body, headers=HEADERS, timeout=60)
            except requests.RequestException:
                return  # the server was killed
            if answer.status_code in (200, 204):
                self.acknowledged += self.series
                self.step += 1
            elif answer.status_code != 503:
                self.failed.append(f"{answer.status_code} {answer.text[:300]}")
                return

    def end(self) -> None:
        self.stopping.set()
        self.join(90)
        assert not self.is_alive() and not self.failed, self.failed


def ask(server, query: str, **params) -> requests.Response:
    return requests.get(
        f"{server.url}/prometheus/api/v1/query", params={"query": query, **params}, timeout=90
    )


def number(server, query: str) -> float:
    answer = ask(server, query)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["data"]["result"][0]["value"][1])


def test_nothing_acknowledged_is_lost_and_nothing_doubled(new_server):
    server = new_server()
    dice = random.Random(20261121)
    writers = [Writer(f"s{i}") for i in range(3)]
    for _ in range(ROUNDS):
        server.start()
        writers = [writer.go_on(server.url) for writer in writers]
        threading.Event().wait(dice.uniform(0.1, 0.8))  # the random moment itself
        server.kill()
        for writer in writers:
            writer.end()
    server.start()
    before = [writer.acknowledged for writer in writers]
    writers = [writer.go_on(server.url) for writer in writers]
    # Of each: what was stored and not acknowledged is sent again, and counts.
    wait_until(
        lambda: all(w.acknowledged > b for w, b in zip(writers, before, strict=True)),
        60,
        "a last write of each",
    )
    for writer in writers:
        writer.end()
    count = sum(writer.acknowledged for writer in writers)
    assert count > 0
    # Each step was acknowledged in the end, some after they had been sent twice.
    assert number(server, "sum(count_over_time(crash_total[2h]))") == count
    assert number(server, "count(last_over_time(crash_total[2h]))") == 60
    rows = server.sql(
        "SELECT count(), uniqExact(s.id, ts) FROM samples AS s FINAL JOIN (SELECT DISTINCT id FROM series "
        "WHERE metric = 'crash_total') AS x ON x.id = s.id"
    )
    assert [int(value) for value in rows[0]] == [count, count]
    for writer in writers:
        last = f'max(max_over_time(crash_total{{sender="{writer.sender}"}}[2h]))'
        assert number(server, last) == writer.step * writer.series - 1


@pytest.fixture(scope="module")
def loaded(server):
    """A server with a few hundred thousand samples of an hour."""
    start = int(time.time() * 1000) - 3_600_000
    for part in range(10):
        series = [
            Series(
                {"__name__": f"everything_{part}", "number": str(i)},
                [(start + step * 15_000, float(step * i)) for step in range(240)],
            )
            for i in range(100)
        ]
        answer = requests.post(server.url + WRITE, data=encode(series), headers=HEADERS, timeout=60)
        assert answer.status_code in (200, 204), answer.text
    return server


@pytest.mark.parametrize(
    "query",
    [
        '{__name__=~".+"}',
        'quantile_over_time(0.9, {__name__=~"everything.*"}[1h])',
        'sum by (number) (stddev_over_time({__name__=~".+"}[30m:1s]))',
        'count_values("v", {__name__=~".+"}) * on(v) group_left count_values("v", {__name__=~".+"})',
    ],
)
def test_a_question_about_everything_ends(loaded, query):
    writer = Writer(f"beside-{hash(query)}").go_on(loaded.url)
    wait_until(lambda: writer.acknowledged or writer.failed, 60, "the first write")
    end = time.time()
    answer = requests.get(
        f"{loaded.url}/prometheus/api/v1/query_range",
        params={"query": query, "start": end - 3600, "end": end, "step": "0.5", "timeout": "1s"},
        timeout=60,
    )
    assert answer.status_code in (422, 503, 200), answer.text[:300]
    if answer.status_code != 200:
        assert answer.json()["errorType"] in ("timeout", "execution", "canceled")
        assert answer.json()["error"]
    during = writer.acknowledged
    wait_until(lambda: writer.acknowledged > during or writer.failed, 60, "a write afterwards")
    writer.end()
    stored = f'sum(count_over_time(crash_total{{sender="{writer.sender}"}}[2h]))'
    assert number(loaded, stored) == writer.acknowledged


def test_aggregating_takes_series_as_they_pass(new_server):
    """What no query may hold at once, an aggregation goes through; the others say at once that it is too much."""
    server = new_server("--query-bytes", "4MiB").start()
    now, session = int(time.time() * 1000), requests.Session()
    for begin in range(0, PASSING, 4000):
        series = [
            Series(
                {"__name__": f"passing_{i % 50}", "group": f"g{i % 3}", "id": f"{i:08d}"},
                [(now - 15_000 * k, float(i)) for k in (2, 1, 0)],
            )
            for i in range(begin, begin + 4000)
        ]
        answer = session.post(server.url + WRITE, data=encode(series), headers=HEADERS, timeout=60)
        assert answer.status_code in (200, 204), answer.text

    def ask(query: str) -> requests.Response:
        return session.get(
            server.url + "/prometheus/api/v1/query",
            params={"query": query, "time": now / 1000},
            timeout=120,
        )

    answer = ask('{id=~".+"}')
    assert answer.status_code == 422
    assert "memory" in answer.json()["error"]
    assert number(server, f'count({{id=~".+"}} @ {now / 1000})') == PASSING
    assert number(server, f'max({{id=~".+"}} @ {now / 1000})') == PASSING - 1
    by_group = ask('sum by (group) (count_over_time({id=~".+"}[1m]))').json()["data"]["result"]
    assert {r["metric"]["group"]: float(r["value"][1]) for r in by_group} == {
        f"g{g}": 3.0 * len(range(g, PASSING, 3)) for g in range(3)
    }
    assert server.stop() == 0


def test_steps_beyond_the_limit_are_refused(loaded):
    end = time.time()
    answer = requests.get(
        f"{loaded.url}/prometheus/api/v1/query_range",
        params={"query": '{__name__=~".+"}', "start": end - 86400, "end": end, "step": "1"},
        timeout=60,
    )
    assert answer.status_code == 400
    assert "11,000" in answer.json()["error"] or "11000" in answer.json()["error"]


def test_far_too_many_series(new_server):
    """VARAN_MANY_SERIES=1000000 sends a million."""
    server = new_server("--metrics-series-max", str(FEW)).start()
    now = int(time.time() * 1000)
    session, refused, memory = requests.Session(), 0, 0.0
    for begin in range(0, MANY, 4000):
        series = [
            Series({"__name__": "many", "instance": f"i{i % 7}", "id": f"{i:08d}"}, [(now, 1.0)])
            for i in range(begin, begin + 4000)
        ]
        answer = session.post(server.url + WRITE, data=encode(series), headers=HEADERS, timeout=60)
        if begin + 4000 <= FEW:
            assert answer.status_code in (200, 204), answer.text
        if begin == FEW:
            memory = server.memory_mb()
        if begin >= FEW:
            assert answer.status_code == 400, answer.text
            assert "metrics-series-max" in answer.text and "many" in answer.text
            refused += 4000
    assert refused == MANY - FEW
    assert server.memory_mb() < memory + 100
    # Those that are there go on.
    known = [Series({"__name__": "many", "instance": "i0", "id": "00000000"}, [(now + 1000, 2.0)])]
    answer = session.post(server.url + WRITE, data=encode(known), headers=HEADERS, timeout=60)
    assert answer.status_code in (200, 204), answer.text
    assert number(server, f"count(last_over_time(many[1h] @ {now / 1000 + 2}))") == FEW
    assert server.stop() == 0
