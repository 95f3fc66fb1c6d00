"""The servers that bench_metrics.py compares: Varan, and Debian's Prometheus and VictoriaMetrics."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from common import TICKS, Server, free_port

READY_SECONDS_MAX = 120


def debian_version(package: str) -> str:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split("+")[0].split("-")[0] or "unknown"


def get(url: str, seconds: float = 300) -> bytes:
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return answer.read()


class Peer:
    """One server: where it takes remote write and answers queries, what it costs."""

    name = version = write_path = api = ""
    restarts_for_first_asks = True

    def query_url(self, path: str, **params) -> str:
        return f"{self.url}{self.api}{path}?{urllib.parse.urlencode(params)}"

    def query(self, path: str, **params):
        return json.loads(get(self.query_url(path, **params)))["data"]

    def timed(self, **params) -> float:
        """Seconds of one query_range, to the last byte of the answer."""
        url = self.query_url("/query_range", **params)
        begin = time.monotonic()
        get(url)
        return time.monotonic() - begin

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def anonymous_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def settle(self, seconds: float = 120) -> None:
        """Waits until merges and compactions are done, or very slow."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before = self.cpu_seconds()
            time.sleep(1)
            if self.cpu_seconds() - before < 0.1:
                return

    def flush(self) -> None:
        """Makes everything visible that was acknowledged."""


class Varan(Peer):
    name, api = "varan", "/prometheus/api/v1"
    write_path = api + "/write"

    def __init__(self, scrape: Path | None = None):
        options = ("--prometheus-config", str(scrape)) if scrape else ()
        self.server = Server(*options)
        self.url, self.pid = self.server.url, self.server.process.pid

    def stored(self) -> tuple[int, int]:
        """(samples, bytes on disk of all that metrics are kept in). Without the downsampled tables: the others have
        none, and whether the keeper has filled them yet depends on the time."""
        (rows,) = self.server.sql("SELECT count() FROM samples")
        (size,) = self.server.sql(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND "
            "database = currentDatabase() AND (table LIKE '%samples%' OR table LIKE '%series%' "
            "OR table LIKE '%histograms%') AND table NOT LIKE 'profile%' "
            "AND table NOT IN ('samples_5m', 'samples_1h')"
        )
        return int(rows[0]), int(size[0])

    def restart(self) -> float:
        """Stops it and starts it on the same data: seconds until it says that it is ready."""
        self.server.stop()
        self.server.start()
        self.url, self.pid = self.server.url, self.server.process.pid
        return self.server.ready_seconds

    def close(self) -> None:
        self.server.close()


class External(Peer):
    """A program of another project, in a folder of its own."""

    def __init__(self, scrape: Path | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.name}-bench-"))
        self.scrape = scrape
        self.start()

    def start(self) -> float:
        self.url = f"http://127.0.0.1:{free_port()}"
        command = self.command(self.scrape)
        if not shutil.which(command[0]):
            sys.exit(f"{command[0]} is not installed: tools/setup --test installs it")
        begin = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        self.pid = self.process.pid
        while True:
            try:
                get(self.url + self.ready, 5)
                return time.monotonic() - begin
            except OSError:
                if self.process.poll() is not None or time.monotonic() > begin + READY_SECONDS_MAX:
                    sys.exit((self.folder / "log").read_text()[-2000:])
                time.sleep(0.01)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def restart(self) -> float:
        self.stop()
        return self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Prometheus(External):
    name, api, ready = "prometheus", "/api/v1", "/-/ready"
    write_path = "/api/v1/write"
    version = debian_version("prometheus")
    # Its start replays the log, for long; it keeps no samples or answers that a start would take.
    restarts_for_first_asks = False

    def command(self, scrape: Path | None) -> list[str]:
        config = scrape or self.folder / "empty.yml"
        if not scrape:
            config.write_text("scrape_configs: []\n")
        return [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=1y",
        ]

    def stored(self) -> tuple[int, int]:
        """Of its finished blocks alone: what is still in memory and in the log is not counted."""
        rows = size = 0
        for meta in self.folder.glob("data/*/meta.json"):
            rows += json.loads(meta.read_text())["stats"].get("numSamples", 0)
            size += sum(f.stat().st_size for f in meta.parent.rglob("*") if f.is_file())
        return rows, size


class VictoriaMetrics(External):
    name, api, ready = "victoria-metrics", "/api/v1", "/health"
    write_path = "/api/v1/write"
    version = debian_version("victoria-metrics")

    def command(self, scrape: Path | None) -> list[str]:
        return [
            "victoria-metrics",
            f"-storageDataPath={self.folder / 'data'}",
            f"-httpListenAddr={self.url.removeprefix('http://')}",
            "-retentionPeriod=1y",
            *([f"-promscrape.config={scrape}"] if scrape else []),
        ]

    def query_url(self, path: str, **params) -> str:
        # Without its cache of results: a query is asked many times here, elsewhere it is not.
        return super().query_url(path, **params, nocache=1)

    def flush(self) -> None:
        get(self.url + "/internal/force_flush")

    def stored(self) -> tuple[int, int]:
        get(self.url + "/internal/force_merge")
        self.settle()
        rows = size = 0
        for line in get(self.url + "/metrics").decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name.startswith("vm_rows{") and "storage/" in name:
                rows += int(float(value))
            elif name.startswith("vm_data_size_bytes{"):
                size += int(float(value))
        return rows, size


EVERYONE = (Varan, Prometheus, VictoriaMetrics)
