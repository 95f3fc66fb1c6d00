"""RQ: a span where a job is enqueued and one, below it, where it runs. The identifiers travel in the job's meta."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from . import _messages, redis

TRACER = _core.Tracer("varan.rq", _core.version)
SYSTEM = "rq"


def install_queue(queue: Any) -> None:
    enqueue = queue.enqueue_job

    @functools.wraps(enqueue)
    def traced_enqueue(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = _messages.start_sending(TRACER, SYSTEM, self.name, job.func_name)
            span.set("messaging.message.id", job.id)
            job.meta.update(_messages.identifiers(span, timed=True))
            span.activate()
        except Exception:
            return enqueue(self, job, *args, **kwargs)
        try:
            return enqueue(self, job, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    queue.enqueue_job = traced_enqueue


def install_job(job: Any) -> None:
    perform = job.perform

    @functools.wraps(perform)
    def traced_perform(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = _messages.start_processing(
                TRACER, SYSTEM, self.origin or "default", self.meta, self.func_name
            )
            span.set("messaging.message.id", self.id)
            _messages.note_wait(span, self.meta.get(_messages.SENT_AT))
            span.activate()
        except Exception:
            return perform(self, *args, **kwargs)
        try:
            return perform(self, *args, **kwargs)
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    job.perform = traced_perform


def install_worker(worker: Any) -> None:
    """What it asks Redis while it waits makes no traces."""
    initialize = worker.__init__

    @functools.wraps(initialize)
    def quiet_initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        for value in (*args, *kwargs.values()):
            if hasattr(value, "connection_pool"):
                redis.inside_traces_only(value.connection_pool)
                value.__dict__.pop("_varan_statements", None)
        initialize(self, *args, **kwargs)

    worker.__init__ = quiet_initialize


def install(module: Any) -> None:
    if module.__name__ == "rq.worker":
        return install_worker(getattr(module, "BaseWorker", module.Worker))
    if module.__name__ == "rq.job":
        install_job(module.Job)
    else:
        install_queue(module.Queue)
