"""Celery on Redis, as its broker (kombu's transport) and for results: what it asks while it waits makes no traces of its
own; within a trace its commands are spans."""

from __future__ import annotations

import functools
from typing import Any

from . import redis

OWNERS = ("Channel", "SentinelChannel", "RedisBackend", "SentinelBackend")


def _wrap(owner: Any) -> None:
    get_pool = owner._get_pool

    @functools.wraps(get_pool)
    def quiet_pool(self: Any, *args: Any, **kwargs: Any) -> Any:
        pool = get_pool(self, *args, **kwargs)
        redis.inside_traces_only(pool)
        return pool

    owner._get_pool = quiet_pool


def install(module: Any) -> None:
    for name in OWNERS:
        owner = module.__dict__.get(name)
        if owner is not None and "_get_pool" in owner.__dict__:
            _wrap(owner)
