"""Prometheus' protobuf exposition format (io.prometheus.client.MetricFamily, delimited), as a target writes it."""

from __future__ import annotations

import struct

PROTOBUF = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM = range(6)


def varint(v: int) -> bytes:
    v &= (1 << 64) - 1
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    return bytes([*out, v])


def zigzag(v: int) -> int:
    return v << 1 if v >= 0 else (-v << 1) - 1


def whole(number: int, v: int) -> bytes:
    return varint(number << 3) + varint(v)


def double(number: int, v: float) -> bytes:
    return varint(number << 3 | 1) + struct.pack("<d", v)


def part(number: int, v: bytes | str) -> bytes:
    v = v.encode() if isinstance(v, str) else v
    return varint(number << 3 | 2) + varint(len(v)) + v


def labels(**pairs: str) -> bytes:
    return b"".join(part(1, part(1, name) + part(2, value)) for name, value in pairs.items())


def exemplar(value: float, seconds: float | None = None, **pairs: str) -> bytes:
    out = labels(**pairs) + double(2, value)
    if seconds is not None:
        out += part(3, whole(1, int(seconds)) + whole(2, int(seconds % 1 * 1e9)))
    return out


def spans(number: int, *pairs: tuple[int, int]) -> bytes:
    return b"".join(part(number, whole(1, zigzag(offset)) + whole(2, n)) for offset, n in pairs)


def deltas(number: int, *values: int) -> bytes:
    return part(number, b"".join(varint(zigzag(v)) for v in values))


def bucket(count: int, bound: float, example: bytes = b"") -> bytes:
    return part(3, whole(1, count) + double(2, bound) + (part(3, example) if example else b""))


def metric(field: int, value: bytes, at_ms: int = 0, **pairs: str) -> bytes:
    out = labels(**pairs) + part(field, value)
    return part(4, out + (whole(6, at_ms) if at_ms else b""))


def family(name: str, kind: int, *metrics: bytes, help_: str = "", unit: str = "") -> bytes:
    out = part(1, name) + part(2, help_) + whole(3, kind) + b"".join(metrics)
    out += part(5, unit) if unit else b""
    return varint(len(out)) + out
