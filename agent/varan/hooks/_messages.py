"""Spans of messages, by the messaging conventions: sending, and processing what came."""

from __future__ import annotations

import time
from typing import Any

from .. import _core
from ._request import sender

inject = _core.inject
PRODUCER, CONSUMER = 4, 5
LINKS_MAX = 128

# A header with the time of sending, in milliseconds since 1970: the receiver tells how long a message waited.
SENT_AT = "varan-sent-at"


def start_sending(tracer: Any, system: str, destination: str, name: str | None = None) -> Any:
    """A started span for a message on its way out."""
    return tracer.start_span(
        f"send {name or destination}",
        kind=PRODUCER,
        attributes={
            "messaging.system": system,
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": destination,
        },
    )


def identifiers(span: Any, *, timed: bool = False) -> dict[str, str]:
    """The headers that go with a message."""
    headers: dict[str, str] = {}
    inject(span, headers)
    if timed:
        headers[SENT_AT] = str(int(time.time() * 1000))
    return headers


def start_processing(
    tracer: Any, system: str, destination: str, headers: Any, name: str | None = None
) -> Any:
    """A started span, below the sender's, for the work on one message."""
    parent = None
    try:
        parent = sender(headers)
    except Exception:
        pass
    return tracer.start_span(
        f"process {name or destination}",
        context=parent,
        kind=CONSUMER,
        attributes={
            "messaging.system": system,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": destination,
        },
    )


def note_wait(span: Any, sent_at_ms: Any) -> float | None:
    """How long the message waited, in milliseconds, if it says when it was sent; clocks that disagree make no negative
    waits."""
    try:
        waited = max(0.0, time.time() * 1000 - float(sent_at_ms))
    except (TypeError, ValueError):
        return None
    span.set("messaging.message.receive.latency", waited)
    return waited


def start_receiving(tracer: Any, system: str, destination: str, batch: list[Any]) -> Any:
    """A started span for a batch that has been received: linked to the senders. `batch` holds headers."""
    span = tracer.start_span(
        f"receive {destination}",
        kind=CONSUMER,
        attributes={
            "messaging.system": system,
            "messaging.operation.name": "receive",
            "messaging.operation.type": "receive",
            "messaging.destination.name": destination,
            "messaging.batch.message_count": len(batch),
        },
    )
    for headers in batch[:LINKS_MAX]:
        try:
            parent = sender(headers)
            if parent is not None:
                span.add_link(parent)
        except Exception:
            pass
    return span


class Processing:
    """The work on the message that a consumer has handed out lasts until the next one is asked for."""

    __slots__ = ("span",)

    def __init__(self) -> None:
        self.span: Any = None

    def begin(self, span: Any) -> None:
        self.end()
        span.activate()
        self.span = span

    def end(self) -> None:
        span, self.span = self.span, None
        if span is not None:
            span.finish()


def processing_of(consumer: Any) -> Processing:
    found = getattr(consumer, "_varan_processing", None)
    if found is None:
        found = consumer._varan_processing = Processing()
    return found
