"""Propagators that an application brings along: names of OTEL_PROPAGATORS that C does not have, found by their entry
points. They are asked for requests and messages that come without a known header, and for each outgoing one, at their
own cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _core, _report
from .hooks import _request
from .hooks._request import text
from .otel_slow import named

_propagators: list[Any] = []


class _Getter:
    """Reads headers by names of any case."""

    def get(self, carrier: Any, key: str) -> list[str] | None:
        value = carrier.get(key.lower())
        return None if value is None else [value]

    def keys(self, carrier: Any) -> list[str]:
        return list(carrier)


def _headers(request: dict[str, Any]) -> dict[str, str]:
    """Those of a WSGI environ or an ASGI scope, by their names in small letters."""
    pairs = request.get("headers")
    if isinstance(pairs, (list, tuple)):
        return {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in pairs}
    return {
        key[5:].replace("_", "-").lower(): value
        for key, value in request.items()
        if key.startswith("HTTP_") and isinstance(value, str)
    }


def _extract(request: Any) -> tuple[str, str] | None:
    """The sender's identifiers as W3C's traceparent and tracestate, or None."""
    return _find(_headers(request))


def _sender(headers: Any) -> Any:
    """The sender's span from a message's headers: a mapping, or pairs."""
    pairs = headers.items() if hasattr(headers, "items") else headers
    named = ((str(name).lower(), text(value)) for name, value in pairs)
    found = _find({name: value for name, value in named if value is not None})
    return found and _core.remote_span(*found)


def _find(headers: dict[str, str]) -> tuple[str, str] | None:
    from opentelemetry import trace
    from opentelemetry.context import Context

    for propagator in _propagators:
        try:
            around = propagator.extract(headers, Context(), _Getter())
            found = trace.get_current_span(around).get_span_context()
        except Exception as error:
            _report.failure(f"the propagator {type(propagator).__name__}", error)
            continue
        if found.is_valid:
            flags = int(found.trace_flags)
            return (
                f"00-{found.trace_id:032x}-{found.span_id:016x}-{flags:02x}",
                found.trace_state.to_header(),
            )
    return None


def _inject(span: Any, headers: Any) -> None:
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    around = set_span_in_context(span, Context())
    for propagator in _propagators:
        try:
            propagator.inject(headers, around)
        except Exception as error:
            _report.failure(f"the propagator {type(propagator).__name__}", error)


def start(names: Sequence[str]) -> None:
    for name in names:
        try:
            found = named("OTEL_PROPAGATORS", "propagator", "opentelemetry_propagator", name)
            if found is not None:
                _propagators.append(found())
        except Exception as error:
            _report.failure(f"the propagator {name}", error)
    if _propagators:
        _core.set_other_propagators(_extract, _inject)
        _request.ask_others = _sender
