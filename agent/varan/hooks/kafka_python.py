"""kafka-python: sending, and the work on each message that a consumer hands out, until the next one is asked for."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from . import _messages

TRACER = _core.Tracer("varan.kafka", _core.version)
SYSTEM = "kafka"


def note_record(span: Any, partition: Any, offset: Any, group: Any = None) -> None:
    span.set("messaging.destination.partition.id", str(partition))
    span.set("messaging.kafka.offset", offset)
    if group:
        span.set("messaging.consumer.group.name", group)


def received(tracer: Any, batches: Any) -> None:
    """A span for each topic's part of a batch; `batches`: topic and records, which have headers."""
    try:
        topics: dict[str, list[Any]] = {}
        for topic, records in batches:
            topics.setdefault(topic, []).extend(record.headers for record in records)
        for topic, headers in topics.items():
            _messages.start_receiving(tracer, SYSTEM, topic, headers).end()
    except Exception:
        pass


def _wrap_producer(producer: Any) -> None:
    send = producer.send

    @functools.wraps(send)
    def traced_send(
        self: Any, topic: str, value: Any = None, key: Any = None, headers: Any = None, *args: Any, **kwargs: Any
    ) -> Any:  # fmt: skip
        span = None
        try:
            span = _messages.start_sending(TRACER, SYSTEM, topic)
            added = _messages.identifiers(span)
            headers = [*(headers or ()), *((k, v.encode()) for k, v in added.items())]
        except Exception:
            pass
        if span is None:
            return send(self, topic, value, key, headers, *args, **kwargs)
        try:
            future = send(self, topic, value, key, headers, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            span.end()
            raise

        def sent(metadata: Any) -> None:
            note_record(span, metadata.partition, metadata.offset)
            span.end()

        def failed(error: BaseException) -> None:
            span.fail(error)
            span.end()

        # The broker's answer comes to another thread. A producer that ends before has sent, as far as one knows.
        future.add_callback(sent)
        future.add_errback(failed)
        return future

    producer.send = traced_send


def _wrap_consumer(consumer: Any) -> None:
    following, poll, close = consumer.__next__, consumer.poll, consumer.close

    @functools.wraps(following)
    def traced_next(self: Any) -> Any:
        processing = _messages.processing_of(self)
        processing.end()
        record = following(self)
        try:
            span = _messages.start_processing(TRACER, SYSTEM, record.topic, record.headers)
            note_record(span, record.partition, record.offset, self.config.get("group_id"))
            processing.begin(span)
        except Exception:
            pass
        return record

    @functools.wraps(poll)
    def traced_poll(self: Any, *args: Any, **kwargs: Any) -> Any:
        batch = poll(self, *args, **kwargs)
        # The iterator of some versions polls itself, with this argument.
        if batch and kwargs.get("update_offsets", True):
            received(TRACER, ((partition.topic, records) for partition, records in batch.items()))
        return batch

    @functools.wraps(close)
    def traced_close(self: Any, *args: Any, **kwargs: Any) -> Any:
        _messages.processing_of(self).end()
        return close(self, *args, **kwargs)

    consumer.__next__ = traced_next
    consumer.poll = traced_poll
    consumer.close = traced_close


def install(module: Any) -> None:
    if hasattr(module, "KafkaProducer"):
        _wrap_producer(module.KafkaProducer)
    else:
        _wrap_consumer(module.KafkaConsumer)
