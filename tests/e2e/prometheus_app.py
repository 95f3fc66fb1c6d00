"""An application measured by prometheus_client: prometheus_app.py PROCESSES.

One process exposes OpenMetrics with exemplars; several share their metrics through files and expose the sum. After
SIGUSR1 it works no more and its figures stand still.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import prometheus_client as client
from prometheus_client import multiprocess
from prometheus_client.openmetrics import exposition

PROCESSES = int(sys.argv[1])
several = PROCESSES > 1

requests = client.Counter("app_requests", "Requests answered.", ["route", "status"])
latency = client.Histogram("app_latency_seconds", "Time to answer.", ["route"])
size = client.Summary("app_response_size_bytes", "Size of answers.", ["route"])
in_flight = client.Gauge(
    "app_in_flight", "Requests being answered.", multiprocess_mode="livesum" if several else "all"
)
level = client.Gauge(
    "app_level", "A level above and below zero.", multiprocess_mode="max" if several else "all"
)
if not several:
    client.Info("app_build", "What runs.").info({"version": "1.4.2"})
    state = client.Enum("app_state", "What it does.", states=["idle", "busy"])


def work(seed: int, stopped) -> None:
    chance = random.Random(seed)
    server = os.getppid() if several else None

    def wanted() -> bool:  # what killed the server did not tell its workers
        return not several or os.getppid() == server

    while wanted() and not stopped.is_set():
        for route, typical in (("/", 0.02), ("/search", 0.2), ("/checkout", 0.6)):
            took = chance.lognormvariate(math.log(typical), 0.5)
            status = chance.choices(["200", "404", "500"], [94, 4, 2])[0]
            exemplar = None if several else {"trace_id": f"{chance.getrandbits(128):032x}"}
            requests.labels(route, status).inc(exemplar=exemplar)
            latency.labels(route).observe(took, exemplar=exemplar)
            size.labels(route).observe(chance.randint(300, 90000))
        in_flight.set(chance.randint(0, 30))
        level.set(math.sin(time.time() / 10) * 20)
        if not several:
            state.state(chance.choice(["idle", "busy"]))
        time.sleep(0.05)
    # A process that ends would take its live gauges along.
    while several and wanted():
        time.sleep(1)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if several:
            registry = client.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
            body, kind = client.generate_latest(registry), client.CONTENT_TYPE_LATEST
        else:
            body = exposition.generate_latest(client.REGISTRY)
            kind = exposition.CONTENT_TYPE_LATEST
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    stopped = context.Event() if several else threading.Event()
    for seed in range(PROCESSES):
        if several:
            context.Process(target=work, args=(seed, stopped), daemon=True).start()
        else:
            threading.Thread(target=work, args=(seed, stopped), daemon=True).start()
    signal.signal(signal.SIGUSR1, lambda *_: stopped.set())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
