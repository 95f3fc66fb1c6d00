"""http.client, and with it urllib.request and whatever else the standard library's client carries: a client span from
the request line until the response's headers. Quiet below requests, urllib3 and others that are spans already."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.http.client", _core.version)
start_client = _core.start_client
current_span = _core.current_span
http_status = _core.http_status
inject = _core.inject

SPAN = "_varan_span"


def _url(connection: Any, path: str) -> str:
    if "://" in path[:10]:  # for a proxy
        return path
    tls = connection.default_port == 443
    host = connection._tunnel_host or connection.host
    port = connection._tunnel_port if connection._tunnel_host else connection.port
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if tls else 'http'}://{host}{f':{port}' if port else ''}{path}"


def _take(connection: Any) -> Any:
    """Not by its __dict__: a connection that had to make one is slower from then on."""
    span = getattr(connection, SPAN, None)
    if span is not None:
        delattr(connection, SPAN)
    return span


def _end(connection: Any, error: BaseException | None = None) -> None:
    span = _take(connection)
    if span is not None:
        if error is not None:
            span.fail(error)
        span.end()


def _has_traceparent(connection: Any) -> bool:
    return any(line[:12].lower() == b"traceparent:" for line in connection._buffer)


def install(module: Any) -> None:
    connection = module.HTTPConnection
    putrequest, endheaders = connection.putrequest, connection.endheaders
    getresponse, close = connection.getresponse, connection.close

    @functools.wraps(putrequest)
    def traced_putrequest(self: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            _end(self)
            outer = current_span()
            if outer is None or not getattr(outer, "is_http_client", False):
                span = start_client(TRACER, method, _url(self, url))
                if span is not None:
                    setattr(self, SPAN, span)
        except Exception:
            pass
        try:
            return putrequest(self, method, url, *args, **kwargs)
        except Exception as error:
            _end(self, error)
            raise

    @functools.wraps(endheaders)
    def traced_endheaders(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            span = getattr(self, SPAN, None)
            if span is not None and not _has_traceparent(self):
                headers: dict[str, str] = {}
                inject(span, headers)
                for name, value in headers.items():
                    self.putheader(name, value)
        except Exception:
            pass
        try:
            return endheaders(self, *args, **kwargs)
        except Exception as error:
            _end(self, error)
            raise

    @functools.wraps(getresponse)
    def traced_getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        span = _take(self)  # before: the last response closes the connection
        if span is None:
            return getresponse(self, *args, **kwargs)
        try:
            response = getresponse(self, *args, **kwargs)
            http_status(span, response.status)
            return response
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.end()

    @functools.wraps(close)
    def traced_close(self: Any) -> Any:
        _end(self)  # nobody has asked for the response
        return close(self)

    quiet = _core.Quiet
    connection.putrequest = quiet(putrequest, traced_putrequest, SPAN, True)
    connection.endheaders = quiet(endheaders, traced_endheaders, SPAN, False, True)
    connection.getresponse = quiet(getresponse, traced_getresponse, SPAN, False)
    connection.close = quiet(close, traced_close, SPAN, False)
