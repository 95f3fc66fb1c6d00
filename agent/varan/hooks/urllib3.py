"""urllib3: a client span per call, unless requests (or a retry of urllib3 itself) is already in one."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.urllib3", _core.version)
start_client = _core.start_client
http_status = _core.http_status
inject = _core.inject


def install(module: Any) -> None:
    pool = module.HTTPConnectionPool
    urlopen = pool.urlopen

    @functools.wraps(urlopen)
    def traced_urlopen(
        self: Any,
        method: Any,
        url: Any,
        body: Any = None,
        headers: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        span = _start(self, method, url)
        if span is None:
            return urlopen(self, method, url, body, headers, *args, **kwargs)
        headers = dict(self.headers if headers is None else headers)
        inject(span, headers)
        span.activate()
        try:
            response = urlopen(self, method, url, body, headers, *args, **kwargs)
            http_status(span, getattr(response, "status", 0))
            return response
        except Exception as error:
            span.fail(error)
            raise
        finally:
            span.finish()

    pool.urlopen = _core.Quiet(urlopen, traced_urlopen, None, True)


def _start(pool: Any, method: Any, url: Any) -> Any:
    try:
        text = str(url)
        if text.startswith("/"):
            host = f"[{pool.host}]" if ":" in pool.host else pool.host
            port = "" if pool.port is None else f":{pool.port}"
            text = f"{pool.scheme}://{host}{port}{text}"
        return start_client(TRACER, str(method).upper(), text)
    except Exception:
        return None
