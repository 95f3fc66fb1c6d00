"""A server that scrapes, and targets whose answers a test chooses."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from conftest import Server, wait_until

TEXT = "text/plain; version=0.0.4"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exporter:
    """An HTTP server whose answer a test chooses; what it was asked is kept."""

    def __init__(
        self, body: str | bytes = "", kind: str = TEXT, tls: tuple[Path, Path] | None = None
    ):
        self.body, self.kind, self.status, self.headers = body, kind, 200, {}
        self.gzip, self.auth, self.asked, self.paths = False, None, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(dict(self.headers))
                outer.paths.append(self.path)
                del outer.asked[:-5], outer.paths[:-5]
                status, body = outer.status, outer.body
                body = body.encode() if isinstance(body, str) else body
                if outer.auth and self.headers.get("Authorization") != outer.auth:
                    status = 401
                self.send_response(status)
                if outer.kind:
                    self.send_header("Content-Type", outer.kind)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                if outer.gzip and "gzip" in self.headers.get("Accept-Encoding", ""):
                    body = gzip.compress(body)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    pass  # a client that has read enough

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Scraping:
    """A server with a scrape configuration, and questions to it."""

    def __init__(self, folder: Path):
        self.folder, self.file, self.exporters = folder, folder / "prometheus.yml", []
        self.server: Server | None = None

    def exporter(self, *args, **kwargs) -> Exporter:
        self.exporters.append(Exporter(*args, **kwargs))
        return self.exporters[-1]

    def write(self, *jobs: dict, **top) -> None:
        config = {"global": {"scrape_interval": "500ms"}, "scrape_configs": list(jobs), **top}
        self.file.write_text(json.dumps(config, indent=1))  # JSON is YAML

    def start(self, *jobs: dict, options: tuple[str, ...] = ()) -> None:
        self.write(*jobs)
        self.server = Server(
            self.folder,
            "--prometheus-config",
            str(self.file),
            "--commit-interval=50ms",
            *options,
        ).start()

    def query(self, text: str) -> dict[tuple, float]:
        answer = requests.get(
            self.server.url + "/prometheus/api/v1/query", params={"query": text}, timeout=60
        ).json()
        assert answer["status"] == "success", answer
        return {
            tuple(sorted(r["metric"].items())): float(r["value"][1])
            for r in answer["data"]["result"]
        }

    def value(self, text: str) -> float | None:
        values = list(self.query(text).values())
        return values[0] if len(values) == 1 else None

    def wait(self, text: str, value: float | None) -> None:
        wait_until(lambda: self.value(text) == value, 60, f"{text} being {value}")

    def reload(self) -> requests.Response:
        return requests.post(self.server.url + "/-/reload", timeout=60)

    def stop(self) -> None:
        if self.server:
            assert self.server.alive(), self.server.log.read_text()[-4000:]
            assert self.server.stop() == 0
        for exporter in self.exporters:
            exporter.close()


@pytest.fixture
def scraping(tmp_path):
    s = Scraping(tmp_path)
    try:
        yield s
    finally:
        s.stop()


def job(name: str, *targets: str, **more) -> dict:
    return {"job_name": name, "static_configs": [{"targets": list(targets)}], **more}
