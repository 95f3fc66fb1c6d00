"""grpc: interceptors for every channel and server that is made."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from ._request import sender

TRACER = _core.Tracer("varan.grpc", _core.version)
inject = _core.inject
SERVER, CLIENT = 2, 3
# What the server is to blame for: unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
SERVER_FAULTS = (2, 4, 12, 13, 14, 15)
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def start(method: Any, kind: int, parent: Any = None) -> Any:
    """A started span for "/package.Service/Method"."""
    full = method.decode("utf-8", "replace") if isinstance(method, bytes) else str(method)
    service, _, name = full.lstrip("/").rpartition("/")
    return TRACER.start_span(
        full.lstrip("/"),
        kind=kind,
        context=parent,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name},
    )


def note_code(span: Any, code: Any, *, client: bool) -> None:
    """`code` is a grpc.StatusCode, its number, or None for good."""
    number = code if isinstance(code, int) else 0 if code is None else code.value[0]
    span.set("rpc.grpc.status_code", number)
    if number and (client or number in SERVER_FAULTS):
        span.set_status("error")
        if "error.type" not in span.attributes:
            span.set("error.type", str(number) if isinstance(code, int) else code.name)


def with_identifiers(span: Any, metadata: Any) -> tuple[Any, ...]:
    headers: dict[str, str] = {}
    inject(span, headers)
    return (*(metadata or ()), *headers.items())


# ---- client ----


def _make_client_interceptor(grpc: Any) -> Any:
    class Details(grpc.ClientCallDetails):  # type: ignore[misc, name-defined]
        def __init__(self, before: Any, metadata: Any) -> None:
            for name in ("method", "timeout", "credentials", "wait_for_ready", "compression"):
                setattr(self, name, getattr(before, name, None))
            self.metadata = metadata

    class Interceptor(
        grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor,
    ):  # type: ignore[misc, name-defined]  # fmt: skip
        def __init__(self, target: str) -> None:
            self.target = target

        def _call(self, continuation: Any, details: Any, request: Any) -> Any:
            try:
                span = start(details.method, CLIENT)
                note_target(span, self.target)
                traced = Details(details, with_identifiers(span, details.metadata))
                span.activate()
            except Exception:
                return continuation(details, request)
            try:
                call = continuation(traced, request)
            except Exception as error:
                span.fail(error)
                span.finish()
                raise
            span.deactivate()
            try:
                call.add_done_callback(functools.partial(_client_done, span))
            except Exception:
                span.end()
            return call

        intercept_unary_unary = intercept_unary_stream = _call
        intercept_stream_unary = intercept_stream_stream = _call

    return Interceptor


def note_target(span: Any, target: str) -> None:
    host, _, port = str(target).rpartition(":")
    if host and port.isdigit():
        span.set("server.address", host.rpartition("/")[2].strip("[]"))
        span.set("server.port", int(port))


def _client_done(span: Any, call: Any) -> None:
    try:
        note_code(span, call.code(), client=True)
    except Exception:
        pass
    finally:
        span.end()


# ---- server ----


class Context:
    """The application's context, with an eye on the status code."""

    def __init__(self, context: Any) -> None:
        self.__wrapped__ = context
        self.varan_code: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def abort(self, code: Any, *args: Any, **kwargs: Any) -> Any:
        self.varan_code = code
        return self.__wrapped__.abort(code, *args, **kwargs)

    def abort_with_status(self, status: Any) -> Any:
        self.varan_code = getattr(status, "code", None)
        return self.__wrapped__.abort_with_status(status)

    def set_code(self, code: Any) -> Any:
        self.varan_code = code
        return self.__wrapped__.set_code(code)


def _begin(details: Any) -> Any:
    parent = None
    try:
        parent = sender(list(details.invocation_metadata or ()))
    except Exception:
        pass
    return start(details.method, SERVER, parent)


def _end(span: Any, context: Context, error: BaseException | None) -> None:
    code = context.varan_code
    if error is not None and code is None:  # abort() raises, too
        span.fail(error)
        code = 2
    note_code(span, code, client=False)
    span.finish()


def _traced_behavior(behavior: Any, details: Any, streams: bool) -> Any:
    def single(request: Any, context: Any) -> Any:
        span, ours, failed = _begin(details), Context(context), None
        span.activate()
        try:
            return behavior(request, ours)
        except Exception as error:
            failed = error
            raise
        finally:
            _end(span, ours, failed)

    def stream(request: Any, context: Any) -> Any:
        span, ours, failed = _begin(details), Context(context), None
        span.activate()
        try:
            yield from behavior(request, ours)
        except Exception as error:
            failed = error
            raise
        finally:
            _end(span, ours, failed)

    return stream if streams else single


def _make_server_interceptor(grpc: Any) -> Any:
    class Interceptor(grpc.ServerInterceptor):  # type: ignore[misc, name-defined]
        def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = continuation(details)
            try:
                return traced_handler(grpc, handler, details, _traced_behavior)
            except Exception:
                return handler

    return Interceptor()


def traced_handler(grpc: Any, handler: Any, details: Any, wrap: Any) -> Any:
    """The method's handler with its behavior inside a span."""
    if handler is None:
        return None  # no such method
    kind = KINDS[2 * bool(handler.request_streaming) + bool(handler.response_streaming)]
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    behavior = wrap(getattr(handler, kind), details, handler.response_streaming)
    return make(behavior, handler.request_deserializer, handler.response_serializer)


def install(module: Any) -> None:
    client, server_interceptor = _make_client_interceptor(module), _make_server_interceptor(module)

    def wrap_channel(make: Any) -> Any:
        @functools.wraps(make)
        def traced(target: Any, *args: Any, **kwargs: Any) -> Any:
            channel = make(target, *args, **kwargs)
            return module.intercept_channel(channel, client(target))

        return traced

    for name in ("insecure_channel", "secure_channel"):
        setattr(module, name, wrap_channel(getattr(module, name)))
    server = module.server

    @functools.wraps(server)
    def traced_server(thread_pool: Any, handlers: Any = None, interceptors: Any = None, *args: Any, **kwargs: Any) -> Any:  # fmt: skip
        # A list that is no list is the library's to refuse.
        given = interceptors or ()
        if isinstance(given, (list, tuple)):
            interceptors = (server_interceptor, *given)
        return server(thread_pool, handlers, interceptors, *args, **kwargs)

    module.server = traced_server
