"""Exceptions that end a thread."""

from __future__ import annotations

from typing import Any

from .. import lifecycle


def install(module: Any) -> None:
    lifecycle.wrap_thread_excepthook(module)
