"""Celery: a span where a task is sent and one, below it, where it runs, with its wait in the queue, its retries and its
failure; and metrics of the same. Works by Celery's own signals in every pool."""

from __future__ import annotations

import functools
import time
from typing import Any

from .. import _core
from . import _messages

TRACER = _core.Tracer("varan.celery", _core.version)
current_span = _core.current_span
SYSTEM = "celery"
SPAN, BEGIN = "_varan_span", "_varan_begin"
SENDING = "send "

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60, 600)
DURATION = _core.Histogram(
    "messaging.process.duration", "s", "Running a task", SECONDS, TRACER
)  # fmt: skip
WAIT = _core.Histogram(
    "varan.celery.queue_wait", "s", "From sending a task until a worker runs it", SECONDS, TRACER
)  # fmt: skip
RETRIES = _core.Counter("varan.celery.retries", "{retry}", "Retries of tasks", None, TRACER)


def _wrap_sending(celery: Any) -> None:
    send_task = celery.send_task

    @functools.wraps(send_task)
    def traced_send(self: Any, name: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = _messages.start_sending(TRACER, SYSTEM, str(name))
            span.set("celery.task_name", str(name))
            span.activate()
        except Exception:
            return send_task(self, name, *args, **kwargs)
        try:
            return send_task(self, name, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    celery.send_task = traced_send


def _name(destination: Any) -> str:
    return str(getattr(destination, "name", destination) or "")


def _before_publish(sender: Any = None, headers: Any = None, **given: Any) -> None:
    try:
        span = current_span()
        if span is None or not span.name.startswith(SENDING) or headers is None:
            return
        for key, value in _messages.identifiers(span, timed=True).items():
            headers[key] = value
        queue = _name(given.get("routing_key")) or _name(given.get("exchange"))
        if queue:
            span.set("messaging.destination.name", queue)
        if headers.get("id"):
            span.set("messaging.message.id", headers["id"])
        if headers.get("retries"):
            span.set("celery.retries", headers["retries"])
    except Exception:
        pass


def _attributes(task: Any, queue: str) -> dict[str, str]:
    return {
        "messaging.system": SYSTEM,
        "messaging.destination.name": queue,
        "celery.task_name": task.name,
    }


def _before_run(task_id: Any = None, task: Any = None, **_: Any) -> None:
    try:
        request = task.request
        delivery = request.delivery_info or {}
        queue = delivery.get("routing_key") or "celery"
        given = {**(request.headers or {}), **request.__dict__}
        span = _messages.start_processing(
            TRACER, SYSTEM, queue, None if request.is_eager else given, task.name
        )
        span.set("celery.task_name", task.name)
        span.set("messaging.message.id", task_id)
        if request.retries:
            span.set("celery.retries", request.retries)
        if request.is_eager:
            span.set("celery.is_eager", True)
        else:
            waited_ms = _messages.note_wait(span, given.get(_messages.SENT_AT))
            if waited_ms is not None:
                WAIT.record(waited_ms / 1e3, _attributes(task, queue))
        span.activate()
        request.__dict__[SPAN] = span
        request.__dict__[BEGIN] = time.perf_counter(), queue
    except Exception:
        pass


def _span_of(task: Any) -> Any:
    return task.request.__dict__.get(SPAN)


def _after_run(task: Any = None, state: Any = None, **_: Any) -> None:
    try:
        span = task.request.__dict__.pop(SPAN, None)
        begin, queue = task.request.__dict__.pop(BEGIN, (None, ""))
        if begin is not None:
            found = {**_attributes(task, queue), "messaging.operation.name": "process"}
            DURATION.record(time.perf_counter() - begin, {**found, "celery.state": str(state)})
        if span is not None:
            if state:
                span.set("celery.state", str(state))
            span.finish()
    except Exception:
        pass


def _on_failure(sender: Any = None, exception: Any = None, **_: Any) -> None:
    try:
        span = _span_of(sender)
        if span is None:
            return
        if isinstance(exception, tuple(sender.throws or ())):
            span.record_exception(exception)  # expected: told, but no failure
        else:
            span.fail(exception)
    except Exception:
        pass


def _on_retry(sender: Any = None, reason: Any = None, **_: Any) -> None:
    try:
        queue = (sender.request.delivery_info or {}).get("routing_key") or "celery"
        RETRIES.add(1, _attributes(sender, queue))
        span = _span_of(sender)
        if span is not None:
            cause = getattr(reason, "exc", None)
            if isinstance(cause, Exception):
                span.record_exception(cause)
            span.add_event("retry")
    except Exception:
        pass


def _on_revoked(
    sender: Any = None, request: Any = None, terminated: Any = False, expired: Any = False, **_: Any
) -> None:
    """Taken from the queue and not run, or ended while it ran: told by the worker, a moment of its own."""
    try:
        given = {**(request.headers or {}), **request.__dict__}
        queue = (request.delivery_info or {}).get("routing_key") or "celery"
        span = _messages.start_processing(TRACER, SYSTEM, queue, given, sender.name)
        span.set("celery.task_name", sender.name)
        span.set("messaging.message.id", request.id)
        span.set("celery.state", "REVOKED")
        span.set("celery.revoked", "expired" if expired else "terminated" if terminated else "revoked")  # fmt: skip
        _messages.note_wait(span, given.get(_messages.SENT_AT))
        span.finish()
    except Exception:
        pass


def install(module: Any) -> None:
    from celery import signals

    _wrap_sending(module.Celery)
    for signal, receiver in (
        (signals.before_task_publish, _before_publish),
        (signals.task_prerun, _before_run),
        (signals.task_postrun, _after_run),
        (signals.task_failure, _on_failure),
        (signals.task_retry, _on_retry),
        (signals.task_revoked, _on_revoked),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"varan{receiver.__name__}")
