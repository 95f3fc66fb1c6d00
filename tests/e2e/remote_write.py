"""Prometheus' remote write (1.0), written by hand: the bytes every sender sends.

https://prometheus.io/docs/specs/prw/remote_write_spec/ and prompb/types.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import cramjam
import requests

STALE_BYTES = struct.pack("<Q", 0x7FF0000000000002)
HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
    "user-agent": "varan-test",
}


def varint(value: int) -> bytes:
    out = bytearray()
    value &= 0xFFFFFFFFFFFFFFFF
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    return (value << 1) ^ (value >> 63)


def _field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def _double(number: int, value: float | bytes) -> bytes:
    packed = value if isinstance(value, bytes) else struct.pack("<d", value)
    return varint(number << 3 | 1) + packed


def _int(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


@dataclass
class Native:
    """An integer native histogram: counts by bucket index, from `offset` on, without gaps."""

    count: int
    sum: float
    schema: int = 3
    zero_threshold: float = 1e-9
    zero_count: int = 0
    offset: int = 0
    counts: tuple[int, ...] = ()

    def encode(self, timestamp: int) -> bytes:
        out = _int(1, self.count) + _double(3, self.sum)
        out += varint(4 << 3) + varint(zigzag(self.schema)) + _double(5, self.zero_threshold)
        out += _int(6, self.zero_count)
        if self.counts:
            span = varint(1 << 3) + varint(zigzag(self.offset)) + _int(2, len(self.counts))
            out += _field(11, span)
            deltas, last = b"", 0
            for count in self.counts:
                deltas += varint(zigzag(count - last))
                last = count
            out += _field(12, deltas)
        return out + _int(15, timestamp)


@dataclass
class Series:
    """One series: labels (with `__name__`), (milliseconds, value) in order, exemplars likewise. A value may be the
    eight bytes of a NaN."""

    labels: dict[str, str]
    samples: list[tuple[int, float | bytes]] = field(default_factory=list)
    histograms: list[tuple[int, Native]] = field(default_factory=list)
    exemplars: list[tuple[int, float, dict[str, str]]] = field(default_factory=list)

    def between(self, start: int, end: int) -> Series:
        """The part of the series whose time is in [start, end)."""

        def cut(rows):
            return [row for row in rows if start <= row[0] < end]

        return Series(self.labels, cut(self.samples), cut(self.histograms), cut(self.exemplars))

    def encode(self) -> bytes:
        out = b"".join(_field(1, _label(n, v)) for n, v in sorted(self.labels.items()))
        for time, value in self.samples:
            out += _field(2, _double(1, value) + _int(2, time))
        for time, value, labels in self.exemplars:
            body = b"".join(_field(1, _label(n, v)) for n, v in sorted(labels.items()))
            out += _field(3, body + _double(2, value) + _int(3, time))
        for time, native in self.histograms:
            out += _field(4, native.encode(time))
        return out


def _label(name: str, value: str) -> bytes:
    return _field(1, name.encode()) + _field(2, value.encode())


def encode(series: Iterable[Series]) -> bytes:
    """A WriteRequest, compressed as the protocol wants."""
    body = b"".join(_field(1, one.encode()) for one in series)
    return bytes(cramjam.snappy.compress_raw(body))


def send(url: str, series: Iterable[Series]) -> None:
    answer = requests.post(url, data=encode(series), headers=HEADERS, timeout=60)
    assert answer.status_code in (200, 204), f"{url}: {answer.status_code} {answer.text[:500]}"


def send_in_order(urls: Iterable[str], series: list[Series], slice_ms: int = 600_000) -> None:
    """Sends everything to all addresses, a slice of time after another as a sender would."""
    times = [row[0] for one in series for row in (*one.samples, *one.histograms)]
    for start in range(min(times), max(times) + 1, slice_ms):
        part = [one.between(start, start + slice_ms) for one in series]
        part = [one for one in part if one.samples or one.histograms]
        if part:
            for url in urls:
                send(url, part)
