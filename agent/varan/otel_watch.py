"""Notices the providers that an application sets through OpenTelemetry's API."""

from __future__ import annotations

import functools
from typing import Any, Callable


def for_providers(
    modules: tuple[Any, ...], setter: str, held: str, adopt: Callable[[Any], None]
) -> None:
    """Calls `adopt` with each provider that the modules' function `setter` sets. The last module keeps it, as `held`; what
    it refuses (a second one) is not adopted."""
    set_provider = getattr(modules[-1], setter)

    @functools.wraps(set_provider)
    def set_and_adopt(*args: Any, **kwargs: Any) -> None:
        before = getattr(modules[-1], held)
        set_provider(*args, **kwargs)
        now = getattr(modules[-1], held)
        if now is not before:
            adopt(now)

    for module in modules:
        setattr(module, setter, set_and_adopt)
