"""Bad input: the right status, the server alive, memory bounded."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib

import pytest
import requests
import zstandard

from payloads import text, traces

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def post(server, body: bytes, path="/v1/traces", **headers):
    return requests.post(server.otlp + path, data=body, headers={**PROTOBUF, **headers}, timeout=60)


def test_truncated_anywhere(server):
    request, _ = traces(3, http_route="/x")
    body = request.SerializeToString()
    kept = server.sql("SELECT count() FROM spans")
    for size in range(1, len(body), 7):
        answer = post(server, body[:size])
        # A cut between two fields of the outermost message leaves a valid, shorter message.
        assert answer.status_code in (200, 400), (size, answer.status_code)
    assert post(server, body).status_code == 200
    assert server.alive() and kept is not None


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x80\x80\x80\x80\x04" + b"x" * 100,  # a length of 1 GiB
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length of 2^64 - 1
        b"\xff" * 64,  # an endless varint
        b"\x0b\x0c",  # groups
        b"\x0a\x03\x12\x01",  # nested length beyond its parent
        b"\x08\x01" * 10,  # wrong wire type for the field is skipped or refused
        b"not protobuf at all",
    ],
)
def test_malformed_protobuf(server, body):
    answer = post(server, body)
    assert answer.status_code in (200, 400)
    assert server.alive()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "zz"}]}]}]}',
        b"[" * 100000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"\xff\xfe",
        b'{"resourceSpans": [' + b"{}," * 1000 + b"{}]}",
    ],
)
def test_malformed_json(server, body):
    answer = requests.post(server.otlp + "/v1/traces", data=body, headers=JSON, timeout=60)
    assert answer.status_code in (200, 400)
    if answer.status_code == 400:
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["message"]
    assert server.alive()


def bombs():
    blank = b"\0" * (1 << 20)
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(deflate.compress(blank) for _ in range(600)) + deflate.flush()
    yield "gzip", packed
    squeezer = zstandard.ZstdCompressor(level=19).compressobj()
    yield "zstd", b"".join(squeezer.compress(blank) for _ in range(600)) + squeezer.flush()


@pytest.mark.parametrize(("encoding", "body"), list(bombs()), ids=["gzip", "zstd"])
def test_compression_bomb(server, encoding, body):
    before = server.memory_mb()
    answer = post(server, body, **{"content-encoding": encoding})
    assert answer.status_code == 413
    assert server.memory_mb() < before + 200


def test_broken_compression(server):
    good = gzip.compress(traces(1)[0].SerializeToString())
    for body in (good[:-9], good[:20], b"\x1f\x8b" + b"x" * 50, b""):
        answer = post(server, body, **{"content-encoding": "gzip"})
        assert answer.status_code == 400
    assert post(server, good, **{"content-encoding": "gzip"}).status_code == 200
    assert post(server, good, **{"content-encoding": "br"}).status_code == 415


def test_huge_attribute(server):
    request, _ = traces(1, service="huge")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.append(text("big", "ß" * 5_000_000))
    span.attributes.extend(text(f"key{i}", "v") for i in range(5000))
    assert post(server, request.SerializeToString()).status_code == 200
    trace = server.api(f"/traces/{span.trace_id.hex()}")
    attributes = trace["spans"][0]["attributes"]
    assert len(attributes) <= 1024
    assert all(len(json.dumps(one["value"])) < 8 << 20 for one in attributes)


def test_body_too_large(server):
    answer = post(server, b"\0" * (70 << 20))
    assert answer.status_code == 413


def test_invalid_utf8_is_kept_repaired(server):
    request, _ = traces(1, service="repair", marker="AAAA")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    body = request.SerializeToString().replace(b"AAAA", b"A\xff\xc3A")
    assert post(server, body).status_code == 200
    trace = server.api(f"/traces/{span.trace_id.hex()}")
    values = {one["key"]: one["value"] for one in trace["spans"][0]["attributes"]}
    assert values["marker"].startswith("A") and "\ufffd" in values["marker"]


def test_partial_success(server):
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    request, _ = traces(3, service="partly")
    spans = request.resource_spans[0].scope_spans[0].spans
    spans[0].trace_id = b"\0" * 16
    spans[1].span_id = b"short"
    answer = post(server, request.SerializeToString())
    assert answer.status_code == 200
    reply = ExportTraceServiceResponse.FromString(answer.content)
    assert reply.partial_success.rejected_spans == 2
    assert reply.partial_success.error_message
    assert server.sql("SELECT count() FROM spans WHERE service = 'partly'") in ([["1"]], [[1]])


def test_wrong_content_type(server):
    assert post(server, b"x", **{"content-type": "text/plain"}).status_code == 415
    assert requests.get(server.otlp + "/v1/traces", timeout=60).status_code == 405
    assert requests.post(server.otlp + "/v1/nothing", data=b"", timeout=60).status_code == 404


def test_slow_client_is_let_go(new_server):
    server = new_server("--request-timeout", "1s").start()
    port = int(server.otlp.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(
            b"POST /v1/traces HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n"
        )
        end, closed = time.monotonic() + 60, False
        while time.monotonic() < end and not closed:
            try:
                client.sendall(b"x")
                client.settimeout(0.2)
                closed = client.recv(4096) in (b"",) or True
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed, "a client that sends a byte at a time holds its connection for ever"
    assert requests.get(server.url + "/healthz", timeout=60).status_code == 200


def test_garbage_on_every_port(server):
    ports = [
        server.url.rpartition(":")[2],
        server.otlp.rpartition(":")[2],
        server.grpc.rpartition(":")[2],
    ]
    for port in map(int, ports):
        for garbage in (
            b"\0" * 1000,
            b"\xff" * 1000,
            b"GET / HTTP/9.9\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                client.sendall(garbage)
                client.settimeout(0.5)
                try:
                    client.recv(4096)
                except OSError:
                    pass
    assert requests.get(server.url + "/readyz", timeout=60).status_code == 200


def test_old_and_future_times(server):
    request, _ = traces(50, service="times")
    for i, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        shift = (i - 25) * 86400 * 20 * 10**9
        span.start_time_unix_nano += shift
        span.end_time_unix_nano += shift
    assert post(server, request.SerializeToString()).status_code == 200
    assert server.alive()


def test_filters_that_attack(server):
    for filter_text in (
        "' OR 1=1 --",
        "service='x'); DROP TABLE spans; --",
        "(" * 5000,
        "a=" + "b" * 100000,
        'name~"(a+)+$"',
        "\x00",
        "service IN (" + ",".join("x" * 3 for _ in range(5000)) + ")",
    ):
        answer = requests.get(
            server.url + "/api/v1/traces", params={"filter": filter_text}, timeout=60
        )
        assert answer.status_code in (200, 400, 414, 431), (filter_text[:40], answer.status_code)
        if answer.status_code == 400:
            assert answer.json()["error"]["message"]
    assert server.sql("SELECT count() FROM spans") is not None


def test_questions_of_clients_that_left_end(server):
    """A dozen questions of ten seconds each, whose askers leave, do not keep the next one waiting."""
    endless = {"query": "SELECT max(sipHash64(number)) FROM numbers(1000000000000)"}
    for _ in range(12):
        with pytest.raises(requests.exceptions.Timeout):
            requests.post(server.url + "/api/v1/sql", json=endless, timeout=0.2)
    assert server.sql("SELECT 1") in ([["1"]], [[1]])


def test_sql_is_read_only(server):
    for query in (
        "DROP TABLE spans",
        "INSERT INTO spans (service) VALUES ('x')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SYSTEM SHUTDOWN",
        "SELECT sleepEachRow(3) FROM numbers(100)",
        "SELECT 1; DROP TABLE spans",
    ):
        answer = requests.post(
            server.url + "/api/v1/sql", json={"query": query, "format": "JSONCompact"}, timeout=60
        )
        assert answer.status_code >= 400, (query, answer.text[:200])
    assert server.alive()
