"""A TracerProvider of OpenTelemetry's SDK that the application configures in its code. It stays the global provider, as
the application sees it; its tracers are ours, and its processors, exporters, sampler and resource are honoured. So what
the hooks see and what the application tells are one trace, here and where the application sends it."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from . import _core, _report, otel_slow
from . import resource as own_resource

# What each process knows better.
OWN_ATTRIBUTES = ("telemetry.sdk.name", "telemetry.sdk.version", "service.instance.id")


def is_of_sdk(provider: Any) -> bool:
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    return sdk is not None and isinstance(provider, sdk.TracerProvider)


def _port(parts: Any) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _sends_to_us(processor: Any, target: Any) -> bool:
    """Would what it exports come to the same server as ours?"""
    exporter = getattr(processor, "span_exporter", None)
    url = getattr(exporter, "_endpoint", None)
    if target is None or not isinstance(url, str) or "OTLP" not in type(exporter).__name__:
        return False
    parts = urlsplit(url if "://" in url else f"http://{url}")
    local = ("localhost", "127.0.0.1", "::1")
    same_host = parts.hostname == target.host or (parts.hostname in local and target.host in local)
    # gRPC's port stands beside HTTP's in the same server.
    same_port = str(_port(parts)) == target.port or (_port(parts), target.port) == (4317, "4318")
    return same_host and same_port


def _take_resource(resource: Any) -> None:
    found = {k: v for k, v in dict(resource.attributes).items() if k not in OWN_ATTRIBUTES}
    if str(found.get("service.name", "")).startswith("unknown_service") or os.environ.get(
        "VARAN_SERVICE"
    ):
        found.pop("service.name", None)
    own_resource.current.update(found)
    _core.set_resource(own_resource.current)


def _take_sampler(sampler: Any) -> None:
    """Those that C has too are set there: nothing is asked for each span."""
    from opentelemetry.sdk.trace import sampling

    parent_based = type(sampler) is sampling.ParentBased
    root = sampler._root if parent_based else sampler
    if root is sampling.ALWAYS_ON:
        ratio = 1.0
    elif root is sampling.ALWAYS_OFF:
        ratio = 0.0
    elif type(root) is sampling.TraceIdRatioBased:
        ratio = root.rate
    else:
        return otel_slow.set_sampler(sampler)
    if parent_based:  # its other four answers may be of the application's making
        usual = sampling.ParentBased(root)
        names = ("_remote_parent_sampled", "_remote_parent_not_sampled")
        names += ("_local_parent_sampled", "_local_parent_not_sampled")
        if any(getattr(sampler, n) is not getattr(usual, n) for n in names):
            return otel_slow.set_sampler(sampler)
    _core.set_sampler(parent_based, ratio)


def _add(processor: Any, target: Any) -> None:
    if _sends_to_us(processor, target):
        _report.once(
            "own exporter",
            "the application's OTLP exporter sends to the same server: its spans go there once, by the agent",
        )
        return
    otel_slow.add_processor(processor)


def adopt(provider: Any, ours: Any, target: Any) -> None:
    """Makes the SDK's provider a face of ours. `target`: where the agent sends."""
    _take_resource(provider.resource)
    _take_sampler(provider.sampler)
    for processor in getattr(provider._active_span_processor, "_span_processors", ()):
        _add(processor, target)
    provider.add_span_processor = lambda processor: _add(processor, target)
    provider.get_tracer = ours.get_tracer
    provider.force_flush = ours.force_flush
    shutdown = provider.shutdown

    def shut_down() -> None:
        shutdown()  # also its handler at exit
        ours.shutdown()

    provider.shutdown = shut_down
