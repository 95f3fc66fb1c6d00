"""confluent-kafka: its classes are C types, so the package's names become subclasses of them."""

from __future__ import annotations

from typing import Any

from .. import _core
from . import _messages
from .kafka_python import SYSTEM, note_record

TRACER = _core.Tracer("varan.confluent_kafka", _core.version)


def _headers(message: Any) -> Any:
    return message.headers() if hasattr(message, "headers") else None


def _make_producer(base: type) -> type:
    class Producer(base):  # type: ignore[misc, valid-type]
        def produce(self, topic: Any, value: Any = None, *args: Any, **kwargs: Any) -> Any:
            span = None
            try:
                span = _messages.start_sending(TRACER, SYSTEM, topic)
                if len(args) < 6:  # headers are the ninth parameter at the earliest
                    given = kwargs.get("headers") or []
                    given = list(given.items() if isinstance(given, dict) else given)
                    kwargs["headers"] = given + list(_messages.identifiers(span).items())
            except Exception:
                pass
            try:
                return super().produce(topic, value, *args, **kwargs)
            except Exception as error:
                if span is not None:
                    span.fail(error)
                raise
            finally:
                if span is not None:
                    span.end()

    return Producer


def _make_consumer(base: type) -> type:
    class Consumer(base):  # type: ignore[misc, valid-type]
        def poll(self, *args: Any, **kwargs: Any) -> Any:
            processing = _messages.processing_of(self)
            processing.end()
            message = super().poll(*args, **kwargs)
            try:
                if message is not None and message.error() is None:
                    span = _messages.start_processing(
                        TRACER, SYSTEM, message.topic(), _headers(message)
                    )
                    note_record(span, message.partition(), message.offset())
                    processing.begin(span)
            except Exception:
                pass
            return message

        def consume(self, *args: Any, **kwargs: Any) -> Any:
            batch = super().consume(*args, **kwargs)
            try:
                topics: dict[str, list[Any]] = {}
                for message in batch:
                    if message.error() is None:
                        topics.setdefault(message.topic(), []).append(_headers(message))
                for topic, headers in topics.items():
                    _messages.start_receiving(TRACER, SYSTEM, topic, headers).end()
            except Exception:
                pass
            return batch

        def close(self, *args: Any, **kwargs: Any) -> Any:
            _messages.processing_of(self).end()
            return super().close(*args, **kwargs)

    return Consumer


def install(module: Any) -> None:
    for name, make in (("Producer", _make_producer), ("Consumer", _make_consumer)):
        base = getattr(module, name)
        traced = make(base)
        traced.__module__, traced.__qualname__, traced.__doc__ = base.__module__, name, base.__doc__
        setattr(module, name, traced)
