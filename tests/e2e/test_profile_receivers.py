"""Profiles from anyone: pprof uploads, OTLP over HTTP and gRPC, Pyroscope's /ingest and push API, with real clients where
there are; what is wrong is refused with a reason, and the server stays."""

from __future__ import annotations

import base64
import gzip
import json
import random
import subprocess
import sys
import textwrap
import time

import grpc
import pytest
import requests
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceResponse,
)

from conftest import VARAN, wait_until
from payloads import Profiles

MS = 1_000_000
PROTOBUF = {"Content-Type": "application/x-protobuf"}


# ---- Messages by hand ----


def varint(n: int) -> bytes:
    out = b""
    while True:
        n, low = n >> 7, n & 127
        out += bytes([low | (128 if n else 0)])
        if not n:
            return out


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def pprof(
    stacks: list[tuple[list[str], int]], types=(("cpu", "nanoseconds"),), labels: dict | None = None
) -> bytes:
    """A profile of stacks (outermost first) with a value each; every function in app.py."""
    strings = ["", "app.py"]

    def text(value: str) -> int:
        if value not in strings:
            strings.append(value)
        return strings.index(value)

    out, functions = b"", {}
    for name, unit in types:
        out += field(1, field(1, text(name)) + field(2, text(unit)))
    for frames, value in stacks:
        ids = [functions.setdefault(frame, len(functions) + 1) for frame in reversed(frames)]
        sample = field(1, b"".join(varint(i) for i in ids)) + field(2, varint(value) * len(types))
        for key, said in (labels or {}).items():
            sample += field(3, field(1, text(key)) + field(2, text(said)))
        out += field(2, sample)
    for name, number in functions.items():
        out += field(4, field(1, number) + field(4, field(1, number) + field(2, 10 + number)))
        out += field(5, field(1, number) + field(2, text(name)) + field(4, 1))
    out += b"".join(field(6, s.encode()) for s in strings)
    return out + field(9, time.time_ns())


def trie(name: str, value: int, *children: bytes) -> bytes:
    return (
        varint(len(name))
        + name.encode()
        + varint(value)
        + varint(len(children))
        + b"".join(children)
    )


STACKS = [(["main", "work"], 30 * MS), (["main"], 10 * MS)]
WANT = {"main": (10 * MS, 40 * MS), "work": (30 * MS, 30 * MS)}


def found(server, service: str, kind: str = "cpu", **params) -> dict[str, tuple[int, int]]:
    rows = server.api("/profiles/table", service=service, type=kind, **params)["rows"]
    return {row["function"]: (row["own"], row["sum"]) for row in rows}


# ---- pprof ----


def test_pprof_upload(server):
    body = pprof(STACKS, labels={"thread_name": "T1", "endpoint": "GET /"})
    for service, data, headers in (
        ("plain", body, {}),
        ("gzip", gzip.compress(body), {}),
        ("encoded", gzip.compress(body), {"Content-Encoding": "gzip"}),
    ):
        answer = requests.post(
            f"{server.url}/api/v1/profiles?service={service}&version=2&resource.team=lizard",
            data=data,
            headers=headers,
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"samples": 2, "rejected": 0}
        assert found(server, service, endpoint="GET /", thread="T1", version="2") == WANT
    team = server.sql("SELECT any(attributes['team']) FROM resources WHERE service = 'plain'")
    assert team == [["lizard"]]
    answer = requests.post(
        f"{server.url}/api/v1/profiles?service=multipart",
        files={"profile": ("p.pb", body)},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert found(server, "multipart") == WANT


def test_what_varan_record_wrote_is_taken(server, tmp_path):
    file = tmp_path / "p.pb.gz"
    program = "import time\ndef busy():\n    while time.thread_time() < 1.5: pass\nbusy()"
    subprocess.run(
        [VARAN, "record", "-o", file, "--", sys.executable, "-c", program], check=True, timeout=60
    )
    done = subprocess.run(
        ["curl", "-sS", "--fail-with-body", "--data-binary", f"@{file}"]
        + [f"{server.url}/api/v1/profiles?service=recorded"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert found(server, "recorded", "wall")["busy"][1] > 100 * MS


# ---- OTLP ----


def otlp(service: str) -> Profiles:
    return (
        Profiles(service)
        .add(["main app.py:1", "work app.py:2"], 30 * MS)
        .add(["main app.py:1"], 10 * MS)
    )


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_otlp_over_http(server, encoding):
    body, service = otlp(f"otlp{encoding}").body(), f"otlp{encoding}"
    answer = requests.post(
        f"{server.otlp}/v1development/profiles",
        data=gzip.compress(body) if encoding else body,
        headers={**PROTOBUF, **({"Content-Encoding": encoding} if encoding else {})},
        timeout=60,
    )
    assert answer.status_code == 200
    ExportProfilesServiceResponse().ParseFromString(answer.content)
    assert found(server, service) == WANT


def test_otlp_over_grpc(server):
    with grpc.insecure_channel(server.grpc) as channel:
        export = channel.unary_unary(
            "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=ExportProfilesServiceResponse.FromString,
        )
        answer = export(otlp("grpc").request, timeout=60)
        assert not answer.partial_success.rejected_profiles
        assert found(server, "grpc") == WANT
        wrong = otlp("grpc-wrong")
        wrong.profiles["cpu"].samples[0].stack_index = 999
        with pytest.raises(grpc.RpcError) as refused:
            export(wrong.request, timeout=60)
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "beyond its table" in refused.value.details()


def test_otlp_json_is_refused_clearly(server):
    answer = requests.post(f"{server.otlp}/v1development/profiles", json={}, timeout=60)
    assert answer.status_code in (400, 415)
    assert "protobuf" in answer.text


# ---- Pyroscope ----


def ingest(server, params: dict, data=b"", **more) -> requests.Response:
    return requests.post(f"{server.url}/ingest", params=params, data=data, timeout=60, **more)


@pytest.mark.parametrize(
    ("fmt", "body", "headers"),
    [
        ("", b"main;work 3\nmain 1\n", {}),
        ("folded", b"main;work 3\nmain 1\n", {}),
        ("groups", b"main;work 3\nmain 1\n", {}),
        ("lines", b"main;work\nmain;work\nmain;work\nmain\n", {}),
        ("trie", trie("", 0, trie("main", 1, trie(";work", 3))), {}),
        ("tree", trie("", 0, trie("main", 1, trie("work", 3))), {}),
        (
            "",
            trie("", 0, trie("main", 1, trie(";work", 3))),
            {"Content-Type": "binary/octet-stream+trie"},
        ),
        (
            "",
            trie("", 0, trie("main", 1, trie("work", 3))),
            {"Content-Type": "binary/octet-stream+tree"},
        ),
        ("pprof", None, {}),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_pyroscope_ingest(server, fmt, body, headers):
    body = body or pprof(STACKS)
    service = f"pyro-{fmt}-{len(body)}-{len(headers)}"
    now = int(time.time())
    params = {"name": f'{service}.cpu{{env="prod",version=3}}', "from": now - 10, "until": now}
    params |= {"sampleRate": 100, "format": fmt} if fmt else {"sampleRate": 100}
    answer = ingest(server, params, body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert found(server, service, version="3") == WANT
    assert server.sql(f"SELECT any(environment) FROM resources WHERE service = '{service}'") == [
        ["prod"]
    ]


def test_pyroscope_multipart_and_jfr(server):
    params = {"name": "parts", "format": "pprof"}
    answer = ingest(server, params, files={"profile": ("p", pprof(STACKS))})
    assert answer.status_code == 200, answer.text
    assert found(server, "parts") == WANT
    for answer in (
        ingest(server, {"name": "java", "format": "jfr"}, b"FLR\0"),
        ingest(server, {"name": "java"}, files={"jfr": ("x.jfr", b"FLR\0")}),
        ingest(server, {"name": "java", "format": "speedscope"}, b"{}"),
    ):
        assert answer.status_code == 415, answer.text
        assert "not taken" in answer.json()["error"]["message"]


def test_pyroscope_push(server):
    labels = [
        {"name": "service_name", "value": "pushed"},
        {"name": "__name__", "value": "process_cpu"},
    ]
    series = {
        "labels": labels,
        "samples": [{"rawProfile": base64.b64encode(pprof(STACKS)).decode()}],
    }
    url = f"{server.url}/push.v1.PusherService/Push"
    answer = requests.post(url, json={"series": [series]}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert found(server, "pushed") == WANT
    proto = b"".join(
        field(1, field(1, one["name"].encode()) + field(2, one["value"].encode())) for one in labels
    )
    body = field(1, proto.replace(b"pushed", b"Pushed") + field(2, field(1, pprof(STACKS))))
    answer = requests.post(
        url, data=body, headers={"Content-Type": "application/proto"}, timeout=60
    )
    assert answer.status_code == 200, answer.text
    assert found(server, "Pushed") == WANT


def test_pyroscopes_own_client(server, tmp_path):
    program = tmp_path / "app.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import threading, time, pyroscope

            pyroscope.configure(application_name="pyroscope.client", server_address="{server.url}")

            def hot():
                end = time.thread_time() + 2
                while time.thread_time() < end:
                    sum(i * i for i in range(300))

            with pyroscope.tag_wrapper({{"endpoint": "GET /hot"}}):
                hot()
            pyroscope.shutdown()
            """
        )
    )
    subprocess.run([sys.executable, program], check=True, timeout=120)
    for more in ({}, {"endpoint": "GET /hot"}):  # one upload for each set of tags
        wait_until(
            lambda more=more: "hot" in found(server, "pyroscope.client", from_="now-1h", **more),
            60,
            f"its profile of {more}",
        )


# ---- What is wrong ----


@pytest.mark.parametrize(
    ("path", "data", "headers", "status", "says"),
    [
        ("/api/v1/profiles", b"x", {}, 400, "service=NAME"),
        ("/api/v1/profiles?service=s", b"", {}, 400, "empty"),
        ("/api/v1/profiles?service=s", b"\xff" * 50, {}, 400, ""),
        ("/api/v1/profiles?service=s", gzip.compress(b"\x0a\x02" * 99)[:-9], {}, 400, ""),
        ("/api/v1/profiles?service=s", b"x", {"Content-Encoding": "br"}, 415, "Content-Encoding"),
        ("/api/v1/profiles?service=s", b"x", {"Content-Encoding": "gzip"}, 400, "decompressed"),
        ("/ingest", b"a 1", {}, 400, "name"),
        ("/ingest?name=a{b=c", b"a 1", {}, 400, "brace"),
        ("/ingest?name=a&sampleRate=0", b"a 1", {}, 400, "sampleRate"),
        ("/ingest?name=a&from=yesterday", b"a 1", {}, 400, "from"),
        ("/ingest?name=a", b"a 1\nno number\n", {}, 400, "line 2"),
        ("/ingest?name=a&format=trie", b"\xff\xff\xff", {}, 400, "tree"),
        ("/push.v1.PusherService/Push", b"{", {"Content-Type": "application/json"}, 400, ""),
        (
            "/push.v1.PusherService/Push",
            b"\x0a\xff",
            {"Content-Type": "application/proto"},
            400,
            "Push",
        ),
        ("/push.v1.PusherService/Push", b"x", {"Content-Type": "text/plain"}, 415, "Content-Type"),
        ("/v1development/profiles", b"\x0a\xff", PROTOBUF, 400, ""),
    ],
    ids=lambda value: "" if isinstance(value, (bytes, dict)) else None,
)
def test_mistakes_are_named(server, path, data, headers, status, says):
    answer = requests.post(server.url + path, data=data, headers=headers, timeout=60)
    assert answer.status_code == status, answer.text
    assert says in answer.text


def test_what_is_no_utf8_is_repaired(server):
    answer = ingest(server, {"name": b"bad{k\xff=v\xff}"}, b"m\xffain;wo\xfe (f\xff.py:3) 5\n")
    assert answer.status_code == 200, answer.text
    label = field(1, field(1, b"service_n\xffame") + field(2, b"\xff")) + field(
        1, field(1, b"service_name") + field(2, b"bad\xff")
    )
    body = field(
        1,
        label
        + field(2, field(1, pprof(STACKS, labels={"thread": "T"}).replace(b"work", b"wo\xff\xfe"))),
    )
    answer = requests.post(
        f"{server.url}/push.v1.PusherService/Push",
        data=body,
        headers={"Content-Type": "application/proto"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert "wo\ufffd" in "".join(found(server, "bad"))
    assert any(name.startswith("wo\ufffd") for name in found(server, "bad\ufffd"))


def test_bombs_cost_little_and_are_refused(server):
    deep = b"".join(varint(1) + b"a" + varint(1) + varint(1) for _ in range(200_000))
    long = ";".join(["f" * 1000] * 2000)
    bombs = [
        ("/ingest?name=deep&format=trie", deep),
        ("/ingest?name=deep&format=tree", deep),
        ("/ingest?name=long", (long + " 1\n").encode() * 20),
        ("/api/v1/profiles?service=zip", gzip.compress(b"\0" * (80 << 20))),
        ("/api/v1/profiles?service=wide", pprof([([f"f{i}" for i in range(3000)], 1)] * 300)),
    ]
    for path, body in bombs:
        answer = requests.post(server.url + path, data=body, timeout=120)
        assert answer.status_code in (200, 400, 413), answer.text
        assert requests.get(server.url + "/readyz", timeout=60).status_code == 200
    assert server.memory_mb() < 1500


def test_mutated_messages_never_hurt(server):
    random.seed(5)
    targets = [
        ("/api/v1/profiles?service=mutant", pprof(STACKS, labels={"thread": "a"}), {}),
        ("/v1development/profiles", otlp("mutant").body(), PROTOBUF),
        ("/ingest?name=mutant&format=trie", trie("", 0, trie("main", 1, trie(";work", 3))), {}),
    ]
    with requests.Session() as session:
        for path, body, headers in targets:
            for _ in range(60):
                data = bytearray(body)
                for _ in range(random.randint(1, 4)):
                    data[random.randrange(len(data))] = random.randrange(256)
                answer = session.post(
                    server.url + path, data=bytes(data), headers=headers, timeout=60
                )
                assert answer.status_code in (200, 400, 413), answer.text
                if answer.status_code != 200 and "json" in answer.headers["Content-Type"]:
                    assert json.loads(answer.text)["error"]["message"]
    assert server.alive()
