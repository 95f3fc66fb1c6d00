"""Sending over TLS: the server's certificate is verified, the client's is shown, and what fails is said."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from collector import Collector

from conftest import Program

SEND = """
    import varan
    for i in range(3):
        with varan.span("over tls", text="x" * 40000):
            pass
        print(varan.flush(60))
    print(varan.stats()["last_error"])
"""
REFUSED = """
    import time, varan
    with varan.span("over tls"):
        pass
    deadline = time.monotonic() + 60
    while not varan.stats()["last_error"] and time.monotonic() < deadline:
        print(varan.flush(0.5))
    print(varan.stats()["last_error"])
"""


def openssl(*words: str, folder: Path) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and certificates by it for the server (127.0.0.1, localhost) and a client."""
    folder = tmp_path_factory.mktemp("keys")
    new = ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(*new, "-x509", "-days", "2", "-subj", "/CN=test authority",
            "-keyout", "ca.key", "-out", "ca.pem", folder=folder)  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        openssl(*new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                folder=folder)  # fmt: skip
        openssl("x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey",
                "ca.key", "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem",
                folder=folder)  # fmt: skip
    return folder


@pytest.fixture
def secure(keys: Path) -> Iterator[Collector]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    context.load_verify_locations(keys / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    c = Collector()
    c.server.socket = context.wrap_socket(
        c.server.socket, server_side=True, do_handshake_on_connect=False
    )
    c.endpoint = c.endpoint.replace("http://", "https://")
    yield c
    c.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_spans_arrive(program: Program, secure: Collector, keys: Path, host: str) -> None:
    done = program.run(
        SEND,
        VARAN_ENDPOINT=secure.endpoint.replace("127.0.0.1", host),
        OTEL_EXPORTER_OTLP_CERTIFICATE=str(keys / "ca.pem"),
        OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=str(keys / "client.pem"),
        OTEL_EXPORTER_OTLP_CLIENT_KEY=str(keys / "client.key"),
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="authorization=Bearer%20x",
    )
    assert done.stdout == "True\nTrue\nTrue\n\n"
    assert len(secure.named("over tls")) == 3
    headers = [h for path, h in secure.requests if path == "/v1/traces"]
    assert headers[0]["authorization"] == "Bearer x"


def test_unknown_authority_is_refused(program: Program, secure: Collector) -> None:
    done = program.run(REFUSED, VARAN_ENDPOINT=secure.endpoint, VARAN_EXIT_TIMEOUT_MS="100")
    assert "the server's certificate is not trusted" in done.stdout and not secure.spans


def test_another_name_is_refused(program: Program, secure: Collector, keys: Path) -> None:
    done = program.run(
        REFUSED,
        VARAN_ENDPOINT=secure.endpoint.replace("127.0.0.1", "127.0.0.2"),
        OTEL_EXPORTER_OTLP_CERTIFICATE=str(keys / "ca.pem"),
        VARAN_EXIT_TIMEOUT_MS="100",
    )
    assert not secure.spans and "True" not in done.stdout


def test_missing_file_is_named(program: Program, secure: Collector) -> None:
    done = program.run(
        REFUSED,
        VARAN_ENDPOINT=secure.endpoint,
        OTEL_EXPORTER_OTLP_CERTIFICATE="/no/such.pem",
        VARAN_EXIT_TIMEOUT_MS="100",
    )
    assert "certificates of authorities cannot be read: /no/such.pem" in done.stdout


def test_grpc_is_answered_clearly(program: Program, collector: Collector) -> None:
    done = program.run(
        "import varan",
        OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4317",
    )
    assert "OTEL_EXPORTER_OTLP_PROTOCOL='grpc' is not spoken: http/protobuf is used" in done.stderr
