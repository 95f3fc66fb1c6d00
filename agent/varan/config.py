"""Settings: from the call of start(), VARAN_… variables, OTEL_… variables, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from . import _report, resource

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
FALSE = ("0", "false", "no", "off")
TRUE = ("1", "true", "yes", "on")


class Target(NamedTuple):
    """Where one signal goes."""

    host: str
    port: str
    socket: str
    path: str
    secure: bool


class Settings:
    """What the agent needs to know, all of it checked."""

    def __init__(self) -> None:
        self.disabled = False
        self.debug = False
        self.exception_locals = True
        self.error_headers = True
        self.log_level = 0
        self.log_rate = 0  # records a second; 0: no limit
        self.traces: Target | None = None
        self.logs: Target | None = None
        self.metrics: Target | None = None
        self.profiles: Target | None = None
        # Whether it is on, whether wall time too, and walks a second.
        self.profiler: tuple[bool, bool, int, bool] = (True, True, 100, True)
        self.headers = ["", "", "", ""]  # of traces, logs, metrics, profiles
        self.files: list[tuple[str, str, str]] = [("", "", "")] * 4
        self.gzip = False
        self.interval_ms = 500
        self.timeout_ms = 10000
        self.exit_timeout_ms = 2000
        self.buffer_bytes = 4 << 20
        self.sampler: tuple[bool, float] = (True, 1.0)
        self.propagation = 3
        self.other_sampler = ""  # an entry point's name
        self.other_exporters: list[str] = []
        self.other_propagators: list[str] = []
        self.keep: float | None = None  # choose at the end of local traces; the share of the rest
        self.red = False  # count spans before sampling
        self.limits = [128] * 6 + [16384] * 2
        self.resource: dict[str, object] = {}
        self.exponential = False
        self.temporality = 0  # cumulative, delta, low memory
        self.exemplars = 0  # trace based, always, never
        self.metric_interval_ms = 15000
        self.metric_cells = 2000
        self.runtime_metrics = True
        self.metrics_port = 0
        self.disabled_hooks: frozenset[str] = frozenset()


def _bad(name: str, value: str, wanted: str) -> None:
    _report.once(f"variable {name}", f"{name}={value!r} is not {wanted}; the default is used")


def _number(env: Mapping[str, str], names: tuple[str, ...], default: int, scale: float = 1) -> int:
    for name in names:
        text = env.get(name, "").strip()
        if text:
            try:
                value = float(text) * scale
                if 0 <= value < 2**31:
                    return int(value)
            except ValueError:
                pass
            _bad(name, text, "a number that fits")
    return default


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _pairs(text: str) -> list[tuple[str, str]]:
    """key=value,key=value with percent-encoding, as in OTEL_RESOURCE_ATTRIBUTES."""
    found = []
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if equals and key.strip():
            found.append((_unquote(key.strip()), _unquote(value.strip())))
    return found


def parse_endpoint(url: str, path: str) -> Target:
    """http://host:port/base or unix:/path → (host, port, socket path, request path). Raises ValueError."""
    if url.startswith("unix:"):
        socket = url[5:]
        if socket.startswith("//"):
            socket = socket[2:]
        if not socket or len(socket.encode()) > 107:
            raise ValueError("not a path of a Unix socket")
        return Target("localhost", "80", socket, path, False)
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "http", url
    if scheme not in ("http", "https"):
        raise ValueError("only http://, https:// and unix: are spoken here")
    authority, _, base = rest.partition("/")
    authority = authority.rpartition("@")[2]
    usual = "443" if scheme == "https" else "80"
    host, port = authority, usual
    if authority.startswith("["):
        host, _, after = authority[1:].partition("]")
        port = after[1:] or usual
    elif ":" in authority:
        host, _, port = authority.rpartition(":")
    if not host or len(host) > 250 or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("not a host and a port")
    whole = f"/{base.strip('/')}{path}" if base.strip("/") else path
    if any(c <= " " for c in whole + host) or len(whole) > 500:
        raise ValueError("not a path")
    return Target(host, port, "", whole, scheme == "https")


def _path(signal: str) -> str:
    return "/v1development/profiles" if signal == "profiles" else f"/v1/{signal}"


def _not_grpc(env: Mapping[str, str], signal: str, target: Target) -> Target:
    """gRPC's port with gRPC's protocol set means the other port of the same server."""
    grpc = _otlp(env, signal.upper(), "PROTOCOL")[1].lower() == "grpc"
    if not grpc or target.port != "4317":
        return target
    return target._replace(port="4318", path=target.path if target.path else _path(signal))


def _endpoint(env: Mapping[str, str], given: str | None, signal: str) -> Target | None:
    path = _path(signal)
    if env.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip().lower() == "none":
        return None
    candidates = [
        ("endpoint", given or "", path),
        ("VARAN_ENDPOINT", env.get("VARAN_ENDPOINT", ""), path),
    ]
    name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    candidates.append((name, env.get(name, ""), ""))
    name = "OTEL_EXPORTER_OTLP_ENDPOINT"
    candidates.append((name, env.get(name, ""), path))
    for name, url, suffix in candidates:
        if url.strip():
            try:
                return _not_grpc(env, signal, parse_endpoint(url.strip(), suffix or ""))
            except ValueError as error:
                _report.once(f"variable {name}", f"{name}={url!r} is not used: {error}")
    return parse_endpoint(DEFAULT_ENDPOINT, path)


SIGNALS = ("TRACES", "LOGS", "METRICS", "PROFILES")


def _otlp(env: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """The variable of one signal, or that of all: its name and value."""
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}"):
        if env.get(variable, "").strip():
            return variable, env[variable].strip()
    return f"OTEL_EXPORTER_OTLP_{name}", ""


def _check_protocol(env: Mapping[str, str]) -> None:
    for signal in SIGNALS:
        name, value = _otlp(env, signal, "PROTOCOL")
        if value.lower() not in ("", "http/protobuf"):
            _report.once(
                f"variable {name}",
                f"{name}={value!r} is not spoken: http/protobuf is used (port 4318, where gRPC has 4317)",
            )


def _headers(env: Mapping[str, str], signal: str) -> str:
    lines = []
    name, text = _otlp(env, signal, "HEADERS")
    for key, value in _pairs(text):
        if any(c < " " or c in ":\x7f" for c in key) or any(c < " " or c == "\x7f" for c in value):
            _bad(name, key, "a header")
        else:
            lines.append(f"{key}: {value}\r\n")
    text = "".join(lines)
    return text if len(text.encode()) < 4000 else ""


def _sampler(env: Mapping[str, str]) -> tuple[bool, float]:
    name = env.get("OTEL_TRACES_SAMPLER", "parentbased_always_on").strip().lower()
    parent_based = name.startswith("parentbased_")
    kind = name[len("parentbased_") :] if parent_based else name
    if kind == "always_on":
        return parent_based, 1.0
    if kind == "always_off":
        return parent_based, 0.0
    if kind == "traceidratio":
        text = env.get("OTEL_TRACES_SAMPLER_ARG", "1")
        try:
            ratio = float(text)
            if 0 <= ratio <= 1:
                return parent_based, ratio
        except ValueError:
            pass
        _bad("OTEL_TRACES_SAMPLER_ARG", text, "a ratio between 0 and 1")
        return parent_based, 1.0
    return True, 1.0


# Formats of propagation.h.
PROPAGATORS = {"tracecontext": 1, "baggage": 2, "b3": 4, "b3multi": 8, "jaeger": 16, "none": 0}


def _propagation(env: Mapping[str, str]) -> int:
    text = env.get("OTEL_PROPAGATORS", "").strip().lower() or "tracecontext,baggage"
    formats = 0
    for name in (part.strip() for part in text.split(",")):
        if name in PROPAGATORS:
            formats |= PROPAGATORS[name]
    return formats


def _keep(env: Mapping[str, str]) -> float | None:
    """VARAN_TRACES: `all` (default), or `tail`, `tail:0.05`: errors, slow, rare ones, and that share of the rest."""
    text = env.get("VARAN_TRACES", "all").strip().lower()
    if text in ("", "all"):
        return None
    kind, colon, ratio = text.partition(":")
    try:
        share = float(ratio) if colon else 0.01
        if kind == "tail" and 0 <= share <= 1:
            return share
    except ValueError:
        pass
    _bad("VARAN_TRACES", text, "all, tail, or tail:RATIO")
    return None


def _read_red(env: Mapping[str, str], s: Settings) -> None:
    s.keep = _keep(env)
    text = env.get("VARAN_RED", "").strip().lower()
    partial = s.keep is not None or s.sampler[1] < 1
    s.red = s.metrics is not None and (partial or text in TRUE) and text not in FALSE
    if s.red:
        s.resource["varan.red"] = "process"


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> int:
    """The index of the variable's value among the choices; the first one is the default."""
    text = env.get(name, "").strip().lower()
    if text in choices:
        return choices.index(text)
    if text:
        _bad(name, text, "one of " + ", ".join(choices))
    return 0


def _read_metrics(env: Mapping[str, str], s: Settings) -> None:
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    choices = ("explicit_bucket_histogram", "base2_exponential_bucket_histogram")
    s.exponential = _choice(env, name, choices) == 1
    name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    s.temporality = _choice(env, name, ("cumulative", "delta", "lowmemory"))
    choices = ("trace_based", "always_on", "always_off")
    s.exemplars = _choice(env, "OTEL_METRICS_EXEMPLAR_FILTER", choices)
    names = ("VARAN_METRIC_INTERVAL_MS", "OTEL_METRIC_EXPORT_INTERVAL")
    s.metric_interval_ms = _number(env, names, 15000)
    s.metric_cells = _number(env, ("VARAN_METRIC_SERIES",), 2000)
    s.metrics_port = _number(env, ("VARAN_METRICS_PORT",), 0)
    s.runtime_metrics = env.get("VARAN_RUNTIME_METRICS", "1").strip().lower() not in FALSE


LOG_LEVELS = {
    "trace": 5,
    "debug": 10,
    "info": 20,
    "warn": 30,
    "warning": 30,
    "error": 40,
    "fatal": 50,
    "critical": 50,
}


def _read_logs(env: Mapping[str, str], s: Settings) -> None:
    text = env.get("VARAN_LOG_LEVEL", "").strip().lower()
    if text in LOG_LEVELS:
        s.log_level = LOG_LEVELS[text]
    elif text:
        _bad("VARAN_LOG_LEVEL", text, "one of trace, debug, info, warning, error, critical")
    s.log_rate = _number(env, ("VARAN_LOG_RATE",), 0)
    console = env.get("VARAN_LOG_CONSOLE", "").strip().lower()
    if console not in ("", "text", "json"):
        _bad("VARAN_LOG_CONSOLE", console, "text or json")


def _read_profiler(env: Mapping[str, str], endpoint: str | None, s: Settings) -> None:
    s.profiles = _endpoint(env, endpoint, "profiles")
    choices = ("wall", "cpu", "off", "on", "0", "1", "false", "true")
    what = (0, 1, 2, 0, 2, 0, 2, 0)[_choice(env, "VARAN_PROFILER", choices)]
    rate = _number(env, ("VARAN_PROFILER_HZ",), 100)
    if not 1 <= rate <= 1000:
        _bad("VARAN_PROFILER_HZ", str(rate), "between 1 and 1000")
        rate = 100
    choices = ("1", "0", "on", "off", "true", "false")
    source = _choice(env, "VARAN_PROFILE_SOURCE", choices) % 2 == 0
    s.profiler = (what != 2 and s.profiles is not None, what == 0, rate, source)


def _read_others(env: Mapping[str, str], s: Settings) -> None:
    """Samplers, propagators and exporters that are not ours: found by their entry points once the agent runs."""
    name = env.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    kinds = ("always_on", "always_off", "traceidratio")
    if name and name not in kinds and name not in tuple("parentbased_" + k for k in kinds):
        s.other_sampler = name
    names = [n.strip() for n in env.get("OTEL_PROPAGATORS", "").split(",") if n.strip()]
    s.other_propagators = [n for n in names if n.lower() not in PROPAGATORS]
    names = [n.strip() for n in env.get("OTEL_TRACES_EXPORTER", "").split(",") if n.strip()]
    s.other_exporters = [n for n in names if n.lower() not in ("otlp", "none", "otlp_proto_http")]


def limits(env: Mapping[str, str]) -> list[int]:
    """As core.set_limits() takes them."""
    attributes = "OTEL_ATTRIBUTE_COUNT_LIMIT"
    counts = (
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributes),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT",),
        ("OTEL_SPAN_LINK_COUNT_LIMIT",),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", attributes),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", attributes),
        ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", attributes),
    )
    length = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    lengths = (
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
        ("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", length),
    )
    return [
        *(_number(env, names, 128) for names in counts),
        *(_number(env, names, 16384) for names in lengths),
    ]


def _timeout_ms(env: Mapping[str, str]) -> int:
    # The specification says milliseconds, OTel's Python SDK takes seconds: both mean what is plausible.
    value = _number(env, ("OTEL_EXPORTER_OTLP_TIMEOUT",), 10000)
    return value * 1000 if value < 500 else value


def read(
    env: Mapping[str, str],
    service: str | None = None,
    endpoint: str | None = None,
    attributes: Mapping[str, object] | None = None,
) -> Settings:
    """All settings. Never raises for what the environment holds: bad values are named on stderr."""
    s = Settings()
    flags = (env.get("VARAN_DISABLED", ""), env.get("OTEL_SDK_DISABLED", ""))
    s.disabled = any(flag.strip().lower() in TRUE for flag in flags)
    s.debug = env.get("VARAN_DEBUG", "").strip().lower() in TRUE
    s.exception_locals = env.get("VARAN_EXCEPTION_LOCALS", "").strip().lower() not in FALSE
    s.error_headers = env.get("VARAN_ERROR_HEADERS", "").strip().lower() not in FALSE
    s.traces = _endpoint(env, endpoint, "traces")
    s.logs = _endpoint(env, endpoint, "logs")
    s.metrics = _endpoint(env, endpoint, "metrics")
    _read_metrics(env, s)
    _read_logs(env, s)
    _read_profiler(env, endpoint, s)
    _check_protocol(env)
    s.headers = [_headers(env, signal) for signal in SIGNALS]
    files = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
    s.files = [tuple(_otlp(env, signal, f)[1] for f in files) for signal in SIGNALS]  # type: ignore[misc]
    s.gzip = any(_otlp(env, signal, "COMPRESSION")[1].lower() == "gzip" for signal in SIGNALS)
    s.interval_ms = _number(env, ("VARAN_INTERVAL_MS", "OTEL_BSP_SCHEDULE_DELAY"), 500)
    s.timeout_ms = _timeout_ms(env)
    s.exit_timeout_ms = _number(env, ("VARAN_EXIT_TIMEOUT_MS",), 2000)
    s.buffer_bytes = _number(env, ("VARAN_BUFFER_BYTES",), 4 << 20)
    s.sampler = _sampler(env)
    s.limits = limits(env)
    s.propagation = _propagation(env)
    _read_others(env, s)
    s.resource = resource.detect(env, service, _pairs(env.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    s.resource.update(attributes or {})
    _read_red(env, s)
    names = (
        env.get("VARAN_DISABLED_HOOKS", "")
        + ","
        + env.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    )
    s.disabled_hooks = frozenset(name.strip().lower() for name in names.split(",") if name.strip())
    return s


def apply(core: Any, s: Settings) -> None:
    """Hands the settings to the extension."""
    resource.current.update(s.resource)
    if any(t and t.secure for t in (s.traces, s.logs, s.metrics)) and not core.tls_is_available():
        _report.once("tls", "https needs the system's libssl.so.3 or .1.1: nothing can be sent")
    core.set_resource(s.resource)
    core.set_exception_locals(s.exception_locals)
    core.set_error_headers(s.error_headers)
    core.set_logs(s.log_level, s.log_rate)
    for signal, target in ((0, s.traces), (1, s.logs), (2, s.metrics), (3, s.profiles)):
        host, port, socket, path, secure = target or (None, "", "", "", False)
        core.set_target(signal, host, port, socket, path, s.headers[signal])
        core.set_tls(signal, secure, *s.files[signal])
    core.set_export(s.interval_ms, s.timeout_ms, s.buffer_bytes, s.gzip)
    core.set_sampler(*s.sampler)
    core.set_propagation(s.propagation)
    core.set_choice(s.red, s.keep is not None, s.keep or 0.0)
    core.set_limits(*s.limits)
    core.set_metrics(
        s.metrics is not None,
        s.exponential,
        s.temporality,
        s.exemplars,
        s.metric_interval_ms,
        s.metric_cells,
    )
    core.set_library_folders(resource.library_folders())
