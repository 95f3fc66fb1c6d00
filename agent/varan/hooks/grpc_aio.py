"""grpc.aio: the same for channels and servers of asyncio."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .grpc import (
    CLIENT,
    Context,
    _begin,
    _end,
    note_code,
    note_target,
    start,
    traced_handler,
    with_identifiers,
)


def _make_client_interceptors(aio: Any, target: str) -> tuple[Any, ...]:
    async def intercept(self: Any, continuation: Any, details: Any, request: Any) -> Any:
        try:
            span = start(details.method, CLIENT)
            note_target(span, target)
            metadata = aio.Metadata(*with_identifiers(span, details.metadata))
            traced = details._replace(metadata=metadata)
            span.activate()
        except Exception:
            return await continuation(details, request)
        try:
            call = await continuation(traced, request)
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

    return tuple(
        type("Interceptor", (base,), {f"intercept_{kind}": intercept})()
        for kind, base in (
            ("unary_unary", aio.UnaryUnaryClientInterceptor), ("unary_stream", aio.UnaryStreamClientInterceptor),
            ("stream_unary", aio.StreamUnaryClientInterceptor), ("stream_stream", aio.StreamStreamClientInterceptor),
        )
    )  # fmt: skip


def _client_done(span: Any, call: Any) -> None:
    # code() is a coroutine here, that has its answer by now and so never suspends.
    try:
        code = call.code()
        if inspect.iscoroutine(code):
            try:
                code.send(None)
            except StopIteration as done:
                note_code(span, done.value, client=True)
            code.close()
    except Exception:
        pass
    finally:
        span.end()


class AsyncContext(Context):
    async def abort(self, code: Any, *args: Any, **kwargs: Any) -> Any:
        self.varan_code = code
        return await self.__wrapped__.abort(code, *args, **kwargs)


def _traced_behavior(behavior: Any, details: Any, streams: bool) -> Any:
    async def single(request: Any, context: Any) -> Any:
        span, ours, failed = _begin(details), AsyncContext(context), None
        span.activate()
        try:
            result = behavior(request, ours)
            return await result if inspect.isawaitable(result) else result
        except Exception as error:
            failed = error
            raise
        finally:
            _end(span, ours, failed)

    async def stream(request: Any, context: Any) -> Any:
        span, ours, failed = _begin(details), AsyncContext(context), None
        span.activate()
        try:
            async for item in behavior(request, ours):
                yield item
        except Exception as error:
            failed = error
            raise
        finally:
            _end(span, ours, failed)

    async def writes(request: Any, context: Any) -> Any:
        """A handler that is no generator writes to the context."""
        return await single(request, context)

    if not streams:
        return single
    return stream if inspect.isasyncgenfunction(behavior) else writes


def _make_server_interceptor(grpc: Any, aio: Any) -> Any:
    class Interceptor(aio.ServerInterceptor):  # type: ignore[misc, name-defined]
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            handler = await continuation(details)
            try:
                return traced_handler(grpc, handler, details, _traced_behavior)
            except Exception:
                return handler

    return Interceptor()


def install(module: Any) -> None:
    import grpc

    def wrap_channel(make: Any) -> Any:
        @functools.wraps(make)
        def traced(target: Any, *args: Any, **kwargs: Any) -> Any:
            ours = _make_client_interceptors(module, target)
            kwargs["interceptors"] = (*ours, *(kwargs.get("interceptors") or ()))
            return make(target, *args, **kwargs)

        return traced

    for name in ("insecure_channel", "secure_channel"):
        setattr(module, name, wrap_channel(getattr(module, name)))
    server, interceptor = module.server, _make_server_interceptor(grpc, module)

    @functools.wraps(server)
    def traced_server(*args: Any, **kwargs: Any) -> Any:
        if len(args) < 3:
            kwargs["interceptors"] = (interceptor, *(kwargs.get("interceptors") or ()))
        return server(*args, **kwargs)

    module.server = traced_server
