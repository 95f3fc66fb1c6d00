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


def put_in_place(api: Any, signal: str, provider: Any, adopt: Callable[[Any], None]) -> bool:
    """Makes ours the API's provider of a signal ("meter", "logger") unless the application has set one, which then is
    adopted, as are those that it sets later. Whether ours is in place now."""
    internal, held = api._internal, f"_{signal.upper()}_PROVIDER"
    adopt = guarded(f"{signal.capitalize()}Provider", adopt)
    ours = getattr(internal, held) is None
    if ours:
        setattr(internal, held, provider)
    else:
        adopt(getattr(internal, held))
    for_providers((api, internal), f"set_{signal}_provider", held, adopt)
    return ours


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
