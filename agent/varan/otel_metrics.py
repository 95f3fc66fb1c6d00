"""Varan as the metrics SDK of the OpenTelemetry API: its meter provider. Synchronous instruments are written in C;
callbacks of observable ones run before each export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable

from . import _core, _report, metrics, otel_watch

_provider: Any = None


def _make_observable(
    api: Any, base: type, kind: int, scope: Any, name: str, callbacks: Any, unit: str, text: str
) -> Any:
    from opentelemetry.metrics import CallbackOptions

    instrument = _core.Observable(name, unit, text, None, scope, kind)
    running: list[Any] = []

    def ask(callback: Callable[[Any], Any]) -> list[tuple[Any, Any]]:
        options = CallbackOptions()
        if hasattr(callback, "send"):  # a generator: primed once, then sent the options
            if callback not in running:
                running.append(callback)
                next(callback)  # type: ignore[call-overload]
            told = callback.send(options)
        else:
            told = callback(options)
        return [(o.value, o.attributes) for o in told or ()]

    def source() -> None:
        instrument.begin()
        for callback in callbacks:
            try:
                instrument.observe(ask(callback))
            except StopIteration:
                pass
            except Exception as error:
                _report.failure(f"the callback of metric {name}", error)

    if callbacks:
        source.__name__ = name
        metrics.add_source(source)

    class Observable(base):  # type: ignore[misc, valid-type]
        """Only its callbacks matter."""

        def __init__(self) -> None:
            self.name = name

    return Observable()


def _make_meter_type(api: Any) -> type:
    class Meter(api.Meter):  # type: ignore[misc, name-defined]
        def __init__(self, name: str, version: str | None, schema_url: str | None, attributes: Any):
            super().__init__(name, version, schema_url)
            self._scope = _core.Tracer(name, version, schema_url, attributes)

        def create_counter(self, name: str, unit: str = "", description: str = "") -> Any:
            return _core.Counter(name, unit, description, None, self._scope)

        def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> Any:
            return _core.UpDownCounter(name, unit, description, None, self._scope)

        def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
            return _core.Gauge(name, unit, description, None, self._scope)

        def create_histogram(
            self,
            name: str,
            unit: str = "",
            description: str = "",
            *,
            explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
        ) -> Any:
            bounds = explicit_bucket_boundaries_advisory
            return _core.Histogram(name, unit, description, bounds, self._scope)

        def create_observable_counter(
            self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
        ) -> Any:
            return _make_observable(
                api, api.ObservableCounter, metrics.OBSERVED_COUNTER, self._scope, name,
                list(callbacks or ()), unit, description,
            )  # fmt: skip

        def create_observable_up_down_counter(
            self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
        ) -> Any:
            return _make_observable(
                api, api.ObservableUpDownCounter, metrics.OBSERVED_UP_DOWN, self._scope, name,
                list(callbacks or ()), unit, description,
            )  # fmt: skip

        def create_observable_gauge(
            self, name: str, callbacks: Any = None, unit: str = "", description: str = ""
        ) -> Any:
            return _make_observable(
                api, api.ObservableGauge, metrics.OBSERVED_GAUGE, self._scope, name,
                list(callbacks or ()), unit, description,
            )  # fmt: skip

    return Meter


def _make_provider_type(api: Any) -> type:
    meter_type = _make_meter_type(api)

    class MeterProvider(api.MeterProvider):  # type: ignore[misc, name-defined]
        """Hands out meters whose instruments are written in C."""

        def get_meter(
            self,
            name: str,
            version: str | None = None,
            schema_url: str | None = None,
            attributes: Any = None,
            **_: Any,
        ) -> Any:
            return meter_type(
                name or "", version, schema_url, dict(attributes) if attributes else None
            )

        def force_flush(self, timeout_millis: float = 10000) -> bool:
            return _core.flush(int(timeout_millis)) == 0

        def shutdown(self, timeout_millis: float = 2000) -> None:
            _core.flush(min(2000, int(timeout_millis)))

    return MeterProvider


def make_meter_provider() -> Any:
    """The entry point `opentelemetry_meter_provider`."""
    if _provider is None:
        from opentelemetry import metrics as api

        bind(api)
    return _provider


def _adopt(provider: Any) -> None:
    """An SDK's provider that the application sets; those of other makers replace ours."""
    from . import otel, otel_meter_adopt

    if otel_meter_adopt.is_of_sdk(provider):
        otel_meter_adopt.adopt(provider, otel.target)


def bind(api: Any) -> None:
    """Makes Varan the meter provider, unless the application has set one. One of the SDK's that it sets sends to us, too;
    others replace ours."""
    global _provider
    if _provider is not None or not _core.native:
        return
    api.Counter.register(_core.Counter)
    api.UpDownCounter.register(_core.UpDownCounter)
    api.Histogram.register(_core.Histogram)
    for gauge in {getattr(api, "Gauge", None), getattr(api, "_Gauge", None)} - {None}:
        gauge.register(_core.Gauge)
    _provider = _make_provider_type(api)()
    if otel_watch.put_in_place(api, "meter", _provider, _adopt):
        api._internal._PROXY_METER_PROVIDER.on_set_meter_provider(_provider)
