"""pika, blocking and asynchronous: publishing, and the work of the consumers' callbacks."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from . import _messages

TRACER = _core.Tracer("varan.pika", _core.version)
SYSTEM = "rabbitmq"


def _destination(exchange: str, routing_key: str) -> str:
    return ":".join(part for part in (exchange, routing_key) if part) or "amq.default"


def _wrap_publish(channel: Any) -> None:
    publish = channel.basic_publish

    @functools.wraps(publish)
    def traced_publish(
        self: Any, exchange: Any, routing_key: Any, body: Any, properties: Any = None, *args: Any, **kwargs: Any
    ) -> Any:  # fmt: skip
        try:
            import copy

            from pika.spec import BasicProperties

            span = _messages.start_sending(TRACER, SYSTEM, _destination(exchange, routing_key))
            span.set("messaging.rabbitmq.destination.routing_key", routing_key)
            # The application may use its object for the next message.
            ours = BasicProperties() if properties is None else copy.copy(properties)
            ours.headers = {**(ours.headers or {}), **_messages.identifiers(span)}
        except Exception:
            return publish(self, exchange, routing_key, body, properties, *args, **kwargs)
        try:
            return publish(self, exchange, routing_key, body, ours, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()

    channel.basic_publish = traced_publish


def _traced_callback(callback: Any, queue: str) -> Any:
    @functools.wraps(callback, updated=())
    def traced(channel: Any, method: Any, properties: Any, body: Any) -> Any:
        try:
            headers = getattr(properties, "headers", None)
            span = _messages.start_processing(TRACER, SYSTEM, queue or method.routing_key, headers)
            span.set("messaging.rabbitmq.destination.routing_key", method.routing_key)
            span.set("messaging.rabbitmq.message.delivery_tag", method.delivery_tag)
            span.activate()
        except Exception:
            return callback(channel, method, properties, body)
        try:
            return callback(channel, method, properties, body)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    return traced


def _wrap_consume(channel: Any, blocking: bool) -> None:
    consume = channel.basic_consume

    @functools.wraps(consume)
    def traced_consume(
        self: Any, queue: Any, on_message_callback: Any, *args: Any, **kwargs: Any
    ) -> Any:
        owner = type(getattr(on_message_callback, "__self__", None)).__name__
        if callable(on_message_callback) and (blocking or owner != "BlockingChannel"):
            on_message_callback = _traced_callback(on_message_callback, queue)
        return consume(self, queue, on_message_callback, *args, **kwargs)

    channel.basic_consume = traced_consume


def install(module: Any) -> None:
    if hasattr(module, "BlockingChannel"):
        _wrap_consume(module.BlockingChannel, True)
    else:
        _wrap_publish(module.Channel)
        _wrap_consume(module.Channel, False)
