"""A TracerProvider of OpenTelemetry's SDK that the application configures in its code. It stays the global provider, as
the application sees it; its tracers are ours, and its processors, exporters, sampler, limits, id generator and resource
are honoured. So what the hooks see and what the application tells are one trace, here and where the application sends
it."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import urlsplit

from . import _core, _report, config, otel_slow
from . import resource as own_resource

LIMIT_MAX = 1_000_000  # the extension has its own

# What each process knows better.
OWN_ATTRIBUTES = ("telemetry.sdk.name", "telemetry.sdk.version", "service.instance.id")


def is_of_sdk(provider: Any) -> bool:
    sdk: Any = sys.modules.get("opentelemetry.sdk.trace")
    return sdk is not None and isinstance(provider, sdk.TracerProvider)


def _port(parts: Any) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def sends_to_us(exporter: Any, target: Any) -> bool:
    """Would what it exports come to the same server as ours?"""
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


def _take_limits(limits: Any) -> None:
    """Those that the code sets: of what it leaves out the SDK's object has what the environment says, as we have."""
    from opentelemetry.sdk.trace import SpanLimits

    names = ("max_span_attributes", "max_events", "max_links", "max_event_attributes", "max_link_attributes")  # fmt: skip
    usual, ours = SpanLimits(), config.limits(os.environ)
    for at, name in (*enumerate(names), (6, "max_span_attribute_length")):
        given = getattr(limits, name, None)
        if given != getattr(usual, name, None):
            ours[at] = LIMIT_MAX if given is None else given
    _core.set_limits(*ours)


def _take_id_generator(generator: Any) -> None:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    if type(generator) is RandomIdGenerator:
        return

    def make_ids(root: bool) -> tuple[bytes, bytes]:
        try:
            trace = generator.generate_trace_id().to_bytes(16, "big") if root else b""
            return trace, generator.generate_span_id().to_bytes(8, "big")
        except Exception as error:
            _report.failure(f"the id generator {type(generator).__name__}", error)
            return b"", b""

    _core.set_id_source(make_ids)


def _add(processor: Any, target: Any) -> None:
    if sends_to_us(getattr(processor, "span_exporter", None), target):
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
    _take_limits(provider._span_limits)
    _take_id_generator(provider.id_generator)
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
