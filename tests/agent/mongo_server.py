"""Enough of MongoDB's wire protocol for a real driver: OP_MSG and OP_QUERY in, canned answers out. No server of that
kind is to be had from Debian."""

from __future__ import annotations

import socketserver
import struct
import threading
from typing import Any

import bson

HELLO = {
    "ismaster": True, "isWritablePrimary": True, "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000,
    "maxWriteBatchSize": 100000, "minWireVersion": 0, "maxWireVersion": 25, "readOnly": False,
    "logicalSessionTimeoutMinutes": 30, "ok": 1.0,
}  # fmt: skip


def answer(command: dict[str, Any]) -> dict[str, Any]:
    name = next(iter(command))
    if name in ("hello", "ismaster", "isMaster"):
        return HELLO
    if name == "find":
        batch = [{"_id": 1, "name": "lizard"}]
        return {
            "cursor": {"id": 0, "ns": f"shop.{command['find']}", "firstBatch": batch},
            "ok": 1.0,
        }
    if name == "insert":
        return {"n": 1, "ok": 1.0}
    if name == "drop":
        return {"ok": 0.0, "errmsg": "ns not found", "code": 26, "codeName": "NamespaceNotFound"}
    if name == "collMod":
        return {"ok": 0.0, "errmsg": "not allowed", "code": 13, "codeName": "Unauthorized"}
    return {"ok": 1.0}


class Handler(socketserver.BaseRequestHandler):
    def _read(self, n: int) -> bytes:
        data = b""
        while len(data) < n:
            piece = self.request.recv(n - len(data))
            if not piece:
                raise ConnectionError
            data += piece
        return data

    def handle(self) -> None:
        try:
            while True:
                size, request, _, kind = struct.unpack("<iiii", self._read(16))
                body = self._read(size - 16)
                if kind == 2004:  # OP_QUERY: flags, name, skip, limit, document
                    start = body.index(b"\0", 4) + 9
                    reply = bson.encode(answer(bson.decode(body[start:])))
                    data = struct.pack("<iqii", 8, 0, 0, 1) + reply
                    head = struct.pack("<iiii", 16 + len(data), 1, request, 1)
                else:  # OP_MSG: flags, a section of kind 0, maybe others
                    length = struct.unpack_from("<i", body, 5)[0]
                    reply = bson.encode(answer(bson.decode(body[5 : 5 + length])))
                    data = struct.pack("<ib", 0, 0) + reply
                    head = struct.pack("<iiii", 16 + len(data), 1, request, 2013)
                self.request.sendall(head + data)
        except (ConnectionError, OSError):
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def start() -> Server:
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
