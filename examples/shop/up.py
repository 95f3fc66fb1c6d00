"""Starts the whole demonstration: the server, the shop's two services under the agent, and some load.

    python examples/shop/up.py [--varan build/varan] [--rate 8] [--seconds N]

It prints the page's address and what to look at, and stops everything it started on Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

WHAT_TO_LOOK_AT = """
  Varan's page   {page}
  The shop       {gateway}   (gateway → orders on {orders})

  What to look at
    1. Services: the map of calls, and which service is slow or failing.
    2. orders → "GET /search": the slow endpoint. Open one of its traces and read the SQL statement.
    3. orders → "GET /customers/<int:customer_id>/history": one query per item (N+1).
    4. gateway → "POST /checkout": fails for the coupon SPRING-0; the trace shows the exception and its line.
    5. Logs: type  level>=warn  or click a line to get to its trace.
    6. Profiles: the flame graph of orders; "Own code", then a click on search: its lines, with their share of the time.

  Faults can be switched: curl -X PUT '{orders}/admin/faults?slow_query=off'
  Ctrl-C stops everything.
"""


def hold_port(wanted: int) -> socket.socket:
    """A socket at `wanted` (0: any) when nothing listens there, else at one that is free. It never listens: who
    shares addresses, as servers do, may listen there, and the kernel gives the port to nobody else meanwhile."""
    for port in (wanted, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        return held
    raise SystemExit("no free port on 127.0.0.1")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Demo:
    """The processes of the demonstration, and their folder of logs and data."""

    def __init__(self, varan: str, folder: Path, usual_ports: bool):
        self.varan, self.folder, self.usual_ports = varan, folder, usual_ports
        self.children: list[tuple[str, subprocess.Popen, Path]] = []
        self.held: list[socket.socket] = []
        folder.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], **environment: str) -> subprocess.Popen:
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=HERE.parent,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        self.children.append((name, child, log))
        return child

    def address(self, port: int) -> str:
        """Where to listen: at the usual port when it is free, else at another."""
        self.held.append(hold_port(port if self.usual_ports else 0))
        return f"127.0.0.1:{self.held[-1].getsockname()[1]}"

    def wait_for(self, name: str, url: str, seconds: float = 120) -> None:
        """Waits until `url` answers; ends the demonstration with the log's last lines when it does not."""
        end = time.monotonic() + seconds
        while not answers(url):
            for started, child, log in self.children:
                if child.poll() is not None:
                    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                    raise SystemExit(
                        f"{started} ended with status {child.returncode}:\n{tail}\n(all of it: {log})"
                    )
            if time.monotonic() > end:
                raise SystemExit(
                    f"{name} did not answer on {url} within {seconds:.0f} s; see {self.folder}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        for _, child, _ in reversed(self.children):
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
        for name, child, _ in reversed(self.children):
            try:
                child.wait(12)
            except subprocess.TimeoutExpired:
                print(f"{name} did not stop; killed", file=sys.stderr)
                os.killpg(child.pid, signal.SIGKILL)


def start_server(demo: Demo) -> dict:
    """Starts `varan serve` and returns its addresses."""
    port_file = demo.folder / "ports.json"
    port_file.unlink(missing_ok=True)
    options = ["--data-dir", str(demo.folder / "data"), "--port-file", str(port_file)]
    for option, port in (("--listen", 8272), ("--otlp-http", 4318), ("--otlp-grpc", 4317)):
        options += [option, demo.address(port)]
    demo.start("server", [demo.varan, "serve", *options])
    page = f"http://127.0.0.1:{options[options.index('--listen') + 1].rpartition(':')[2]}"
    demo.wait_for("the server", page + "/readyz")
    ports = json.loads(port_file.read_text())
    return {"page": page, "otlp": f"http://127.0.0.1:{ports['otlp_http']}"}


def start_shop(demo: Demo, endpoint: str) -> dict:
    """Seeds the database, starts both services under the agent, and returns their addresses."""
    database = str(demo.folder / "shop.db")
    seeding = (
        "import sys; from shop.models import open_engine, seed; seed(open_engine(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", seeding, database], cwd=HERE.parent, check=True)
    orders, gateway = demo.address(8281), demo.address(8280)
    run = [demo.varan, "run", "--service"]
    python = [sys.executable, "-m"]
    common = {
        "VARAN_ENDPOINT": endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=shop,service.version=1.4.2",
    }
    demo.start(
        "orders",
        [
            *run,
            "orders",
            "--",
            *python,
            "gunicorn",
            "--workers",
            "2",
            "--threads",
            "4",
            "-b",
            orders,
            "shop.orders:app",
        ],
        SHOP_DATABASE=database,
        **common,
    )
    demo.wait_for("the order service", f"http://{orders}/healthz")
    host, _, port = gateway.partition(":")
    demo.start(
        "gateway",
        [
            *run,
            "gateway",
            "--",
            *python,
            "uvicorn",
            "--host",
            host,
            "--port",
            port,
            "--log-level",
            "warning",
            "shop.gateway:app",
        ],
        SHOP_ORDERS=f"http://{orders}",
        **common,
    )
    demo.wait_for("the gateway", f"http://{gateway}/healthz")
    return {"orders": f"http://{orders}", "gateway": f"http://{gateway}"}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--varan", default=str(ROOT / "build" / "varan"), help="the binary (default %(default)s)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / ".cache" / "demo",
        help="data and logs (default %(default)s)",
    )
    parser.add_argument(
        "--rate", type=float, default=8, help="requests a second (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, help="stop by itself after so long")
    parser.add_argument(
        "--ports", type=Path, help="write the addresses to this file as JSON once all is up"
    )
    parser.add_argument("--any-ports", action="store_true", help="do not try the usual ports first")
    options = parser.parse_args()
    if not Path(options.varan).exists():
        raise SystemExit(f"{options.varan} does not exist; run 'make build' first")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo = Demo(str(Path(options.varan).resolve()), options.folder.resolve(), not options.any_ports)
    try:
        server = start_server(demo)
        addresses = {**server, **start_shop(demo, server["otlp"])}
        demo.start(
            "load",
            [
                sys.executable,
                "-m",
                "shop.load",
                "--url",
                addresses["gateway"],
                "--rate",
                str(options.rate),
            ],
        )
        print(WHAT_TO_LOOK_AT.format(**addresses), flush=True)
        if options.ports:
            options.ports.write_text(json.dumps(addresses))
        end = time.monotonic() + options.seconds if options.seconds else None
        while end is None or time.monotonic() < end:
            for name, child, log in demo.children:
                if child.poll() is not None:
                    raise SystemExit(f"{name} ended with status {child.returncode}; see {log}")
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("\nstopping")
    finally:
        demo.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
