"""Notices the providers that an application sets through OpenTelemetry's API."""

from __future__ import annotations

import functools
from typing import Any, Callable

from . import _report


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


def guarded(what: str, adopt: Callable[[Any], None]) -> Callable[[Any], None]:
    """`adopt` for each provider once; what goes wrong is told and hurts nobody."""
    adopted: list[Any] = []

    def take(provider: Any) -> None:
        try:
            if provider not in adopted:
                adopted.append(provider)
                adopt(provider)
        except Exception as error:
            _report.failure(f"honouring the application's {what}", error)

    return take
