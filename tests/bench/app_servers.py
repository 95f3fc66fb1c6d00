"""Servers for bench_agent.py: gunicorn and uvicorn with the applications of server_apps.py, one process each, without an
agent, with Varan and with each peer; and the other service that their requests call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common import free_port, wait_or_kill
from contestants import clean_environment, install_peers

HERE = Path(__file__).parent
UPSTREAM_DELAY_S = 0.003
START_S = 60

GUNICORN = ["gunicorn", "-w", "1", "--threads", "4", "--keep-alive", "30", "-b", "127.0.0.1:PORT", "server_apps:app"]  # fmt: skip
UVICORN = ["uvicorn", "--port", "PORT", "--log-level", "warning", "--no-access-log", "server_apps:app"]  # fmt: skip
# title → framework, command; each server keeps one CPU busy, the load another
SERVERS = {
    "gunicorn, Flask": ("flask", GUNICORN),
    "gunicorn, Django": ("django", GUNICORN),
    "uvicorn, FastAPI": ("fastapi", UVICORN),
}
# Further contestants: who they are, and what else stands in their environment
VARIANTS = {"bare-again": ("bare", {}), "varan-plain": ("varan", {"VARAN_PROFILER": "off"})}


def wait_for(port: int, process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError(f"{what} does not start") from None
            time.sleep(0.05)


class Server:
    def __init__(self, title: str, name: str, endpoint: str, upstream: int, folder: str) -> None:
        framework, command = SERVERS[title]
        way, more = VARIANTS.get(name, (name, {}))
        self.name = f"{title} ({name})"
        self.port = free_port()
        words = [word.replace("PORT", str(self.port)) for word in command]
        env = {k: v for k, v in clean_environment().items() if not k.startswith("PYTHON")}
        env.update(
            BENCH_WAY=way, BENCH_ENDPOINT=endpoint, BENCH_FRAMEWORK=framework,
            BENCH_UPSTREAM=f"http://127.0.0.1:{upstream}/rate", BENCH_DATABASE=f"{folder}/{name}.sqlite3",
            PYTHONPATH=str(HERE), **more,
        )  # fmt: skip
        if way == "varan":
            import varan

            package = os.path.dirname(os.path.dirname(os.path.abspath(varan.__file__)))
            env["PYTHONPATH"] = os.pathsep.join([varan.bootstrap_path(), package, str(HERE)])
            env.update(VARAN_ENDPOINT=endpoint, VARAN_SERVICE="bench")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words], env=env, cwd=folder, stderr=subprocess.DEVNULL
        )
        wait_for(self.port, self.process, self.name)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        wait_or_kill(self.process, 15)


@contextlib.contextmanager
def started(title: str, ways: tuple[str, ...], endpoint: str) -> Iterator[dict[str, Server]]:
    """A server for each contestant, all alive at once."""
    install_peers()
    servers: dict[str, Server] = {}
    port = free_port()
    upstream = subprocess.Popen([sys.executable, __file__, str(port)])
    with tempfile.TemporaryDirectory() as folder:
        try:
            wait_for(port, upstream, "the other service")
            for way in ways:
                servers[way] = Server(title, way, endpoint, port, folder)
            yield servers
        finally:
            for server in servers.values():
                server.stop()
            upstream.kill()
            upstream.wait()


# ---- the other service ----


class Upstream(asyncio.Protocol):
    """Answers each request, of which there is no body, after a while."""

    ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"rate": 1.1}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if data.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(UPSTREAM_DELAY_S, self.answer)

    def answer(self) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(self.ANSWER)


async def serve_upstream(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve_upstream(int(sys.argv[1])))
