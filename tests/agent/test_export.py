"""The way to the server: every OTLP answer is understood, and trouble there is no trouble here."""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from collector import Collector
from servers import refusing_port

from conftest import Program

ONE_SPAN = """
    import varan
    with varan.span("one", k="v"):
        pass
    assert varan.flush(60)
"""


def test_gzip_headers_and_base_path(program: Program, collector: Collector) -> None:
    program.run(
        ONE_SPAN, VARAN_ENDPOINT=collector.endpoint + "/base/", OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_HEADERS="x-token=a%20b,x-bad%0a=1",
    )  # fmt: skip
    path, headers = collector.requests[0]
    assert (
        path == "/base/v1/traces"
        and headers["content-encoding"] == "gzip"
        and headers["x-token"] == "a b"
    )
    assert headers["content-type"] == "application/x-protobuf"
    assert collector.spans[0].attributes == {"k": "v"}


def test_unix_socket(program: Program, tmp_path: Path) -> None:
    collector = Collector(str(tmp_path / "s"))
    program.run(ONE_SPAN, VARAN_ENDPOINT=collector.endpoint)
    assert len(collector.spans) == 1
    collector.close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retryable(program: Program, collector: Collector, status: int) -> None:
    collector.answer = lambda path, n: (status, {"Retry-After": "0"}, b"busy") if n <= 2 else None
    program.run(
        """
        import time, varan
        with varan.span("one"):
            pass
        deadline = time.monotonic() + 60
        while varan.stats()["spans_exported"] < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert varan.stats()["export_failures"] == 2
        assert varan.stats()["last_error"].startswith("HTTP status")
        """
    )
    assert len(collector.spans) == 1 and len(collector.requests) == 3


def test_retry_after_is_honoured(program: Program, collector: Collector) -> None:
    times: list[float] = []

    def answer(path: str, n: int) -> tuple[int, dict[str, str], bytes] | None:
        times.append(time.monotonic())
        return (503, {"Retry-After": "1"}, b"") if n == 1 else None

    collector.answer = answer
    program.run(
        """
        import time, varan
        with varan.span("one"):
            pass
        while varan.stats()["spans_exported"] < 1:
            time.sleep(0.02)
        """
    )
    assert times[1] - times[0] >= 0.95


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_not_retryable(program: Program, collector: Collector, status: int) -> None:
    collector.answer = lambda path, n: (status, {}, b"")
    program.run(
        """
        import varan
        with varan.span("one"):
            pass
        varan.flush(60)
        s = varan.stats()
        assert s["spans_dropped_refused"] == 1 and s["spans_exported"] == 0 and s["pending_bytes"] == 0, s
        """
    )
    assert len(collector.requests) == 1


def test_time_that_stood_still_is_not_the_servers(program: Program, collector: Collector) -> None:
    """A process that was stopped, or a machine: the answer's time is over when it goes on, but it comes. Nothing is
    sent twice."""
    process = program.start(
        sys.executable, "-c",
        "import json, varan\nwith varan.span('one'): pass\n"
        "print(json.dumps([varan.flush(60), varan.stats()['export_failures']]))",
        OTEL_EXPORTER_OTLP_TIMEOUT="5",
    )  # fmt: skip
    take = collector.take

    def answer_when_it_goes_on(handler: Any, body: bytes) -> None:
        collector.take = take  # type: ignore[method-assign]
        process.send_signal(signal.SIGSTOP)
        time.sleep(6)  # longer than it waits
        process.send_signal(signal.SIGCONT)
        time.sleep(0.3)  # nothing of ours is that quick
        take(handler, body)

    collector.take = answer_when_it_goes_on  # type: ignore[method-assign]
    assert process.wait(120) == 0, program.output()
    assert json.loads(program.output()) == [True, 0]
    assert len(collector.spans) == 1


def test_partial_success(program: Program, collector: Collector) -> None:
    # ExportTraceServiceResponse{partial_success{rejected_spans: 1, error_message: "no"}}
    collector.answer = lambda path, n: (
        (200, {}, b"\x0a\x06\x08\x01\x12\x02no") if "traces" in path else None
    )
    program.run(
        """
        import varan
        for i in range(3):
            with varan.span("one"):
                pass
        assert varan.flush(60)
        s = varan.stats()
        assert s["spans_exported"] == 2 and s["spans_dropped_refused"] == 1, s
        """
    )


@pytest.mark.parametrize(
    "body", [b"\xff" * 40, b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\x02\x08", b"\x0a", b"<html>"]
)
def test_nonsense_answers(program: Program, collector: Collector, body: bytes) -> None:
    collector.answer = lambda path, n: (200, {}, body)
    program.run(ONE_SPAN)


def test_chunked_answer_and_keep_alive(program: Program) -> None:
    """A server that answers by chunks, on one connection for all requests."""
    import threading

    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            connections.append(connection)
            stream = connection.makefile("rb")
            while True:
                length = 0
                while True:
                    line = stream.readline()
                    if not line:
                        return
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                    if line == b"\r\n":
                        break
                stream.read(length)
                connection.sendall(
                    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                connection.sendall(b"3\r\nabc\r\n0\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    program.run(
        """
        import varan
        for i in range(3):
            with varan.span("one"):
                pass
            assert varan.flush(60)
        """,
        VARAN_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}",
    )
    assert len(connections) == 1
    listener.close()


LOAD = """
    import sys, time, varan
    n = int(sys.argv[1])
    slowest = 0
    with varan.span("load"):
        pass
    def memory_kb(name):
        return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))
    before_kb = memory_kb("VmRSS")
    for i in range(n - 1):
        a = time.perf_counter()
        with varan.span("load", a=i, b="x" * 200):
            pass
        slowest = max(slowest, time.perf_counter() - a)
    s = varan.stats()
    kept = s["spans_exported"] + sum(v for k, v in s.items() if k.startswith("spans_dropped"))
    print((memory_kb("VmHWM") - before_kb) // 1024, kept, s["spans_finished"],
          s["spans_dropped_buffer_full"], slowest)
"""


def test_no_server(program: Program) -> None:
    """Nobody listens: the program ends at once, in bounded memory, and knows what it lost."""
    with refusing_port() as port:
        done = program.run(LOAD, "200000", VARAN_ENDPOINT=f"http://127.0.0.1:{port}")
    memory_mb, _, finished, dropped, _ = done.stdout.split()
    assert int(finished) == 200000 and int(dropped) > 100000
    assert int(memory_mb) < 40
    assert done.stderr == ""


def test_server_that_never_answers(program: Program) -> None:
    """Connections are taken and nothing comes back: exit is delayed by at most two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = program.run(
            LOAD + "    print(time.time())",
            "1000",
            VARAN_ENDPOINT=f"http://127.0.0.1:{listener.getsockname()[1]}",
            VARAN_EXIT_TIMEOUT_MS="2000",
        )
        ended = time.time()
    # Two seconds, and what the end of a Python process takes on a busy machine.
    assert ended - float(done.stdout.split()[-1]) < 2 + 28


def test_server_dies_and_returns(program: Program, collector: Collector) -> None:
    """Spans wait for the server; those that did not fit are told to it as a log record."""
    down = {"now": True}
    collector.answer = lambda path, n: (503, {"Retry-After": "0"}, b"") if down["now"] else None
    process = program.start(
        sys.executable, "-c",
        "import sys, time, varan\n"
        "for i in range(60000):\n"
        "    with varan.span('kept', text='x' * 300): pass\n"
        "print('made', flush=True)\n"
        "while varan.stats()['spans_exported'] == 0: time.sleep(0.05)\n"
        "varan.flush(60); varan.flush(60)\n"
        "s = varan.stats(); print(s['spans_exported'], s['spans_dropped_buffer_full'])\n",
    )  # fmt: skip
    deadline = time.monotonic() + 90
    while "made" not in program.output() and time.monotonic() < deadline:
        time.sleep(0.02)
    down["now"] = False
    assert process.wait(120) == 0, program.output()
    exported, lost = map(int, program.output().split()[-2:])
    assert exported + lost == 60000 and exported == len(collector.spans) and lost > 0
    assert len({s.span_id for s in collector.spans}) == exported
    (log,) = [x for x in collector.logs if "varan.lost.spans" in x.attributes]
    assert log.attributes["varan.lost.spans"] == lost


def test_server_closes_idle_connections(program: Program, collector: Collector) -> None:
    collector.answer = lambda path, n: (200, {"Connection": "close"}, b"")
    program.run(
        """
        import varan
        for i in range(5):
            with varan.span("one"):
                pass
            assert varan.flush(60)
        assert varan.stats()["export_failures"] == 0
        """
    )


def test_exit_flush_and_debug_line(program: Program, collector: Collector) -> None:
    done = program.run("import varan\nwith varan.span('last'): pass\n", VARAN_DEBUG="1")
    assert len(collector.spans) == 1
    assert "spans_exported 1" in done.stderr


def test_exit_by_exception(program: Program, collector: Collector) -> None:
    with pytest.raises(AssertionError):
        program.run("import varan\nwith varan.span('last'): raise ValueError('bye')\n")
    assert collector.spans[0].status == 2
    (log,) = collector.logs
    assert log.severity == 21 and log.attributes["exception.type"] == "ValueError"


def test_exit_does_not_wait_for_older_answers(program: Program, collector: Collector) -> None:
    """What a program finished last is sent although the server has not answered what came before: it may answer when
    the program has gone."""
    late = []

    def sent(path: str) -> int:
        return sum(p == path for p, _ in list(collector.requests))

    def answer(path: str, n: int) -> None:
        """Not before spans have come for the second time, logs and profiles once."""
        deadline = time.monotonic() + 60
        while sent("/v1/traces") < 2 or not sent("/v1/logs") or not sent("/v1development/profiles"):
            if time.monotonic() > deadline:
                late.append(path)
                break
            time.sleep(0.02)

    collector.answer = answer
    program.run(
        """
        import logging, time, varan
        with varan.span("first"):
            pass
        while not varan.stats()["pending_bytes"]:
            time.sleep(0.01)
        with varan.span("last"):
            end = time.process_time() + 0.5
            while time.process_time() < end:
                sum(range(1000))
        logging.getLogger("shop").warning("closing")
        """,
        VARAN_PROFILER="on",
    )
    assert not late
    # Two requests, answered at the same time.
    assert sorted(s.name for s in collector.spans) == ["first", "last"]
    assert len(collector.logs) == 1 and collector.profiles
