"""aiokafka: sending, and the work on each message that a consumer hands out, until the next one is asked for."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from . import _messages
from .kafka_python import SYSTEM, note_record, received

TRACER = _core.Tracer("varan.aiokafka", _core.version)


def _wrap_producer(producer: Any) -> None:
    send = producer.send

    @functools.wraps(send)
    async def traced_send(
        self: Any, topic: str, value: Any = None, key: Any = None, partition: Any = None,
        timestamp_ms: Any = None, headers: Any = None,
    ) -> Any:  # fmt: skip
        try:
            span = _messages.start_sending(TRACER, SYSTEM, topic)
            added = _messages.identifiers(span)
            headers = [*(headers or ()), *((k, v.encode()) for k, v in added.items())]
            span.activate()
        except Exception:
            return await send(self, topic, value, key, partition, timestamp_ms, headers)
        try:
            future = await send(self, topic, value, key, partition, timestamp_ms, headers)
        except Exception as error:
            span.fail(error)
            span.finish()
            raise
        span.deactivate()
        future.add_done_callback(functools.partial(_sent, span))
        return future

    producer.send = traced_send


def _sent(span: Any, future: Any) -> None:
    try:
        error = None if future.cancelled() else future.exception()
        if error is not None:
            span.fail(error)
        elif not future.cancelled():
            metadata = future.result()
            note_record(span, metadata.partition, metadata.offset)
    finally:
        span.end()


def _wrap_consumer(consumer: Any) -> None:
    getone, getmany, stop = consumer.getone, consumer.getmany, consumer.stop

    @functools.wraps(getone)
    async def traced_getone(self: Any, *args: Any) -> Any:
        processing = _messages.processing_of(self)
        processing.end()
        record = await getone(self, *args)
        try:
            span = _messages.start_processing(TRACER, SYSTEM, record.topic, record.headers)
            note_record(span, record.partition, record.offset, self._group_id)
            processing.begin(span)
        except Exception:
            pass
        return record

    @functools.wraps(getmany)
    async def traced_getmany(self: Any, *args: Any, **kwargs: Any) -> Any:
        batch = await getmany(self, *args, **kwargs)
        if batch:
            received(TRACER, ((partition.topic, records) for partition, records in batch.items()))
        return batch

    @functools.wraps(stop)
    async def traced_stop(self: Any) -> Any:
        _messages.processing_of(self).end()
        return await stop(self)

    consumer.getone = traced_getone
    consumer.getmany = traced_getmany
    consumer.stop = traced_stop


def install(module: Any) -> None:
    if hasattr(module, "AIOKafkaProducer"):
        _wrap_producer(module.AIOKafkaProducer)
    else:
        _wrap_consumer(module.AIOKafkaConsumer)
