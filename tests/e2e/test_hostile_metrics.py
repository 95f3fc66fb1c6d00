"""Metrics that attack or err: endless, slow, huge and packed answers of targets, far times, NaNs of every kind, resets.

Each time the mistake is named (target, line, series), the server stays healthy, its memory bounded, and what is
right beside it is stored.
"""

from __future__ import annotations

import functools
import gzip
import os
import socket
import struct
import threading
import time
import zlib
from contextlib import suppress

import pytest
import requests
from remote_write import HEADERS, STALE_BYTES, Series, encode
from scrape_target import TEXT, job, scraping

from conftest import wait_until

__all__ = ["scraping"]  # the fixture

HEAD = f"HTTP/1.1 200 OK\r\nContent-Type: {TEXT}\r\n".encode()
MEMORY_MB_MAX = 700  # beyond what the server had before


class Trap:
    """A target that answers each connection by a function of its socket."""

    def __init__(self, answer):
        self.answer, self.closed = answer, threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.recv(65536)
            self.answer(client, self.closed)

    def close(self) -> None:
        self.closed.set()
        self.listener.close()


def silent(client, closed) -> None:
    closed.wait()


def trickle(client, closed) -> None:
    client.sendall(HEAD + b"\r\n")
    while not closed.wait(0.05):
        client.sendall(b"a")


def trickling_head(client, closed) -> None:
    client.sendall(HEAD)
    while not closed.wait(0.02):
        client.sendall(b"X-A: b\r\n")


def endless(client, closed) -> None:
    client.sendall(HEAD + b"\r\n")
    lines = b'm{i="some"} 1\n' * 100_000
    while not closed.is_set():
        client.sendall(lines)


@functools.cache
def packed(megabytes: int) -> bytes:
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    letters = b"a" * (1 << 20)
    return b"".join(deflate.compress(letters) for _ in range(megabytes)) + deflate.flush()


def bomb(client, closed) -> None:
    body = packed(300)
    head = HEAD + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    client.sendall(head + body)


def cut(client, closed) -> None:
    client.sendall(HEAD + b"Content-Length: 1000\r\n\r\na 1\n")


def not_gzip(client, closed) -> None:
    client.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\na 1\n")


def not_http(client, closed) -> None:
    client.sendall(b"\x00\xff" * 5000)


def huge_head(client, closed) -> None:
    client.sendall(HEAD + b"X-A: " + b"b" * 3_000_000 + b"\r\n\r\na 1\n")


TRAPS = {
    silent: "deadline exceeded",
    trickle: "deadline exceeded",
    trickling_head: "deadline exceeded",
    endless: "body",
    bomb: "body size limit exceeded",
    cut: "",
    not_gzip: "not well-formed gzip",
    not_http: "",
    huge_head: "",
}


def targets(scraping) -> dict[str, dict]:
    answer = requests.get(scraping.server.url + "/prometheus/api/v1/targets", timeout=60)
    return {t["scrapePool"]: t for t in answer.json()["data"]["activeTargets"]}


def failing(scraping, wanted: dict[str, str]) -> dict[str, str]:
    """Errors of these jobs that contain their words, once each has had one. On a busy machine any of them may be late
    now and then, and says so instead."""
    said, right = {}, {}

    def errors():
        found = targets(scraping)
        said.update({name: found[name]["lastError"] for name in wanted if name in found})
        for name, words in wanted.items():
            if said.get(name) and words.lower() in said[name].lower():
                right.setdefault(name, said[name])
        return len(right) == len(wanted)

    try:
        wait_until(errors, 60, "the targets' errors")
    except pytest.fail.Exception:
        pytest.fail(f"the errors are {said} instead of {wanted}")
    return right


def test_targets_that_trap(scraping) -> None:
    traps = {answer.__name__: Trap(answer) for answer in TRAPS}
    good = scraping.exporter("good 1\n")
    jobs = [
        job(name, trap.address, body_size_limit="20MB", scrape_interval="3s", scrape_timeout="3s")
        for name, trap in traps.items()
    ]
    try:
        scraping.start(*jobs, job("good", good.address))
        before = scraping.server.memory_mb()
        failing(scraping, {answer.__name__: words for answer, words in TRAPS.items()})
        scraping.wait("good", 1)
        wait_until(lambda: len(scraping.query("up == 0")) == len(traps), 60, "all of them down")
        assert scraping.query('{__name__=~"m|a+"}') == {}
        assert scraping.server.memory_mb() < before + MEMORY_MB_MAX
    finally:
        for trap in traps.values():
            trap.close()


def test_an_answer_larger_than_any(scraping) -> None:
    """Without body_size_limit the scraper's own holds."""
    trap = Trap(endless)
    try:
        scraping.start(job("j", trap.address, scrape_interval="10s", scrape_timeout="10s"))
        failing(scraping, {"j": "body size limit exceeded"})
        assert scraping.server.memory_mb() < 256 + MEMORY_MB_MAX
    finally:
        trap.close()


MANY = int(os.environ.get("VARAN_MANY_SERIES", "30000"))  # a million, to see what it does


def test_more_series_than_an_instance_may_have(scraping) -> None:
    e = scraping.exporter("".join(f'm{{i="{i}"}} 1\n' for i in range(MANY)))
    few = scraping.exporter("few 1\n")
    scraping.start(
        job("many", e.address, scrape_interval="2s"),
        job("few", few.address),
        options=("--metrics-instance-series-max=10000",),
    )
    before = scraping.server.memory_mb()
    said = failing(scraping, {"many": "10000 series"})["many"]
    assert said.startswith("line ") and e.address in said, said
    scraping.wait("few", 1)
    scraping.wait('up{job="many"}', 0)
    assert scraping.server.memory_mb() < before + MEMORY_MB_MAX


def test_many_series_of_one_target(scraping) -> None:
    """Within the limits they are all there, those of others too, and a query over all of them ends."""
    e = scraping.exporter("".join(f'm{{i="{i}"}} 1\n' for i in range(MANY)))
    few = scraping.exporter("few 1\n")
    scraping.start(
        job("many", e.address, scrape_interval="15s"),
        job("few", few.address),
        options=(f"--metrics-instance-series-max={MANY + 100}", "--query-bytes=2GiB"),
    )
    wait_until(lambda: scraping.query('up{job="many"} == 1'), 60, "a scrape of all")
    scraping.wait('scrape_samples_scraped{job="many"}', MANY)
    answer = requests.get(
        scraping.server.url + "/prometheus/api/v1/query",
        params={"query": "count(m) + count({__name__=~'.+'}) * 0", "timeout": "60s"},
        timeout=120,
    ).json()
    if answer["status"] == "success":
        assert answer["data"]["result"][0]["value"][1] == str(MANY)
    else:  # of a million
        assert answer["errorType"] in ("execution", "timeout"), answer
    scraping.wait("few", 1)


def test_labels_of_ten_megabytes(scraping) -> None:
    value, name, line = "x" * 10_000_000, "n" * 10_000_000, "c" * 10_000_000
    bodies = {
        "value": f'ok 1\na{{x="{value}"}} 1\n',
        "name": f'ok 1\na{{{name}="x"}} 1\n',
        "metric": f"ok 1\n{name} 1\n",
        "help": f"# HELP fine {line}\n# {line}\nfine 1\n",
    }
    scraping.start(
        *(
            job(kind, scraping.exporter(body).address, scrape_interval="5s")
            for kind, body in bodies.items()
        )
    )
    said = failing(scraping, dict.fromkeys(["value", "name", "metric"], "line 2"))
    assert all(len(error) < 500 for error in said.values())
    scraping.wait("fine", 1)
    scraping.wait("sum(up)", 1)


def write(server, *series: Series) -> requests.Response:
    url = server.url + "/prometheus/api/v1/write"
    return requests.post(url, data=encode(series), headers=HEADERS, timeout=60)


def query(server, text: str, at: float) -> list:
    params = {"query": text, "time": at}
    answer = requests.get(server.url + "/prometheus/api/v1/query", params=params, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["result"]


def now_ms() -> int:
    return int(time.time() * 1000)


def test_a_written_label_of_ten_megabytes(server) -> None:
    at = now_ms()
    answer = write(
        server,
        Series({"__name__": "huge", "x": "y" * 10_000_000}, [(at, 1.0)]),
        Series({"__name__": "beside_huge", "x": "y"}, [(at, 1.0)]),
    )
    assert answer.status_code == 400
    assert '__name__="huge", x="yyy' in answer.text and len(answer.text) < 5000
    assert query(server, "beside_huge", at / 1000)
    assert query(server, "huge", at / 1000) == []


PAYLOADS = [0x7FF8000000000001, 0x7FF0000000000002, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FF8DEADBEEF0001]


def test_nans_keep_their_bits(server) -> None:
    at = now_ms() - 600_000
    samples = [(at + 1000 * i, struct.pack("<Q", bits)) for i, bits in enumerate(PAYLOADS)]
    series = Series({"__name__": "payload"}, [(at - 1000, 1.0), *samples])
    assert write(server, series).status_code == 204
    rows = server.sql(
        "SELECT reinterpretAsUInt64(value) FROM samples WHERE id IN "
        "(SELECT id FROM series WHERE metric = 'payload') ORDER BY ts"
    )
    assert [int(row[0]) for row in rows][1:] == PAYLOADS
    # Only the stale marker ends a series; any other NaN is a value.
    for when, bits in samples:
        found = query(server, "payload", when / 1000)
        if bits == STALE_BYTES:
            assert found == []
        else:
            assert found[0]["value"][1] == "NaN"
    assert query(server, "count_over_time(payload[1m])", at / 1000 + 10)[0]["value"][1] == "5"


def test_written_times_far_away(server) -> None:
    at = now_ms()
    year = 365 * 86400 * 1000
    answer = write(
        server,
        Series({"__name__": "times", "when": "now"}, [(at, 1.0)]),
        Series({"__name__": "times", "when": "ahead"}, [(at + year, 1.0)]),
        Series({"__name__": "times", "when": "end"}, [(2**63 - 1, 1.0)]),
        Series({"__name__": "times", "when": "begin"}, [(-(2**63), 1.0)]),
    )
    assert answer.status_code == 400
    assert "times" in answer.text and "ahead" in answer.text
    assert [s["metric"]["when"] for s in query(server, "times", at / 1000)] == ["now"]
    assert server.alive()


def test_clocks_of_targets_that_jump(scraping) -> None:
    at = now_ms()
    e = scraping.exporter(f"jumps 1 {at - 20_000}\nstays 1\n")
    scraping.start(job("j", e.address))
    scraping.wait("jumps", 1)
    for shift in (10 * 365 * 86400_000, -20 * 365 * 86400_000, 10**15, -(10**15)):
        e.body = f"jumps 7 {at + shift}\nstays {shift}\n"
        scraping.wait("stays", shift)
        scraping.wait("up", 1)
        assert 7 not in scraping.query("jumps").values()
    e.body = f"jumps 9 {at - 10_000}\nstays 1\n"  # and is right again
    scraping.wait("jumps", 9)


def test_times_that_are_no_numbers_of_64_bits(scraping) -> None:
    e = scraping.exporter("fine 1\na 1 99999999999999999999999\n")
    scraping.start(job("j", e.address))
    failing(scraping, {"j": "line 2"})


def test_counters_that_begin_again(server) -> None:
    """Resets, one of them right at a restart of a target to a value above zero, and a counter that is stale between."""
    begin = now_ms() - 600_000
    values = [10, 20, 5, 15, None, 2, 4, 0, 0, 8]
    series = Series(
        {"__name__": "resets_total"},
        [
            (begin + 15_000 * i, STALE_BYTES if value is None else float(value))
            for i, value in enumerate(values)
        ],
    )
    assert write(server, series).status_code == 204
    end = begin / 1000 + 15 * 9
    assert query(server, "resets(resets_total[3m])", end)[0]["value"][1] == "3"
    # 10 + 5 + 10 + 2 + 2 + 0 + 0 + 8 over 135 s seen; the window's beginning is before the first sample.
    grown = float(query(server, "increase(resets_total[136s])", end + 0.5)[0]["value"][1])
    assert 37 <= grown <= 37 * 136 / 135 + 1


def test_a_query_over_everything(server) -> None:
    """It ends in its time, and what is sent meanwhile is taken."""
    at = now_ms() - 3_600_000
    names = [
        Series(
            {"__name__": f"every_{i % 50}", "i": str(i)},
            [(at + 15_000 * k, 1.0 * k) for k in range(60)],
        )
        for i in range(2000)
    ]
    assert write(server, *names).status_code == 204
    ended = []

    def ask() -> None:
        answer = requests.get(
            server.url + "/prometheus/api/v1/query_range",
            params={
                "query": 'sum by (i) (rate({__name__=~".+"}[1h])) or stddev_over_time({__name__!=""}[1h:1s])',
                "start": at / 1000,
                "end": at / 1000 + 3600,
                "step": "1",
                "timeout": "3s",
            },
            timeout=120,
        )
        ended.append(answer)

    asking = threading.Thread(target=ask)
    asking.start()
    while True:
        alive = asking.is_alive()
        meanwhile = Series({"__name__": "meanwhile"}, [(now_ms(), 1.0)])
        assert write(server, meanwhile).status_code == 204
        if not alive:
            break
    asking.join()
    assert ended[0].status_code in (422, 503), ended[0].text[:300]
    assert ended[0].json()["errorType"] in ("execution", "timeout")
    assert query(server, "meanwhile", time.time())


def test_limits_of_queries_are_settings(new_server) -> None:
    limits = {"--query-samples": "1000", "--query-lookback": "30s", "--query-timeout": "1m30s"}
    server = new_server(*(word for pair in limits.items() for word in pair)).start()
    at = now_ms() - 600_000
    series = [
        Series({"__name__": "few", "i": str(i)}, [(at + 1000 * k, 1.0) for k in range(100)])
        for i in range(20)
    ]
    assert write(server, *series).status_code == 204
    end = at / 1000 + 99
    assert query(server, "count(few)", end + 20)[0]["value"][1] == "20"
    assert query(server, "count(few)", end + 40) == []
    answer = requests.get(
        server.url + "/prometheus/api/v1/query",
        params={"query": "few[2m]", "time": end},
        timeout=60,
    )
    assert answer.status_code == 422 and answer.json()["errorType"] == "execution"
    assert "1000" in answer.json()["error"] and "samples" in answer.json()["error"]
    # What is counted are samples held at a time: here those of one series after another.
    assert query(server, "sum(count_over_time(few[2m]))", end)[0]["value"][1] == "2000"
    flags = requests.get(server.url + "/prometheus/api/v1/status/flags", timeout=60).json()["data"]
    assert flags["query.max-samples"] == "1000"
    assert flags["query.lookback-delta"] == "30s" and flags["query.timeout"] == "1m30s"


def test_bombs_and_lengths_that_lie(server) -> None:
    url = server.url + "/prometheus/api/v1/write"
    before = server.memory_mb()
    lie = b"\xff\xff\xff\xff\x0f" + b"\x00" * 100  # a snappy block that says 4 GiB
    for body in (lie, b"", b"\x00", b"\x05\x10abc", gzip.compress(b"\0" * 1000)):
        answer = requests.post(url, data=body, headers=HEADERS, timeout=60)
        assert answer.status_code in (204, 400, 413), (body[:10], answer.status_code)
        if answer.status_code != 204:
            assert answer.text.strip()
    headers = {**HEADERS, "content-encoding": "gzip"}
    assert requests.post(url, data=packed(300), headers=headers, timeout=60).status_code == 413
    assert server.memory_mb() < before + MEMORY_MB_MAX


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"}, 415),
        ({"content-encoding": "br"}, 415),
        ({"content-type": "application/x-protobuf; proto=io.prometheus.write.v2.Request"}, 204),
    ],
)
def test_headers_of_remote_write(server, headers, status) -> None:
    answer = requests.post(
        server.url + "/prometheus/api/v1/write",
        data=encode([]),
        headers={**HEADERS, **headers},
        timeout=60,
    )
    assert answer.status_code == status, answer.text
