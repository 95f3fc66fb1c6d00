"""Prometheus and its exporters beside a test: Debian's own builds, on free ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from conftest import ROOT, wait_until


class Process:
    """A program that logs the address it listens on."""

    def __init__(self, command: list[str], folder: Path, name: str, env: dict | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.log = name, folder / f"{name}.log"
        if not shutil.which(command[0]):
            pytest.fail(f"{command[0]} is not on this machine; `tools/setup --test` installs it")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env={**os.environ, **(env or {})}
            )
        try:
            self.address = wait_until(self._listening, 120, f"{name} listening")
        except BaseException:
            self.process.kill()
            raise
        self.url = f"http://{self.address}"

    def _listening(self) -> str | None:
        text = self.log.read_text()
        if self.process.poll() is not None:
            pytest.fail(f"{self.name} ended with {self.process.returncode}:\n{text[-3000:]}")
        found = re.search(r'[Ll]istening on"? *(?:address=)?(127\.0\.0\.1:\d+)', text)
        return found[1] if found else None

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)


def start_prometheus(folder: Path, config: str = "") -> Process:
    """Prometheus with exemplars, native histograms and the receiver of remote write."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(config or "scrape_configs: []\n")
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'tsdb'}", "--web.listen-address=127.0.0.1:0"]
    command += ["--web.enable-remote-write-receiver"]
    command += ["--enable-feature=exemplar-storage,native-histograms"]
    started = Process(command, folder, "prometheus")
    try:
        wait_until(
            lambda: requests.get(started.url + "/-/ready", timeout=60).status_code == 200,
            60,
            "Prometheus getting ready",
        )
    except BaseException:
        started.stop()
        raise
    return started


def start_node_exporter(folder: Path) -> Process:
    command = ["prometheus-node-exporter", "--web.listen-address=127.0.0.1:0"]
    return Process(command, folder, "node-exporter")


def start_application(folder: Path, processes: int) -> Process:
    """The application of prometheus_app.py; several processes share one set of metrics."""
    shared = folder / "multiprocess"
    if processes > 1:
        shared.mkdir(parents=True, exist_ok=True)
    env = {"PROMETHEUS_MULTIPROC_DIR": str(shared)} if processes > 1 else {}
    command = [sys.executable, str(ROOT / "tests/e2e/prometheus_app.py"), str(processes)]
    return Process(command, folder, f"application-{processes}", env)
